//! What all units of a fleet share, and by what they reach the world.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    UnitId,
    looks::Looks,
    runs::Runs,
    sockets::PortWatches,
    stall::{Guard, Probes},
    standing::Moves,
};
use crate::{Action, Mono, Note, Now, Outbox, ProcId, RunId, Span, Subject, Told, action::Finish, pfile::Bytes};

/// What all units share.
#[derive(Debug)]
pub(super) struct Shared {
    /// `MONITOR_INTERVAL`, as in force.
    pub(super) interval: Span,
    /// Whether failures are to be traced.
    pub(super) dumps: bool,
    pub(super) runs: Runs,
    pub(super) looks: Looks<UnitId>,
    pub(super) watched: Watched,
    pub(super) names: Names,
    pub(super) probes: Probes,
    pub(super) ports: PortWatches,
    /// How many stall checks there are.
    pub(super) checks: u64,
    pub(super) guard: Guard,
    /// How entries stand, for whoever counts that.
    pub(super) moves: Moves,
    /// The watch is to end.
    pub(super) finish: Option<Finish>,
}

/// One unit's access to it, for one step.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) unit: UnitId,
    pub(super) now: Now,
    pub(super) shared: &'a mut Shared,
    pub(super) out: &'a mut Outbox<Action>,
}

impl Context<'_> {
    pub(super) const fn mono(&self) -> Mono {
        self.now.mono
    }

    pub(super) fn tell(&mut self, entry: Subject, note: Note) {
        self.out.push(Action::Tell(Told { entry: Some(entry), note }));
    }

    pub(super) fn watch(&mut self, proc: ProcId, member: usize) {
        self.shared.watched.add(proc, Who::Member(self.unit, member), self.out);
    }

    pub(super) fn unwatch(&mut self, proc: ProcId, member: usize) {
        self.shared.watched.remove(proc, Who::Member(self.unit, member), self.out);
    }

    pub(super) fn ask_look(&mut self) {
        self.shared.looks.ask(self.unit);
    }
}

/// For whom a process is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// An entry, by its place in its unit.
    Member(UnitId, usize),
    /// It is a script that an earlier pcheck has started.
    Script(RunId),
}

impl Who {
    const FIRST: Self = Self::Member(UnitId(0), 0);
    const LAST: Self = Self::Script(RunId(u64::MAX));
}

/// Watched processes, and for whom. Several entries may mean the same one.
#[derive(Debug, Default)]
pub(super) struct Watched(BTreeSet<(ProcId, Who)>);

impl Watched {
    pub(super) fn add(&mut self, proc: ProcId, who: Who, out: &mut Outbox<Action>) {
        if self.interested(proc).next().is_none() {
            out.push(Action::Watch(proc));
        }
        self.0.insert((proc, who));
    }

    pub(super) fn remove(&mut self, proc: ProcId, who: Who, out: &mut Outbox<Action>) {
        if self.0.remove(&(proc, who)) && self.interested(proc).next().is_none() {
            out.push(Action::Unwatch(proc));
        }
    }

    /// Who is interested in a process.
    pub(super) fn of(&self, proc: ProcId) -> Vec<Who> {
        self.interested(proc).collect()
    }

    fn interested(&self, proc: ProcId) -> impl Iterator<Item = Who> + '_ {
        self.0.range((proc, Who::FIRST)..=(proc, Who::LAST)).map(|(_, who)| *who)
    }

    /// All of them.
    pub(super) fn procs(&self) -> impl Iterator<Item = ProcId> + '_ {
        let mut last = None;
        self.0.iter().map(|(proc, _)| *proc).filter(move |proc| last.replace(*proc) != Some(*proc))
    }
}

/// Names of programs whose starts are waited for.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<Bytes, u32>);

impl Names {
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = Bytes> + '_ {
        self.0.keys().cloned()
    }

    /// Whether some start is waited for.
    pub(super) fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    pub(super) fn expect(&mut self, name: Bytes, out: &mut Outbox<Action>) {
        let waiting = self.0.entry(name.clone()).or_insert(0);
        *waiting += 1;
        if *waiting == 1 {
            out.push(Action::Expect(name));
        }
    }

    pub(super) fn expect_no_more(&mut self, name: &Bytes, out: &mut Outbox<Action>) {
        let Some(waiting) = self.0.get_mut(name) else { return };
        *waiting -= 1;
        if *waiting == 0 {
            self.0.remove(name);
            out.push(Action::ExpectNoMore(name.clone()));
        }
    }
}
