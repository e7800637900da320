//! What several fleets may want at the same time: it is asked for once, and given up when the last one does not want it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use super::Asked;
use crate::{Action, FleetId, PortKey, PortWatchId, ProcId, pfile::Bytes};

/// Who wants what.
#[derive(Debug, Default)]
pub(super) struct Mutual {
    watched: BTreeSet<(ProcId, FleetId)>,
    expected: BTreeMap<Bytes, BTreeSet<FleetId>>,
    ports: BTreeSet<(PortKey, PortWatchId)>,
    keys: BTreeMap<PortWatchId, PortKey>,
    /// Who tells in this step what concerns all.
    teller: Option<FleetId>,
    /// A sweep was asked for in this step.
    is_swept: bool,
}

/// From the first to the last fleet.
fn anybody<T: Copy>(what: T) -> RangeInclusive<(T, FleetId)> {
    (what, FleetId::FIRST)..=(what, FleetId::LAST)
}

impl Mutual {
    /// Something else happens.
    pub(super) fn begin_step(&mut self) {
        (self.teller, self.is_swept) = (None, false);
    }

    /// What is left to do of what a fleet asks for.
    pub(super) fn filter(&mut self, by: FleetId, action: Action) -> Option<Asked> {
        let action = match action {
            // Also if others watch it: what was told of it so far was told to them.
            Action::Watch(proc) => {
                self.watched.insert((proc, by));
                Action::Watch(proc)
            }
            Action::Unwatch(proc) => {
                self.watched.remove(&(proc, by));
                let is_watched = self.watched.range(anybody(proc)).next().is_some();
                (!is_watched).then_some(Action::Unwatch(proc))?
            }
            Action::Expect(name) => {
                let expecting = self.expected.entry(name.clone()).or_default();
                let is_first = expecting.is_empty();
                expecting.insert(by);
                is_first.then_some(Action::Expect(name))?
            }
            Action::ExpectNoMore(name) => {
                let expecting = self.expected.get_mut(&name)?;
                expecting.remove(&by);
                let was_last = expecting.is_empty();
                if was_last {
                    self.expected.remove(&name);
                }
                was_last.then_some(Action::ExpectNoMore(name))?
            }
            Action::UnwatchPort(watch) => {
                if let Some(key) = self.keys.remove(&watch) {
                    self.ports.remove(&(key, watch));
                }
                Action::UnwatchPort(watch)
            }
            Action::Sweep if std::mem::replace(&mut self.is_swept, true) => return None,
            Action::Tell(told) if told.entry.is_none() && *self.teller.get_or_insert(by) != by => {
                Action::Remember(told)
            }
            action @ (Action::AwaitEnd(_)
            | Action::Dump
            | Action::EndRun { .. }
            | Action::Finish(_)
            | Action::ForgetProbe(_)
            | Action::List
            | Action::LookAtPort(_)
            | Action::Probe { .. }
            | Action::ReadRules { .. }
            | Action::Remember(_)
            | Action::Renew(_)
            | Action::Reply { .. }
            | Action::Run(_)
            | Action::Save(_)
            | Action::Signal { .. }
            | Action::SignalGroup { .. }
            | Action::Snapshot { .. }
            | Action::Sweep
            | Action::Tell(_)
            | Action::WatchPort { .. }) => action,
        };
        Some(Asked { by, action })
    }

    /// What a fleet would have to give up if it ended: it has only to be asked for.
    pub(super) fn held_by(&self, fleet: FleetId) -> Vec<Action> {
        let procs = self.watched.iter().filter(|(_, by)| *by == fleet).map(|(proc, _)| Action::Unwatch(*proc));
        let names = self.expected.iter().filter(|(_, by)| by.contains(&fleet));
        procs.chain(names.map(|(name, _)| Action::ExpectNoMore(name.clone()))).collect()
    }

    pub(super) fn who_watches(&self, proc: ProcId) -> Vec<FleetId> {
        self.watched.range(anybody(proc)).map(|(_, by)| *by).collect()
    }

    /// All that wait for some program.
    pub(super) fn who_expects(&self) -> Vec<FleetId> {
        let all: BTreeSet<_> = self.expected.values().flatten().copied().collect();
        all.into_iter().collect()
    }

    pub(super) fn who_watches_port(&self, key: PortKey) -> Vec<FleetId> {
        let watches = self.ports.range((key, PortWatchId(0))..=(key, PortWatchId(u64::MAX)));
        let all: BTreeSet<_> = watches.map(|(_, watch)| watch.fleet()).collect();
        all.into_iter().collect()
    }

    /// As the kernel calls it.
    pub(super) fn port_watched(&mut self, watch: PortWatchId, key: PortKey) {
        if let Some(old) = self.keys.insert(watch, key) {
            self.ports.remove(&(old, watch));
        }
        self.ports.insert((key, watch));
    }

    /// Every process that is watched, once.
    pub(super) fn watched(&self) -> impl Iterator<Item = ProcId> + '_ {
        let mut last = None;
        self.watched.iter().map(|(proc, _)| *proc).filter(move |proc| last.replace(*proc) != Some(*proc))
    }
}
