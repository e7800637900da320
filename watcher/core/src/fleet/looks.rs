//! Looks at all processes: dear on a full host, so one serves all who ask, and there is a pause between two.

use std::collections::BTreeSet;

use super::UnitId;
use crate::{Mono, Span, StartTicks, pfile::select::Processes};

/// Start times are told in ticks: a process may have begun this much later than it says.
const TICK: Span = Span::of_millis(10);

/// Ticks in a second.
const TICKS: u64 = 100;

/// All processes as they were at some moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing<'a> {
    pub(super) processes: &'a Processes,
    /// The moment, on the clock of start times.
    pub(super) uptime: StartTicks,
    /// When the look began: of what came later it knows nothing.
    pub(super) began: Mono,
    /// The moment.
    pub(super) now: Mono,
}

impl Listing<'_> {
    /// Whether a process began after a moment.
    pub(super) fn began_after(&self, start: StartTicks, moment: Mono) -> bool {
        // As far as the ticks tell: when in doubt, after.
        Mono(self.now.0.saturating_sub(self.age(start).0)).after(TICK) >= moment
    }

    /// How long ago a process began.
    pub(super) fn age(&self, start: StartTicks) -> Span {
        Span(self.uptime.0.saturating_sub(start.0).saturating_mul(1_000_000_000 / TICKS))
    }
}

/// Who waits for a look.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// They asked before the look began that is under way.
    served: BTreeSet<UnitId>,
    /// They asked after that.
    asking: BTreeSet<UnitId>,
    /// When the look began that is under way.
    under_way: Option<Mono>,
    /// Not sooner than this, so that looking does not become all that is done.
    not_before: Option<Mono>,
}

impl Looks {
    /// Wants a look that begins from now on.
    pub(super) fn ask(&mut self, unit: UnitId) {
        self.asking.insert(unit);
    }

    /// Does not want it any more.
    pub(super) fn leave(&mut self, unit: UnitId) {
        self.asking.remove(&unit);
        self.served.remove(&unit);
    }

    /// Whether a look is to begin now.
    pub(super) fn begin(&mut self, now: Mono) -> bool {
        let is_due = self.not_before.is_none_or(|at| at <= now);
        let begins = self.under_way.is_none() && is_due && !self.asking.is_empty();
        if begins {
            self.under_way = Some(now);
            self.served = std::mem::take(&mut self.asking);
        }
        begins
    }

    /// The look has been taken: who asked for it, and when it began.
    pub(super) fn end(&mut self, now: Mono) -> (BTreeSet<UnitId>, Mono) {
        const PAUSE: Span = Span::of_millis(20);
        let began = self.under_way.take().unwrap_or(now);
        self.not_before = Some(now.after(now.since(began).max(PAUSE)));
        (std::mem::take(&mut self.served), began)
    }

    /// When a look may begin that is waited for.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.not_before.filter(|_| self.under_way.is_none() && !self.asking.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn one_look_serves_all_who_asked_before_it_began_and_looks_keep_a_pause() {
        let mut looks = Looks::default();
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
        let (uptime, now) = (StartTicks(10_000), Mono(50 * second));
        let listing = Listing { processes: &processes, uptime, began: now, now };
        let died = Mono(49 * second + 5 * MS);
        assert!(listing.began_after(StartTicks(9_900), died));
        assert!(!listing.began_after(StartTicks(9_899), died));
        assert!(listing.began_after(StartTicks(20_000), died));
    }
}
