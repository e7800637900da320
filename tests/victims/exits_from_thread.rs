//! The whole process is ended from a thread that does not lead, by `_exit` (which is `exit_group`).

use std::thread;

use watcher_tests::script::{say, wait_for_go};

fn main() {
    let thread = thread::spawn(|| {
        wait_for_go();
        // SAFETY: nothing runs afterwards.
        unsafe { libc::_exit(9) }
    });
    say("ready");
    let _ = thread.join();
}
