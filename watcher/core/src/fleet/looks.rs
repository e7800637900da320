//! Looks at all processes: dear on a full host, so one serves all who ask, and there is a pause between two.

use std::collections::BTreeSet;

use crate::{Mono, Span, StartTicks, Uptime, pfile::select::Processes};

/// Start times are told in ticks: a process may have begun this much later than it says.
const TICK: Span = Span::of_millis(10);

/// Ticks in a second.
const TICKS: u64 = 100;

/// All processes as they were at some moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing<'a> {
    pub(super) processes: &'a Processes,
    /// When they had been read.
    pub(super) uptime: Uptime,
    /// When the look began: of what came later it knows nothing.
    pub(super) began: Mono,
}

impl Listing<'_> {
    /// Whether a process began after a moment.
    pub(super) fn began_after(&self, start: StartTicks, moment: Mono) -> bool {
        // As far as the ticks tell: when in doubt, after.
        Mono(self.uptime.at.0.saturating_sub(self.age(start).0)).after(TICK) >= moment
    }

    /// How long before the look a process began.
    pub(super) fn age(&self, start: StartTicks) -> Span {
        Span(self.uptime.ticks.0.saturating_sub(start.0).saturating_mul(1_000_000_000 / TICKS))
    }
}

/// Who waits for a look.
#[derive(Debug)]
pub(crate) struct Looks<K> {
    /// They asked before the look began that is under way.
    served: BTreeSet<K>,
    /// They asked after that.
    asking: BTreeSet<K>,
    /// When the look began that is under way.
    under_way: Option<Mono>,
    /// Not sooner than this, so that looking does not become all that is done.
    not_before: Option<Mono>,
}

impl<K: Copy + Ord> Looks<K> {
    pub(crate) const fn new() -> Self {
        Self { served: BTreeSet::new(), asking: BTreeSet::new(), under_way: None, not_before: None }
    }

    /// Wants a look that begins from now on.
    pub(crate) fn ask(&mut self, who: K) {
        self.asking.insert(who);
    }

    /// Does not want it any more.
    pub(crate) fn leave(&mut self, who: K) {
        self.asking.remove(&who);
        self.served.remove(&who);
    }

    /// Whether a look is to begin now.
    pub(crate) fn begin(&mut self, now: Mono) -> bool {
        let is_due = self.not_before.is_none_or(|at| at <= now);
        let begins = self.under_way.is_none() && is_due && !self.asking.is_empty();
        if begins {
            self.under_way = Some(now);
            self.served = std::mem::take(&mut self.asking);
        }
        begins
    }

    /// Somebody for whom a look is under way.
    pub(crate) fn first_served(&self) -> Option<K> {
        self.served.first().copied()
    }

    /// The look has been taken: who asked for it, and when it began.
    pub(crate) fn end(&mut self, now: Mono) -> (BTreeSet<K>, Mono) {
        const PAUSE: Span = Span::of_millis(20);
        let began = self.under_way.take().unwrap_or(now);
        self.not_before = Some(now.after(now.since(began).max(PAUSE)));
        (std::mem::take(&mut self.served), began)
    }

    /// When a look may begin that is waited for.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        self.not_before.filter(|_| self.under_way.is_none() && !self.asking.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::UnitId, *};

    const MS: u64 = 1_000_000;

    #[test]
    fn one_look_serves_all_who_asked_before_it_began_and_looks_keep_a_pause() {
        let mut looks = Looks::new();
        looks.ask(UnitId(1));
        looks.ask(UnitId(2));
        assert!(looks.begin(Mono(0)));
        looks.ask(UnitId(3));
        assert!(!looks.begin(Mono(MS)));
        assert_eq!(looks.end(Mono(50 * MS)), (BTreeSet::from([UnitId(1), UnitId(2)]), Mono(0)));
        assert!(!looks.begin(Mono(99 * MS)));
        assert_eq!(looks.deadline(), Some(Mono(100 * MS)));
        assert!(looks.begin(Mono(100 * MS)));
        assert_eq!(looks.end(Mono(100 * MS)), (BTreeSet::from([UnitId(3)]), Mono(100 * MS)));
        assert!(!looks.begin(Mono(999 * MS)));
        assert_eq!(looks.deadline(), None);
    }

    #[test]
    fn a_process_that_began_in_the_tick_of_the_death_counts_as_newer() {
        let processes = Processes::default();
        let second = 1_000 * MS;
        let uptime = Uptime { ticks: StartTicks(10_000), at: Mono(50 * second) };
        let listing = Listing { processes: &processes, uptime, began: uptime.at };
        let died = Mono(49 * second + 5 * MS);
        assert!(listing.began_after(StartTicks(9_900), died));
        assert!(!listing.began_after(StartTicks(9_899), died));
        assert!(listing.began_after(StartTicks(20_000), died));
    }
}
