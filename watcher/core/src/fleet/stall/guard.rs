//! When many services seem to stall at once, it is rather the host that does: verdicts are held, and that is told.

/// Fewer than this are not many.
const MANY: usize = 5;

/// More than so many of a hundred are held, where the file says nothing else.
const SHARE: u32 = 50;

/// How many entries are asked, and how many of them do not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::fleet) struct Tally {
    pub(in crate::fleet) asked: usize,
    pub(in crate::fleet) failing: usize,
}

/// Holds verdicts.
#[derive(Debug)]
pub(in crate::fleet) struct Guard {
    /// In percent; none: nothing is ever held.
    share: Option<u32>,
    tally: Tally,
    /// Verdicts are held, and that was told.
    pub(in crate::fleet) holds: bool,
}

impl Guard {
    pub(in crate::fleet) fn new() -> Self {
        Self { share: Some(SHARE), tally: Tally::default(), holds: false }
    }

    /// What the file says: a share, nothing, or that nothing is to be held.
    pub(in crate::fleet) fn set(&mut self, share: Option<Option<u32>>) {
        self.share = share.unwrap_or(Some(SHARE));
    }

    /// The tally of one unit has changed.
    pub(super) const fn count(&mut self, before: Tally, after: Tally) {
        let Tally { asked, failing } = &mut self.tally;
        *asked = (*asked + after.asked).saturating_sub(before.asked);
        *failing = (*failing + after.failing).saturating_sub(before.failing);
    }

    pub(in crate::fleet) const fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether so many do not answer that it can hardly be their fault.
    pub(in crate::fleet) fn is_too_much(&self) -> bool {
        let Tally { asked, failing } = self.tally;
        let is_more = |share: u32| failing.saturating_mul(100) > asked.saturating_mul(share as usize);
        failing >= MANY && self.share.is_some_and(is_more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(asked: usize, failing: usize) -> Guard {
        let mut guard = Guard::new();
        guard.count(Tally::default(), Tally { asked, failing });
        guard
    }

    #[test]
    fn more_than_the_share_is_too_much_if_it_is_many() {
        for (asked, failing, too_much) in
            [(4, 4, false), (5, 5, true), (10, 5, false), (10, 6, true), (1_000, 6, false)]
        {
            assert_eq!(guard(asked, failing).is_too_much(), too_much, "{failing} of {asked}");
        }
    }

    #[test]
    fn the_file_says_how_much_is_too_much() {
        let mut guard = guard(10, 10);
        guard.set(Some(None));
        assert!(!guard.is_too_much(), "off");
        guard.set(Some(Some(100)));
        assert!(!guard.is_too_much(), "never more than all");
        guard.set(Some(Some(90)));
        assert!(guard.is_too_much());
        guard.count(Tally { asked: 1, failing: 1 }, Tally { asked: 1, failing: 0 });
        assert!(!guard.is_too_much(), "one of them answers");
        guard.set(None);
        assert!(guard.is_too_much(), "the default");
    }
}
