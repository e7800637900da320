//! A thread that does not lead becomes another program. The kernel then ends the leader and gives its pid to that
//! thread: the leader's end looks like a death, and is none.

use std::{env, os::unix::process::CommandExt as _, process, process::Command, thread};

use watcher_tests::script::{end_thread, say, wait_for_go};

fn main() {
    match env::args().nth(1).map(|argument| argument.parse()) {
        None => {}
        // So many times more, without being told to.
        Some(Ok(times @ 1_u32..)) => exec_again(times - 1),
        Some(_) => {
            say("another program");
            wait_for_go();
            process::exit(7);
        }
    }
    let leader_ends_first = env::var_os("LEADER_ENDS_FIRST").is_some();
    // Asked now: `/proc/self/exe` goes with the leader.
    let this = env::current_exe().expect("it knows where it is");
    let exec = move || {
        wait_for_go();
        panic!("exec failed: {}", Command::new(this).arg(env::var("TIMES").as_deref().unwrap_or("0")).exec());
    };
    let thread = thread::spawn(exec);
    say("ready");
    if leader_ends_first {
        end_thread(3);
    }
    let _ = thread.join();
}

fn exec_again(times: u32) {
    let this = env::current_exe().expect("it knows where it is");
    let _ = thread::spawn(move || panic!("exec failed: {}", Command::new(this).arg(times.to_string()).exec())).join();
}
