//! Which ports are watched, and for whom: the kernel speaks of ports in network namespaces, units of their members.

use std::collections::BTreeMap;

use super::super::UnitId;
use crate::{PortKey, PortWatchId};

/// For whom a port is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct Owner {
    pub(in crate::fleet) unit: UnitId,
    pub(in crate::fleet) member: usize,
}

/// All watched ports of one fleet.
#[derive(Debug)]
pub(in crate::fleet) struct PortWatches {
    owners: BTreeMap<PortWatchId, (Owner, Option<PortKey>)>,
    next: u64,
}

impl PortWatches {
    pub(in crate::fleet) const fn new(first: u64) -> Self {
        Self { owners: BTreeMap::new(), next: first }
    }

    /// All of them.
    pub(in crate::fleet) fn names(&self) -> impl Iterator<Item = PortWatchId> {
        self.owners.keys().copied()
    }

    pub(super) fn begin(&mut self, owner: Owner) -> PortWatchId {
        let watch = PortWatchId(self.next);
        self.next += 1;
        self.owners.insert(watch, (owner, None));
        watch
    }

    pub(super) fn end(&mut self, watch: PortWatchId) {
        self.owners.remove(&watch);
    }

    pub(in crate::fleet) fn owner(&self, watch: PortWatchId) -> Option<Owner> {
        self.owners.get(&watch).map(|(owner, _)| *owner)
    }

    /// As the kernel calls it.
    pub(in crate::fleet) fn name(&mut self, watch: PortWatchId, key: PortKey) {
        if let Some((_, named)) = self.owners.get_mut(&watch) {
            *named = Some(key);
        }
    }

    /// Who watches a port.
    pub(in crate::fleet) fn of(&self, key: PortKey) -> Vec<(PortWatchId, Owner)> {
        let named = self.owners.iter().filter(|(_, (_, named))| *named == Some(key));
        named.map(|(watch, (owner, _))| (*watch, *owner)).collect()
    }
}
