//! Many entries that are down at the same time, such as after a deploy or under want of memory: how far they have come
//! back. Only what was seen is counted.

use std::collections::BTreeSet;

use crate::{
    EntryId, FleetId, Mono, Span,
    fleet::standing::{Move, Standing},
};

/// So many that are down at once are many: of fewer, each is shown anyway.
const MANY: usize = 5;

/// Where for so long nothing has come of it, those that fall now have fallen for another reason.
const STALE: Span = Span::of_seconds(120);

/// Of fewer that have come back nothing follows for the others.
const FEWEST_FOR_A_RATE: usize = 5;

/// Many have fallen together. Those that fell come back, are given up, or are not wanted any more: each counts once, even if
/// it falls again meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// When there were many.
    pub began: Mono,
    /// When the last of them was back, or out of it.
    pub ended: Option<Mono>,
    /// How many have fallen since then, or were down at that moment.
    pub fallen: usize,
    /// Of these: have come back.
    pub back: usize,
    /// Were given up.
    pub gave_up: usize,
    /// Were suspended, or went from the rules.
    pub aside: usize,
}

impl Recovery {
    /// How many are still to come back.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.fallen.saturating_sub(self.back + self.gave_up + self.aside)
    }

    /// For how long it goes on, or went on.
    #[must_use]
    pub fn took(&self, now: Mono) -> Span {
        self.ended.unwrap_or(now).since(self.began)
    }

    /// How long it takes until all are back, if it goes on as it went until now: where enough have come back to say so.
    #[must_use]
    pub fn left(&self, now: Mono) -> Option<Span> {
        let pending = self.pending();
        if self.back < FEWEST_FOR_A_RATE || pending == 0 {
            return None;
        }
        let each = u128::from(self.took(now).0) * pending as u128 / self.back as u128;
        Some(Span(u64::try_from(each).unwrap_or(u64::MAX)))
    }
}

/// An entry, among all of a host.
type Key = (FleetId, EntryId);

/// Who is down on the host, and what becomes of many.
#[derive(Debug, Default)]
pub(super) struct Recoveries {
    down: BTreeSet<Key>,
    current: Option<Current>,
    last: Option<Recovery>,
    now: Mono,
}

#[derive(Debug)]
struct Current {
    so_far: Recovery,
    /// All that have fallen.
    members: BTreeSet<Key>,
    /// Those that are to come back.
    pending: BTreeSet<Key>,
    /// When something has come of it last.
    moved: Mono,
}

impl Current {
    fn begin(down: &BTreeSet<Key>, now: Mono) -> Self {
        let so_far = Recovery { began: now, ended: None, fallen: down.len(), back: 0, gave_up: 0, aside: 0 };
        Self { so_far, members: down.clone(), pending: down.clone(), moved: now }
    }
}

impl Recoveries {
    /// Something else happens.
    pub(super) fn begin_step(&mut self, now: Mono) {
        self.now = now;
    }

    /// How many are down.
    pub(super) fn down(&self) -> usize {
        self.down.len()
    }

    /// What goes on, or else went on last.
    pub(super) fn latest(&self) -> Option<Recovery> {
        self.current.as_ref().map(|current| current.so_far).or(self.last)
    }

    /// An entry stands otherwise.
    pub(super) fn note(&mut self, fleet: FleetId, Move { entry, standing, at }: Move) {
        let key = (fleet, entry);
        match standing {
            Standing::Down => self.falls(key, at),
            Standing::Aside | Standing::GaveUp | Standing::Well => self.rises(key, standing, at),
        }
    }

    /// A fleet has come to its end.
    pub(super) fn leave(&mut self, fleet: FleetId) {
        let all = (fleet, EntryId(0))..=(fleet, EntryId(u32::MAX));
        let down: Vec<_> = self.down.range(all).copied().collect();
        for key in down {
            self.rises(key, Standing::Aside, self.now);
        }
        // None of these ever falls again. Where one is stuck the count goes on for long, whoever comes and goes meanwhile.
        if let Some(current) = &mut self.current {
            current.members.retain(|(member, _)| *member != fleet);
        }
    }

    fn falls(&mut self, key: Key, now: Mono) {
        self.down.insert(key);
        // Those that are stuck are to be counted with those that fall now, and not the other way round.
        if self.current.as_ref().is_some_and(|current| now.since(current.moved) > STALE) {
            self.current = None;
        }
        match &mut self.current {
            Some(current) => {
                if current.members.insert(key) {
                    current.pending.insert(key);
                    current.so_far.fallen += 1;
                    current.moved = now;
                }
            }
            None => self.begin_if_many(now),
        }
    }

    fn rises(&mut self, key: Key, standing: Standing, now: Mono) {
        self.down.remove(&key);
        let Some(current) = &mut self.current else { return };
        if !current.pending.remove(&key) {
            return;
        }
        current.moved = now;
        let Recovery { back, gave_up, aside, .. } = &mut current.so_far;
        match standing {
            Standing::Well => *back += 1,
            Standing::GaveUp => *gave_up += 1,
            Standing::Aside | Standing::Down => *aside += 1,
        }
        if current.pending.is_empty() {
            self.last = Some(Recovery { ended: Some(now), ..current.so_far });
            self.current = None;
            // Those that were back, and fell again.
            self.begin_if_many(now);
        }
    }

