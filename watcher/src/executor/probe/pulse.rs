//! Whether this process has run while others were asked. One that was stopped, or that got no time, had no time to hear an
//! answer either.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// How often it is looked, while somebody is asked;
const PERIOD: Duration = Duration::from_millis(500);
/// and from which delay on this process did not run.
const GAP: Duration = Duration::from_millis(500);

/// A beat, and when it was last missed.
#[derive(Debug)]
pub(super) struct Pulse {
    beats: Interval,
    last: Instant,
    /// The end of the last gap.
    missed: Option<Instant>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let last = Instant::now();
        let mut beats = interval_at(last + PERIOD, PERIOD);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { beats, last, missed: None }
    }

    /// Somebody is asked from now on. As long as nobody was, it did not beat.
    pub(super) fn begin(&mut self, nobody_is_asked: bool, now: Instant) {
        if nobody_is_asked {
            self.beats.reset();
            self.last = now;
        } else {
            self.look(now);
        }
    }

    /// Waits for the next beat.
    pub(super) async fn beat(&mut self) {
        let _due = self.beats.tick().await;
        let now = Instant::now();
        self.look(now);
        self.last = now;
    }

    /// Whether a beat was missed since then.
    pub(super) fn has_missed(&mut self, since: Instant) -> bool {
        self.look(Instant::now());
        self.missed.is_some_and(|missed| missed > since)
    }

    fn look(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last) > PERIOD + GAP {
            self.missed = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_under_way_in_a_gap_is_told_from_what_was_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pulse = Pulse::new();
            let before = Instant::now();
            assert!(!pulse.has_missed(before), "it is too early for that");
            // As if it had been long ago.
            pulse.last = before.checked_sub(PERIOD + GAP + GAP).unwrap();
            assert!(pulse.has_missed(before), "even before the beat that is late");
            let after = Instant::now();
            pulse.begin(true, after);
            assert!(!pulse.has_missed(after), "that began later");
            assert!(pulse.has_missed(before), "that began before, and goes on");
            pulse.beat().await;
            // That beat may have been late, as it is where many others want the processor.
            let after = Instant::now();
            pulse.last = Instant::now().checked_sub(PERIOD + GAP + GAP).unwrap();
            pulse.begin(true, Instant::now());
            assert!(!pulse.has_missed(after), "nobody was asked");
        });
    }
}
