//! What can be learned of a watch by looking at it.

use super::{EntryView, Fleet};
use crate::{
    ProcId, Wall,
    pfile::{Interval, Param},
};

/// Rules that were read again, and not taken: the old ones stay in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub at: Wall,
    /// Why, as a sentence.
    pub why: String,
}

impl Fleet {
    /// Every process that is watched.
    pub fn watched(&self) -> impl Iterator<Item = ProcId> + '_ {
        self.shared.watched.procs()
    }

    /// The parameters, as the file gives them.
    #[must_use]
    pub const fn param(&self) -> &Param {
        &self.param
    }

    /// `MONITOR_INTERVAL`, as in force.
    #[must_use]
    pub fn monitor_interval(&self) -> Interval {
        self.set_interval.unwrap_or_else(|| self.param.monitor_interval())
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Each entry as it stands, in the order of the file.
    #[must_use]
    pub fn views(&self) -> Vec<EntryView> {
        let mut views: Vec<_> = self.units.values().flat_map(|unit| unit.views(&self.shared)).collect();
        views.sort_by_key(|view| view.number);
        views
    }

    /// Rules that were to take the place of those in force, and could not: since then none were taken.
    #[must_use]
    pub const fn refused_rules(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }
}
