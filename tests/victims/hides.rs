//! Hides from its own user: once told to, it may not be looked at, and `/proc` mounted with `hidepid` says of it what it says
//! of a process that has gone.

use watcher_tests::script::{say, wait_for_go};

fn main() {
    say("ready");
    wait_for_go();
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) }, 0, "everybody may");
    say("hidden");
    wait_for_go();
}
