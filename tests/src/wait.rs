//! Waiting with a deadline for what no descriptor tells of.

use std::{
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use crate::is_emulated;

/// Far beyond anything that a healthy machine needs: reaching it means failure, not slowness.
pub static DEADLINE: LazyLock<Duration> = LazyLock::new(|| Duration::from_secs(if is_emulated() { 240 } else { 60 }));

/// Waits until a condition holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + *DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "in vain: waited until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
