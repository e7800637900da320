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
    /// Who waits for some program, and for how many of them.
    waiting: BTreeMap<FleetId, usize>,
    /// Who is about to look already.
    hurrying: BTreeSet<FleetId>,
    /// Who waits and is not.
    calm: BTreeSet<FleetId>,
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
                if expecting.insert(by) {
                    *self.waiting.entry(by).or_insert(0) += 1;
                    self.settle(by);
                }
                is_first.then_some(Action::Expect(name))?
            }
            Action::ExpectNoMore(name) => {
                let expecting = self.expected.get_mut(&name)?;
                let waited = expecting.remove(&by);
                let was_last = expecting.is_empty();
                if was_last {
                    self.expected.remove(&name);
                }
                if waited && let Some(names) = self.waiting.get_mut(&by) {
                    *names -= 1;
                    if *names == 0 {
                        self.waiting.remove(&by);
                    }
                    self.settle(by);
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

    pub(super) fn who_watches(&self, proc: ProcId) -> Vec<FleetId> {
        self.watched.range(anybody(proc)).map(|(_, by)| *by).collect()
    }

    /// All that wait for some program.
    pub(super) fn who_expects(&self) -> Vec<FleetId> {
        self.waiting.keys().copied().collect()
    }

    /// Those of them that are not about to look anyway.
    pub(super) fn who_waits(&self) -> Vec<FleetId> {
        self.calm.iter().copied().collect()
    }

    /// Whether a fleet is about to look for whom it waits.
    pub(super) fn note_hurry(&mut self, by: FleetId, is_in_a_hurry: bool) {
        let has_changed = if is_in_a_hurry { self.hurrying.insert(by) } else { self.hurrying.remove(&by) };
        if has_changed {
            self.settle(by);
        }
    }

    fn settle(&mut self, by: FleetId) {
        if self.waiting.contains_key(&by) && !self.hurrying.contains(&by) {
            self.calm.insert(by);
        } else {
            self.calm.remove(&by);
        }
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

    /// Nobody wants anything.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let Self { watched, expected, waiting, hurrying, calm, ports, keys, teller: _, is_swept: _ } = self;
        let nobody = watched.is_empty() && expected.is_empty() && ports.is_empty() && keys.is_empty();
        nobody && waiting.is_empty() && hurrying.is_empty() && calm.is_empty()
    }

    /// Every process that is watched, once.
    pub(super) fn watched(&self) -> impl Iterator<Item = ProcId> + '_ {
        let mut last = None;
        self.watched.iter().map(|(proc, _)| *proc).filter(move |proc| last.replace(*proc) != Some(*proc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_about_to_look_is_not_told_of_more() {
        let [a, b] = [1, 2].map(|number| FleetId::new(number).unwrap());
        let mut mutual = Mutual::default();
        let name = |name: &str| Bytes::from(name);
        assert!(mutual.filter(a, Action::Expect(name("x"))).is_some());
        assert!(mutual.filter(b, Action::Expect(name("x"))).is_none(), "that was asked for");
        assert!(mutual.filter(b, Action::Expect(name("y"))).is_some());
        assert_eq!(mutual.who_waits(), [a, b]);
        mutual.note_hurry(b, true);
        assert_eq!((mutual.who_waits(), mutual.who_expects()), (vec![a], vec![a, b]));
        assert!(mutual.filter(b, Action::ExpectNoMore(name("x"))).is_none(), "another one waits");
        mutual.note_hurry(b, false);
        assert_eq!(mutual.who_waits(), [a, b]);
        assert!(mutual.filter(b, Action::ExpectNoMore(name("y"))).is_some());
        mutual.note_hurry(b, true);
        mutual.note_hurry(b, false);
        assert_eq!((mutual.who_waits(), mutual.who_expects()), (vec![a], vec![a]));
        assert!(mutual.filter(a, Action::ExpectNoMore(name("x"))).is_some());
        assert_eq!((mutual.who_waits(), mutual.waiting.len(), mutual.calm.len()), (vec![], 0, 0));
    }
}
