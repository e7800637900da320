//! Processes that are looked at time and again: each once in an interval, and not all at the same moment.

use std::{
    collections::BTreeSet,
    ops::Bound::{Excluded, Unbounded},
};

use watcher_core::ProcId;

/// So many are looked at in one go; it takes some milliseconds.
const AT_ONCE: usize = 200;

/// In so many goes, at most, goes an interval: each is a wake-up.
const MOST_SLICES: u32 = 50;

/// They, and how far the round has come.
#[derive(Debug, Default)]
pub struct Looks {
    procs: BTreeSet<ProcId>,
    /// The last one that was looked at.
    last: Option<ProcId>,
}

impl Looks {
    /// Looks at it, too.
    pub fn insert(&mut self, proc: ProcId) {
        self.procs.insert(proc);
    }

    /// Does so no longer.
    pub fn remove(&mut self, proc: ProcId) {
        self.procs.remove(&proc);
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.procs.is_empty()
    }

    /// Takes all of them out.
    pub fn take(&mut self) -> BTreeSet<ProcId> {
        std::mem::take(&mut self.procs)
    }

    /// In how many slices a round goes.
    #[must_use]
    pub fn slices(&self) -> u32 {
        u32::try_from(self.procs.len().div_ceil(AT_ONCE)).map_or(MOST_SLICES, |slices| slices.clamp(1, MOST_SLICES))
    }

    /// The next slice: whoever has not been looked at for longest.
    pub fn next_slice(&mut self) -> Vec<ProcId> {
        let count = self.procs.len().div_ceil(self.slices() as usize);
        let later = self.procs.range((self.last.map_or(Unbounded, Excluded), Unbounded));
        let slice: Vec<_> = later.chain(&self.procs).take(count).copied().collect();
        self.last = slice.last().copied();
        slice
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use watcher_core::{Pid, StartTicks};

    use super::*;

    fn proc(number: u32) -> ProcId {
        ProcId { pid: Pid::new(number).unwrap(), start: StartTicks(7) }
    }

    fn herd(count: u32) -> Looks {
        let mut looks = Looks::default();
        (1..=count).for_each(|number| looks.insert(proc(number)));
        looks
    }

    #[test]
    fn a_few_are_looked_at_together() {
        let mut looks = herd(3);
        assert_eq!((looks.slices(), looks.next_slice().len(), looks.next_slice().len()), (1, 3, 3));
        assert!(Looks::default().next_slice().is_empty());
    }

    #[test]
    fn of_many_each_has_its_turn_once_a_round() {
        for count in [201, 1_000, 10_000, 10_001, 100_000] {
            let mut looks = herd(count);
            let mut seen = BTreeMap::new();
            let slices = looks.slices();
            for _ in 0..slices {
                let slice = looks.next_slice();
                assert!(slice.len() <= AT_ONCE.max((count / MOST_SLICES) as usize + 1), "{}", slice.len());
                slice.into_iter().for_each(|proc| *seen.entry(proc).or_insert(0) += 1);
            }
            assert_eq!(seen.len(), count as usize, "nobody is left out");
            // The last slice may have room for some of the first.
            assert!(seen.values().filter(|times| **times > 1).count() < slices as usize);
        }
    }

    #[test]
    fn whoever_comes_or_goes_puts_nobody_off() {
        let mut looks = herd(1_000);
        let first = looks.next_slice();
        first.iter().for_each(|proc| looks.remove(*proc));
        (2_000..2_200).for_each(|number| looks.insert(proc(number)));
        let mut seen: BTreeSet<_> = first.into_iter().collect();
        for _ in 1..5 {
            seen.extend(looks.next_slice());
        }
        assert!((1..=1_000).all(|number| seen.contains(&proc(number))));
    }
}
