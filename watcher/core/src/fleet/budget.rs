//! How many restarts are left, and how soon the next one may begin.

use crate::{Mono, Span, pfile::Seconds};

/// The restarts of one entry, or of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Budget {
    /// Restarts counted against the limit: `retry_count`.
    pub(super) count: u32,
    /// When the first of them was: the grace begins there.
    pub(super) opened: Option<Mono>,
    /// When the last restart was.
    pub(super) last: Option<Mono>,
}

impl Budget {
    /// Whether a failure now is one too many.
    ///
    /// Own choice, since nothing is published: the window opens at the first restart that is counted; a failure that
    /// comes later than the grace after it begins a new count. A grace of 0 has no end.
    pub(super) fn is_used_up(&mut self, now: Mono, grace: Seconds, limit: u32) -> bool {
        let expired = self.opened.is_some_and(|opened| now.since(opened) > Span::of_seconds(grace.0));
        if grace.0 > 0 && expired {
            (self.count, self.opened) = (0, None);
        }
        self.count >= limit
    }

    /// Counts a restart.
    pub(super) fn spend(&mut self, now: Mono) {
        self.opened.get_or_insert(now);
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
    }

    /// When the next verdict may be reached. The original looks every `MONITOR_INTERVAL`, so a process that dies at once
    /// costs it that long a try; whoever is told by the kernel must not use up the tries in milliseconds.
    pub(super) fn not_before(&self, interval: Span) -> Option<Mono> {
        self.last.map(|last| last.after(interval))
    }

    /// Begins anew. The pace is kept: a restart that was ordered is a restart.
    pub(super) fn reset(&mut self) {
        (self.count, self.opened) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u32) -> Mono {
        Mono(0).after(Span::of_seconds(seconds))
    }

    #[test]
    fn the_limit_counts_restarts_within_the_grace_that_began_with_the_first() {
        let (mut budget, grace) = (Budget::default(), Seconds(100));
        assert!(!budget.is_used_up(at(10), grace, 2));
        budget.spend(at(10));
        assert!(!budget.is_used_up(at(60), grace, 2));
        budget.spend(at(60));
        assert!(budget.is_used_up(at(110), grace, 2), "exactly the grace after the first is within it");
        assert!(!budget.is_used_up(at(111), grace, 2));
        assert_eq!((budget.count, budget.opened), (0, None));
    }

    #[test]
    fn a_grace_of_nothing_has_no_end_and_no_retries_are_none() {
        let mut budget = Budget::default();
        budget.spend(at(1));
        assert!(budget.is_used_up(at(80_000_000), Seconds(0), 1));
        assert!(Budget::default().is_used_up(at(0), Seconds(100), 0));
    }
}
