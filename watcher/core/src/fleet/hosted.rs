//! A fleet among others: whose turn it is, where all share what there is, is not for it to say.

use super::{Fleet, standing::Move, unit::Unit};
use crate::{
    Action, FleetId, Mono, Now, Outbox, PortWatchId, SavedEntry, Uptime,
    pfile::{Pfile, select::Processes},
};

/// What a fleet takes of something that all share, and whether it wants more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) taken: usize,
    pub(crate) wants_more: bool,
}

impl Fleet {
    /// The watch over these entries, with what was saved of them, as one of several.
    pub(crate) fn among_others(pfile: &Pfile, id: FleetId, saved: &[SavedEntry]) -> Self {
        let mut fleet = Self::made(pfile, id, None, saved);
        fleet.shared.probes.when_told();
        fleet.shared.moves.begin();
        fleet
    }

    pub(crate) fn scripts(&self) -> Share {
        Share { taken: self.shared.runs.leased(), wants_more: self.shared.runs.is_wanted() }
    }

    /// How many scripts run, how many wait, and since when the first of those does.
    pub(crate) fn script_counts(&self) -> (usize, usize, Option<Mono>) {
        self.shared.runs.counts()
    }

    /// Which entries stand otherwise than when this was asked last.
    pub(crate) fn take_moves(&mut self) -> Vec<Move> {
        self.shared.moves.take()
    }

    pub(crate) fn probes(&self) -> Share {
        Share { taken: self.shared.probes.count(), wants_more: self.shared.probes.is_wanted() }
    }

    /// It may run one script more.
    pub(crate) fn run_next(&mut self, now: Now, out: &mut Outbox<Action>) {
        if let Some(unit) = self.shared.runs.take_next() {
            self.with_unit(unit, now, out, Unit::granted);
        }
        self.after_all(now, out);
    }

    /// It may ask one service more.
    pub(crate) fn ask_next(&mut self, now: Now, out: &mut Outbox<Action>) {
        if let Some(asker) = self.shared.probes.take_next() {
            self.with_unit(asker.unit, now, out, |unit, cx| unit.ask(asker, cx));
        }
        self.after_all(now, out);
    }

    /// All processes, which it has asked for. Others may be shown the same ones.
    pub(crate) fn shown(&mut self, processes: &mut Processes, uptime: Uptime, now: Now, out: &mut Outbox<Action>) {
        if !self.finished {
            self.listed(processes, uptime, now, out);
            self.after_all(now, out);
        }
    }

    /// A program was started that may be one that it looks for: it is about to look.
    pub(crate) const fn is_in_a_hurry(&self) -> bool {
        self.hurry.is_some()
    }

    /// Whether it still wants to know of a port by this name.
    pub(crate) fn watches_port(&self, watch: PortWatchId) -> bool {
        self.shared.ports.owner(watch).is_some()
    }

    /// It has come to its end: nothing is asked for it any more.
    pub(crate) fn let_go(&mut self, out: &mut Outbox<Action>) {
        for proc in self.shared.watched.procs() {
            out.push(Action::Unwatch(proc));
        }
        for name in self.shared.names.all() {
            out.push(Action::ExpectNoMore(name));
        }
        for watch in self.shared.ports.names() {
            out.push(Action::UnwatchPort(watch));
        }
        for probe in self.shared.probes.names() {
            out.push(Action::ForgetProbe(probe));
        }
    }
}
