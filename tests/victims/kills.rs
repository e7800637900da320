//! Not a victim but a murderer: `kills UID PID SIGNAL`, told to go, becomes that user and sends that signal.

use std::env;

use watcher_tests::script::{say, wait_for_go};

fn main() {
    let numbers: Vec<i32> =
        env::args().skip(1).map(|word| word.parse().expect("usage: kills UID PID SIGNAL")).collect();
    let [uid, pid, signal] = numbers[..] else { panic!("usage: kills UID PID SIGNAL") };
    say("ready");
    wait_for_go();
    // SAFETY: no memory is involved.
    unsafe {
        assert_eq!(libc::setuid(uid as u32), 0, "root may");
        assert_eq!(libc::kill(pid, signal), 0, "that user may");
    }
    say("sent");
    wait_for_go();
}
