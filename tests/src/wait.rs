//! Waiting with a deadline for what no descriptor tells of.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Far beyond anything that a healthy machine needs: reaching it means failure, not slowness. `cargo xtask vm` builds the
/// tests for guests, which are ten times slower.
pub const DEADLINE: Duration =
    Duration::from_secs(if option_env!("WATCHER_TEST_FOR_GUESTS").is_some() { 240 } else { 60 });

/// Waits until a condition holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "in vain: waited until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
