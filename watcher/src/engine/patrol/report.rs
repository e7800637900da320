//! What this process tells of itself and of one of its watches, when it is asked. Nothing of it is gathered before.

use watcher_core::{FleetId, Seen, Wall, fleet::Fleet, fleets::Fleets};

use super::Patrol;
use crate::{
    control::{Process, Programs, Reply, Status},
    executor::watch::Watch,
    sys::{clock, cost, own, raw_tracepoint},
};

/// What is remembered for whoever asks.
#[derive(Debug)]
pub(super) struct Record {
    /// Since when this process watches.
    began: Wall,
    pub(super) seen: Seen,
    /// Why it does not learn of deaths by the tier that it began with.
    pub(super) tier_left: Option<String>,
}

impl Record {
    pub(super) fn new(began: Wall) -> Self {
        Self { began, seen: Seen::default(), tier_left: None }
    }

    fn process(&self, fleets: &Fleets, watch: &Watch) -> Process {
        let Self { began, seen, tier_left } = self;
        let programs = watch.runs().map(|runs| Programs { counted: raw_tracepoint::runs_are_counted(), runs });
        Process {
            pid: own::pid(),
            began: *began,
            tier: watch.tier(),
            tier_left: tier_left.clone(),
            pfiles: fleets.iter().count(),
            entries: fleets.iter().map(|(_, fleet)| fleet.len()).sum(),
            watched: fleets.watched().count(),
            cost: cost::own(),
            seen: *seen,
            programs,
            down: fleets.down(),
            scripts: fleets.scripts(),
            recovery: fleets.recovery(),
        }
    }
}

impl Patrol {
    /// How one of the watches stands.
    pub(super) fn status(&self, id: FleetId) -> Option<Reply> {
        let (post, fleet): (_, &Fleet) = (self.posts.get(&id)?, self.fleets.get(id)?);
        Some(Reply::Status(Box::new(Status {
            now: clock::now(),
            who: post.who(fleet, self.senses.watch.tier()),
            refused: fleet.refused_rules().cloned(),
            process: self.record.process(&self.fleets, &self.senses.watch),
            entries: fleet.views(),
        })))
    }
}
