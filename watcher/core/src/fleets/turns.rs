//! Whose turn it is, where all fleets share what there is: so many at once on the whole host, and fair between fleets.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Unbounded},
};

use crate::{FleetId, fleet::hosted::Share};

/// What all share.
#[derive(Debug)]
pub(super) struct Turns {
    at_once: usize,
    taken: BTreeMap<FleetId, usize>,
    total: usize,
    waiting: BTreeSet<FleetId>,
    /// Who had the last turn.
    last: Option<FleetId>,
}

impl Turns {
    /// At most so many at once, but one.
    pub(super) fn new(at_once: usize) -> Self {
        Self { at_once: at_once.max(1), taken: BTreeMap::new(), total: 0, waiting: BTreeSet::new(), last: None }
    }

    /// How things stand with a fleet.
    pub(super) fn note(&mut self, fleet: FleetId, share: Share) {
        let Share { taken, wants_more } = share;
        let before = if taken > 0 { self.taken.insert(fleet, taken) } else { self.taken.remove(&fleet) };
        self.total = (self.total + taken).saturating_sub(before.unwrap_or(0));
        if wants_more {
            self.waiting.insert(fleet);
        } else {
            self.waiting.remove(&fleet);
        }
    }

    /// How many there may be, and how many there are.
    pub(super) const fn taken(&self) -> (usize, usize) {
        (self.at_once, self.total)
    }

    /// Who may take one more now: one fleet after the other, however much one of them wants.
    pub(super) fn next(&mut self) -> Option<FleetId> {
        if self.total >= self.at_once {
            return None;
        }
        let after = self.last.map_or(Unbounded, Excluded);
        let next = self.waiting.range((after, Unbounded)).next().or_else(|| self.waiting.first()).copied()?;
        self.last = Some(next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fleet_after_the_other_has_its_turn() {
        let [a, b, c] = [1, 2, 3].map(|number| FleetId::new(number).unwrap());
        let mut turns = Turns::new(4);
        let mut taken = BTreeMap::from([(a, 0), (b, 0), (c, 0)]);
        // One wants a hundred, the others two each.
        let wants = |fleet, taken| taken < if fleet == a { 100 } else { 2 };
        let mut order = Vec::new();
        for fleet in [a, b, c] {
            turns.note(fleet, Share { taken: 0, wants_more: true });
        }
        while let Some(fleet) = turns.next() {
            let count = taken.entry(fleet).or_insert(0);
            *count += 1;
            turns.note(fleet, Share { taken: *count, wants_more: wants(fleet, *count) });
            order.push(fleet.number());
        }
        assert_eq!(order, [1, 2, 3, 1]);
        // What ends makes room for the next.
        turns.note(a, Share { taken: 0, wants_more: true });
        assert_eq!([turns.next(), turns.next()], [Some(b), Some(c)]);
        turns.note(b, Share::default());
        turns.note(c, Share::default());
        assert_eq!([turns.next(), turns.next()], [Some(a), Some(a)], "alone");
    }
}
