//! Scripts that run or wait to run: how many at once, and how long each.

use std::collections::{BTreeMap, VecDeque};

use super::{UnitId, member::Target, timers::Timers};
use crate::{Mono, ProcId, RunId, Span, Subject, pfile::AbsolutePath};

/// A script that takes longer than this works no more, but waits for something: others may begin.
const LEASE: Span = Span::of_seconds(3);

/// A script that takes longer than this may have started a service in its foreground.
const SLOW: Span = Span::of_seconds(30);

/// From asking a script to end until it is ended by force.
const PATIENCE: Span = Span::of_seconds(10);

/// All runs of one fleet.
#[derive(Debug)]
pub(super) struct Runs {
    at_once: usize,
    /// Who waits, and since when.
    queue: VecDeque<(UnitId, Mono)>,
    running: BTreeMap<RunId, Running>,
    /// How many of them count among those that run at once.
    leased: usize,
    timers: Timers<RunId>,
    next: u64,
}

/// A script that is to run.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Who waits for it.
    pub(super) unit: UnitId,
    /// For which entry.
    pub(super) subject: Subject,
    /// Whose process it brings back.
    pub(super) target: Target,
    pub(super) script: AbsolutePath,
    /// How long it may run.
    pub(super) limit: Span,
}

/// A script that runs.
#[derive(Debug)]
pub(super) struct Running {
    /// Who waits for it; nobody when the entry has gone from the rules.
    pub(super) unit: Option<UnitId>,
    target: Target,
    /// For which entry it was started.
    pub(super) subject: Subject,
    /// What runs.
    pub(super) script: AbsolutePath,
    /// Its process, once that is known.
    pub(super) proc: Option<ProcId>,
    /// It was started by an earlier pcheck: it is watched like a stranger.
    pub(super) adopted: bool,
    /// Since when.
    pub(super) since: Mono,
    limit: Span,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It counts among those that run at once.
    Leased,
    /// It does not any more.
    Waiting,
    /// That it takes long was told.
    Slow,
    /// It was asked to end.
    Asked(Mono),
    /// It was ended by force.
    Forced,
}

/// What the passing of time means for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It is to be asked to end; this was its limit.
    Ask(Span),
    /// It is to be ended by force.
    Force,
    /// It has run for so long: that is to be told.
    Tell(Span),
}

impl Runs {
    /// At most so many at once; none: somebody else says when one may begin.
    pub(super) fn new(at_once: Option<usize>, first: u64) -> Self {
        Self {
            at_once: at_once.map_or(0, |at_once| at_once.max(1)),
            queue: VecDeque::new(),
            running: BTreeMap::new(),
            leased: 0,
            timers: Timers::new(),
            next: first,
        }
    }

    /// Wants to run a script; [`Self::grant`] tells when it may.
    pub(super) fn queue(&mut self, unit: UnitId, now: Mono) {
        self.queue.push_back((unit, now));
    }

    /// Does not want to any more.
    pub(super) fn leave_queue(&mut self, unit: UnitId) {
        self.queue.retain(|(waiting, _)| *waiting != unit);
    }

    /// Who may run a script now, first come first served.
    pub(super) fn grant(&mut self) -> Option<UnitId> {
        if self.leased() < self.at_once { self.take_next() } else { None }
    }

    /// Who is the first of those that wait.
    pub(super) fn take_next(&mut self) -> Option<UnitId> {
        self.queue.pop_front().map(|(unit, _)| unit)
    }

    /// How many run, how many wait, and since when the first of those does.
    pub(super) fn counts(&self) -> (usize, usize, Option<Mono>) {
        (self.running.len(), self.queue.len(), self.queue.front().map(|(_, since)| *since))
    }

    /// Whether somebody waits.
    pub(super) fn is_wanted(&self) -> bool {
        !self.queue.is_empty()
    }

    /// How many count among those that run at once.
    pub(super) const fn leased(&self) -> usize {
        self.leased
    }

    /// A script is about to run.
    pub(super) fn begin(&mut self, wanted: Wanted, now: Mono) -> RunId {
        let Wanted { unit, subject, target, script, limit } = wanted;
        let run = RunId(self.next);
        self.next += 1;
        let running = Running {
            unit: Some(unit),
            subject,
            target,
            script,
            proc: None,
            adopted: false,
            since: now,
            limit,
            stage: Stage::Leased,
        };
        self.running.insert(run, running);
        self.leased += 1;
        self.timers.set(run, Some(now.after(LEASE.min(limit))));
        run
    }

    /// A script of an earlier pcheck runs still.
    pub(super) fn adopt(&mut self, wanted: Wanted, (proc, since): (ProcId, Mono)) -> RunId {
        let limit = wanted.limit;
        let run = self.begin(wanted, since);
        if let Some(running) = self.running.get_mut(&run) {
            (running.proc, running.adopted, running.stage) = (Some(proc), true, Stage::Waiting);
            self.leased -= 1;
        }
        self.timers.set(run, Some(since.after(limit)));
        run
    }

    /// A unit has gone; its scripts run on.
    pub(super) fn leave(&mut self, unit: UnitId) {
        for running in self.running.values_mut().filter(|running| running.unit == Some(unit)) {
            running.unit = None;
        }
    }

    /// From now on this unit waits for a script that brings the same process back, if one runs that nobody waits for.
    pub(super) fn take_over(&mut self, unit: UnitId, target: &Target) -> Option<(RunId, &Running)> {
        let is_left = |running: &Running| running.unit.is_none() && running.target == *target;
        let (run, running) = self.running.iter_mut().find(|(_, running)| is_left(running))?;
        running.unit = Some(unit);
        Some((*run, running))
    }

    /// One of them.
    pub(super) fn of(&mut self, run: RunId) -> Option<&mut Running> {
        self.running.get_mut(&run)
    }

    /// It has ended.
    pub(super) fn end(&mut self, run: RunId) -> Option<Running> {
        self.timers.set(run, None);
        let ended = self.running.remove(&run)?;
        self.leased -= usize::from(ended.stage == Stage::Leased);
        Some(ended)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.timers.next()
    }

    /// Those that take too long.
    pub(super) fn overdue(&mut self, now: Mono) -> Vec<(RunId, Overdue)> {
        let mut found = Vec::new();
        for id in self.timers.take_due(now) {
            let Some(run) = self.running.get_mut(&id) else { continue };
            let end = run.since.after(run.limit);
            let was_leased = run.stage == Stage::Leased;
            let next = match run.stage {
                Stage::Leased if now < end => {
                    run.stage = Stage::Waiting;
                    Some(end.min(run.since.after(SLOW)))
                }
                Stage::Waiting if now < end => {
                    run.stage = Stage::Slow;
                    found.push((id, Overdue::Tell(SLOW)));
                    Some(end)
                }
                Stage::Leased | Stage::Waiting | Stage::Slow => {
                    run.stage = Stage::Asked(now);
                    found.push((id, Overdue::Ask(run.limit)));
                    Some(now.after(PATIENCE))
                }
                // Not by the limit, but by when it was asked: a daemon that slept meanwhile gives the same patience.
                Stage::Asked(asked) if now < asked.after(PATIENCE) => Some(asked.after(PATIENCE)),
                Stage::Asked(_) => {
                    run.stage = Stage::Forced;
                    found.push((id, Overdue::Force));
                    None
                }
                Stage::Forced => None,
            };
            self.leased -= usize::from(was_leased && run.stage != Stage::Leased);
            self.timers.set(id, next);
        }
        found
    }
}