    fn begin_if_many(&mut self, now: Mono) {
        if self.down.len() >= MANY {
            self.current = Some(Current::begin(&self.down, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * SECOND)
    }

    fn note(all: &mut Recoveries, entry: u32, standing: Standing, seconds: u64) {
        all.note(FleetId::FIRST, Move { entry: EntryId(entry), standing, at: at(seconds) });
    }

    fn fallen(count: u32) -> Recoveries {
        let mut all = Recoveries::default();
        (0..count).for_each(|entry| note(&mut all, entry, Standing::Down, 100));
        all
    }

    #[test]
    fn few_that_are_down_are_no_storm() {
        let mut all = fallen(4);
        assert_eq!((all.down(), all.latest()), (4, None));
        note(&mut all, 4, Standing::Down, 101);
        let recovery = all.latest().unwrap();
        assert_eq!((recovery.began, recovery.fallen, recovery.pending()), (at(101), 5, 5));
    }

    #[test]
    fn each_that_fell_counts_once_whatever_becomes_of_it() {
        let mut all = fallen(10);
        (0..6).for_each(|entry| note(&mut all, entry, Standing::Well, 110));
        // It falls again: it was back, and is down.
        note(&mut all, 0, Standing::Down, 111);
        note(&mut all, 6, Standing::GaveUp, 112);
        note(&mut all, 7, Standing::Aside, 113);
        note(&mut all, 10, Standing::Down, 114);
        let recovery = all.latest().unwrap();
        let Recovery { began: _, ended, fallen, back, gave_up, aside } = recovery;
        assert_eq!((ended, fallen, back, gave_up, aside, recovery.pending()), (None, 11, 6, 1, 1, 3));
        assert_eq!(all.down(), 4);
        (8..11).for_each(|entry| note(&mut all, entry, Standing::Well, 120));
        let recovery = all.latest().unwrap();
        assert_eq!((recovery.ended, recovery.back, recovery.pending()), (Some(at(120)), 9, 0));
        assert_eq!(recovery.took(at(500)), Span::of_seconds(20));
        // The one that is still down is few.
        note(&mut all, 0, Standing::Well, 130);
        assert_eq!(all.latest().unwrap().ended, Some(at(120)));
    }

    #[test]
    fn the_time_that_is_left_follows_from_what_has_come_back() {
        let mut all = fallen(20);
        (0..4).for_each(|entry| note(&mut all, entry, Standing::Well, 105));
        assert_eq!(all.latest().unwrap().left(at(110)), None, "too few to tell");
        note(&mut all, 4, Standing::Well, 110);
        let recovery = all.latest().unwrap();
        assert_eq!(recovery.left(at(110)), Some(Span::of_seconds(30)));
        assert_eq!(recovery.left(at(120)), Some(Span::of_seconds(60)), "nothing has come meanwhile");
        (5..20).for_each(|entry| note(&mut all, entry, Standing::Well, 130));
        assert_eq!(all.latest().unwrap().left(at(140)), None, "all are back");
    }

    #[test]
    fn those_that_are_stuck_do_not_spoil_the_count_of_those_that_fall_much_later() {
        let mut all = fallen(6);
        (10..110).for_each(|entry| note(&mut all, entry, Standing::Down, 10_000));
        let recovery = all.latest().unwrap();
        assert_eq!((recovery.began, recovery.fallen), (at(10_000), 106));
    }

    #[test]
    fn who_falls_again_after_all_were_back_begins_anew() {
        let mut all = fallen(6);
        (0..5).for_each(|entry| note(&mut all, entry, Standing::Well, 101));
        (0..5).for_each(|entry| note(&mut all, entry, Standing::Down, 102));
        assert_eq!(all.latest().unwrap().pending(), 1);
        note(&mut all, 5, Standing::Well, 103);
        let recovery = all.latest().unwrap();
        assert_eq!((recovery.began, recovery.ended, recovery.fallen), (at(103), None, 5));
        all.begin_step(at(104));
        all.leave(FleetId::FIRST);
        let recovery = all.latest().unwrap();
        assert_eq!((recovery.ended, recovery.aside, all.down()), (Some(at(104)), 5, 0));
    }

    #[test]
    fn while_one_is_stuck_those_that_come_and_go_leave_nothing_behind() {
        let mut all = fallen(6);
        for number in 1..1000 {
            all.begin_step(at(100 + u64::from(number)));
            let fleet = FleetId::new(number).unwrap();
            all.note(fleet, Move { entry: EntryId(0), standing: Standing::Down, at: at(100 + u64::from(number)) });
            all.leave(fleet);
        }
        let current = all.current.as_ref().unwrap();
        assert_eq!((current.so_far.fallen, current.so_far.aside, current.members.len()), (6 + 999, 999, 6));
    }

    proptest! {
        #[test]
        fn the_parts_are_always_the_whole(moves in prop::collection::vec((0..3_u32, 0..12_u32, 0..4_u8, 0..60_u64), 0..300)) {
            let mut all = Recoveries::default();
            let mut now = 0;
            for (fleet, entry, standing, later) in moves {
                now += later;
                let fleet = FleetId::new(fleet).unwrap();
                let standing = [Standing::Aside, Standing::Down, Standing::GaveUp, Standing::Well][usize::from(standing)];
                all.note(fleet, Move { entry: EntryId(entry), standing, at: at(now) });
                if let Some(recovery) = all.latest() {
                    let Recovery { began, ended, fallen, back, gave_up, aside } = recovery;
                    prop_assert_eq!(back + gave_up + aside + recovery.pending(), fallen);
                    prop_assert_eq!(ended.is_some(), recovery.pending() == 0);
                    prop_assert!(recovery.pending() <= all.down() || ended.is_some());
                    prop_assert!(began <= at(now));
                }
                let goes_on = all.current.is_some();
                prop_assert!(goes_on || all.down() < MANY);
            }
        }
    }
}
