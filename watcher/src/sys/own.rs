//! This process.

use watcher_core::Pid;

/// Its pid.
///
/// # Panics
/// Never: a process always has a pid.
#[must_use]
pub fn pid() -> Pid {
    #[expect(clippy::expect_used, reason = "the kernel gives every process a pid above 0")]
    Pid::new(std::process::id()).expect("a process has a pid")
}
