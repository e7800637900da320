//! What this process tells of itself and of one of its watches, when it is asked. Nothing of it is gathered before.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use watcher_core::{FleetId, Seen, Wall, fleet::Fleet, fleets::Fleets};

use super::Patrol;
use crate::{
    control::{Process, Programs, Reply, Status, Unwatched, WhyNot},
    executor::watch::Watch,
    sys::{clock, cost, own, raw_tracepoint},
};

/// So many pfiles that are not watched are named.
const SHOWN: usize = 20;

/// What is remembered for whoever asks.
#[derive(Debug)]
pub(super) struct Record {
    /// Since when this process watches.
    began: Wall,
    pub(super) seen: Seen,
    /// Why it does not learn of deaths by the tier that it began with.
    pub(super) tier_left: Option<String>,
    /// Pfiles that should be watched, and are not.
    unwatched: BTreeMap<PathBuf, WhyNot>,
}

impl Record {
    pub(super) fn new(began: Wall) -> Self {
        Self { began, seen: Seen::default(), tier_left: None, unwatched: BTreeMap::new() }
    }

    /// A pfile is not watched, or not any more.
    pub(super) fn is_unwatched(&mut self, pfile: PathBuf, why: WhyNot) {
        self.unwatched.insert(pfile, why);
    }

    /// It is watched.
    pub(super) fn is_watched(&mut self, pfile: &Path) {
        self.unwatched.remove(pfile);
    }

    /// There are these. Others need not be watched.
    pub(super) fn keep(&mut self, pfiles: &BTreeSet<PathBuf>) {
        self.unwatched.retain(|pfile, _| pfiles.contains(pfile));
    }

    fn process(&self, fleets: &Fleets, watch: &Watch) -> Process {
        let Self { began, seen, tier_left, unwatched } = self;
        let some: Vec<_> = unwatched.iter().take(SHOWN).map(|(pfile, why)| (pfile.clone(), why.clone())).collect();
        let programs = watch.runs().map(|runs| Programs { counted: raw_tracepoint::runs_are_counted(), runs });
        Process {
            pid: own::pid(),
            began: *began,
            tier: watch.tier(),
            tier_left: tier_left.clone(),
            unwatched: Unwatched { more: unwatched.len() - some.len(), some },
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
    /// How this process stands: whoever asks at the lobby need not know what it watches, or that it watches nothing.
    pub(super) fn process(&self) -> Reply {
        Reply::Process(clock::now(), Box::new(self.record.process(&self.fleets, &self.senses.watch)))
    }

    /// How one of the watches stands.
    pub(super) fn status(&self, id: FleetId, process: bool) -> Option<Reply> {
        let (post, fleet): (_, &Fleet) = (self.posts.get(&id)?, self.fleets.get(id)?);
        Some(Reply::Status(Box::new(Status {
            now: clock::now(),
            who: post.who(fleet, self.senses.watch.tier()),
            refused: fleet.refused_rules().cloned(),
            process: process.then(|| self.record.process(&self.fleets, &self.senses.watch)),
            entries: fleet.views(),
        })))
    }
}
