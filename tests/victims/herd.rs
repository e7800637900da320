//! Many processes that do nothing: `herd COUNT` says their pids, then ready, and reaps them when it is told to go. All
//! of them end with it.

use std::{env, process};

use watcher_tests::script::{say, wait_for_go};

fn main() {
    let count: usize = env::args().nth(1).and_then(|count| count.parse().ok()).expect("usage: herd COUNT");
    let mut pids = Vec::with_capacity(count);
    for _ in 0..count {
        pids.push(fork_idler().to_string());
    }
    say("ready");
    say(&pids.join(" "));
    wait_for_go();
    // SAFETY: no pointer is passed.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {}
    say("reaped");
    wait_for_go();
}

fn fork_idler() -> i32 {
    let parent = process::id();
    // SAFETY: this process has one thread; the child only waits.
    match unsafe { libc::fork() } {
        0 => unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() as u32 != parent {
                libc::_exit(0);
            }
            loop {
                libc::pause();
            }
        },
        -1 => panic!("fork failed: {}", std::io::Error::last_os_error()),
        pid => pid,
    }
}
