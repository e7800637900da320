//! Attempts that are under way or wait for their turn: not too many at once.

use std::collections::{BTreeMap, VecDeque};

use super::super::UnitId;
use crate::ProbeId;

/// So many services are asked at once, unless there is room for fewer. Each takes a descriptor, and TLS some memory and time.
pub(crate) const PROBES_AT_ONCE: usize = 256;

/// A check, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct Asker {
    pub(in crate::fleet) unit: UnitId,
    pub(in crate::fleet) member: usize,
    pub(in crate::fleet) check: usize,
}

/// All attempts of one fleet.
#[derive(Debug)]
pub(in crate::fleet) struct Probes {
    at_once: usize,
    queue: VecDeque<Asker>,
    under_way: BTreeMap<ProbeId, Asker>,
    next: u64,
}

impl Probes {
    pub(in crate::fleet) const fn new(first: u64) -> Self {
        Self { at_once: PROBES_AT_ONCE, queue: VecDeque::new(), under_way: BTreeMap::new(), next: first }
    }

    /// Somebody else says when one may begin.
    pub(in crate::fleet) const fn when_told(&mut self) {
        self.at_once = 0;
    }

    /// Not more than so many at once, but one.
    pub(in crate::fleet) fn limit(&mut self, at_once: usize) {
        self.at_once = at_once.clamp(1, PROBES_AT_ONCE);
    }

    /// Wants to ask; [`Self::grant`] tells when it may.
    pub(super) fn queue(&mut self, asker: Asker) {
        self.queue.push_back(asker);
    }

    /// Who may ask now, first come first served.
    pub(in crate::fleet) fn grant(&mut self) -> Option<Asker> {
        if self.under_way.len() < self.at_once { self.queue.pop_front() } else { None }
    }

    /// Who is the first of those that wait.
    pub(in crate::fleet) fn take_next(&mut self) -> Option<Asker> {
        self.queue.pop_front()
    }

    /// Whether somebody waits.
    pub(in crate::fleet) fn is_wanted(&self) -> bool {
        !self.queue.is_empty()
    }

    /// How many attempts are under way.
    pub(in crate::fleet) fn count(&self) -> usize {
        self.under_way.len()
    }

    /// The name of the next attempt.
    pub(super) const fn next(&self) -> ProbeId {
        ProbeId(self.next)
    }

    /// The next attempt begins.
    pub(super) fn begin(&mut self, asker: Asker) {
        self.under_way.insert(ProbeId(self.next), asker);
        self.next += 1;
    }

    /// An attempt is over, or not wanted any more. Whose it was.
    pub(in crate::fleet) fn end(&mut self, probe: ProbeId) -> Option<Asker> {
        self.under_way.remove(&probe)
    }

    /// Attempts that are under way.
    pub(in crate::fleet) fn names(&self) -> impl Iterator<Item = ProbeId> {
        self.under_way.keys().copied()
    }
}
