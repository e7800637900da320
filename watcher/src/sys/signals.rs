//! Which signals reach this process.

use std::ptr;

/// Lets every signal through to this thread, and to those that it makes. Whoever started this process may have left some
/// blocked, and blocked signals stay so across `exec`: nothing would tell of the end of a child, nor of SIGTERM.
pub fn unblock_all() {
    // SAFETY: an empty set, written before it is read; every bit pattern is a valid set.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}
