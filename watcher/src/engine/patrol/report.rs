//! What this process tells of itself and of one of its watches, when it is asked. Nothing of it is gathered before.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use watcher_core::{FleetId, Seen, Wall, fleet::Fleet, fleets::Fleets, tally::Tally};

use super::{Door, News, Patrol, post::Post};
use crate::{
    control::{Command, Metrics, PfileMetrics, Process, Programs, Reply, Request, Status, Unwatched, WhyNot},
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
    pub(super) tally: Tally,
    /// Why it does not learn of deaths by the tier that it began with.
    pub(super) tier_left: Option<String>,
    /// Pfiles that should be watched, and are not.
    unwatched: BTreeMap<PathBuf, WhyNot>,
}

impl Record {
    pub(super) fn new(began: Wall) -> Self {
        Self { began, seen: Seen::default(), tally: Tally::default(), tier_left: None, unwatched: BTreeMap::new() }
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
        let Self { began, seen, tally: _, tier_left, unwatched } = self;
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

    /// Answers what a look answers, and hands orders on.
    pub(super) fn serve(&mut self, door: Door, request: Request, news: &mut News) {
        let id = match door {
            Door::Lobby => return self.receive(request),
            Door::Metrics => {
                // Nobody may wait for it any more.
                let _nobody_waits = request.answer.send(self.metrics());
                return;
            }
            Door::Pfile(id) => id,
        };
        if let Command::Status { process } = request.command {
            // Nobody may wait for it any more; an answer that is dropped says that the watch has ended.
            let _nobody_waits = self.status(id, process).map(|status| request.answer.send(status));
            return;
        }
        // The same.
        let (Some(post), Some(fleet)) = (self.posts.get_mut(&id), self.fleets.get(id)) else { return };
        let order = post.serve(request, (fleet, self.senses.watch.tier()));
        news.of_one.extend(order.map(|order| (id, order)));
    }

    /// Figures of all that is watched here.
    fn metrics(&self) -> Reply {
        let posts = self.posts.iter().filter_map(|(id, post)| Some((post, self.fleets.get(*id)?)));
        let pfile = |(post, fleet): (&Post, &Fleet)| PfileMetrics {
            pfile: post.pfile.clone(),
            refused: fleet.refused_rules().is_some(),
            entries: fleet.views(),
        };
        Reply::Metrics(Box::new(Metrics {
            now: clock::now(),
            process: self.record.process(&self.fleets, &self.senses.watch),
            tally: self.record.tally.clone(),
            pfiles: posts.map(pfile).collect(),
        }))
    }

    /// How one of the watches stands.
    fn status(&self, id: FleetId, process: bool) -> Option<Reply> {
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
