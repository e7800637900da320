//! Its leading thread ends with code 5 while another lives on. `/proc` then shows a zombie, and the exit tracepoint has
//! fired for the thread whose number is the pid: both look like a death, and neither is one.

use std::thread;

use watcher_tests::script::{end_thread, say, wait_for_go};

fn main() {
    thread::spawn(|| {
        wait_for_go();
        say("follower");
        wait_for_go();
        end_thread(0);
    });
    say("ready");
    end_thread(5);
}
