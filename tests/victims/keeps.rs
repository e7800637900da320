//! Not a victim but their keeper: `keeps COMMAND…` runs a command as an init would, and says its pid, then `ended CODE`. What
//! that leaves behind becomes the keeper's and is reaped by it. All of it is ended when nobody listens any more.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use watcher::sys::proc;
use watcher_core::Pid;
use watcher_tests::script::say;

fn main() {
    let mut words = std::env::args_os().skip(1);
    let mut command = Command::new(words.next().expect("usage: keeps COMMAND…"));
    // In a session of its own: what ends a whole group, such as Ctrl-C, must not end the one who clears up.
    // SAFETY: no pointer is passed.
    unsafe {
        libc::setsid();
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
    }
    #[expect(clippy::zombie_processes, reason = "it is reaped below, with all others")]
    let child = command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the command starts");
    say(&child.id().to_string());
    thread::spawn(end_all_when_nobody_listens);
    loop {
        let mut status = 0;
        // SAFETY: a place for one number.
        let reaped = unsafe { libc::waitpid(-1, &raw mut status, 0) };
        if reaped == child.id() as i32 {
            let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) };
            // Nobody may listen any more: then there is all the more to do.
            let _heard = writeln!(io::stdout(), "ended {code}");
        }
        if reaped == -1 {
            // No child is left, nor any that could become one.
            if ENDING.load(Ordering::Acquire) {
                process::exit(0);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Nobody listens any more.
static ENDING: AtomicBool = AtomicBool::new(false);

fn end_all_when_nobody_listens() {
    let _read_or_broken = io::stdin().read_to_end(&mut Vec::new());
    ENDING.store(true, Ordering::Release);
    loop {
        for child in children() {
            // SAFETY: no pointer is passed. It is ours, and reaped by the other thread at worst a moment ago.
            unsafe { libc::kill(child.number() as i32, libc::SIGKILL) };
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn children() -> Vec<Pid> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|item| Pid::new(item.file_name().to_str()?.parse().ok()?));
    let is_ours = |pid: &Pid| {
        let facts = proc::facts(*pid).ok().flatten();
        facts.is_some_and(|facts| facts.parent == process::id() && !facts.leader_zombie)
    };
    pids.filter(is_ours).collect()
}
