//! Dies by SIGSEGV in a thread that does not lead, dumping core where that is allowed.

use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use watcher_tests::script::{say, wait_for_go};

fn main() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: maximum, maximum }).expect("lowering nothing");
    // SAFETY: the default action in place of Rust's handler for stack overflows.
    unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
    let thread = thread::spawn(|| {
        wait_for_go();
        // SAFETY: none; that is its habit.
        unsafe { std::ptr::null_mut::<u32>().write_volatile(1) };
    });
    say("ready");
    let _ = thread.join();
}
