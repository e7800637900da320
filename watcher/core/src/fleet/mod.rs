//! The watch over one pfile: all its entries, and what becomes of them.
//!
//! Entries are restarted in *units*: an entry alone, or the entries of a group. Every event is brought to the units that it
//! is about; what a unit then wants is said by actions. All time comes from outside, and nothing is remembered elsewhere.

mod budget;
mod death;
pub(crate) mod hosted;
pub(crate) mod looks;
mod member;
mod orders;
mod reload;
mod report;
mod restart;
mod runs;
mod search;
mod shared;
mod shown;
mod sockets;
mod stall;
pub(crate) mod standing;
mod suspend;
pub(crate) mod timers;
mod unit;
mod view;

use std::{collections::BTreeMap, sync::Arc};

pub use self::shown::Refused;
pub(crate) use self::stall::PROBES_AT_ONCE;
pub use self::view::{Doing, EntryView, FleetView, ProcStatus, StallStatus, StallView};
use self::{
    looks::{Listing, Looks},
    member::Member,
    runs::Runs,
    shared::{Context, Names, Shared, Watched, Who},
    sockets::PortWatches,
    stall::{Guard, Probes},
    standing::Moves,
    timers::Timers,
    unit::Unit,
};
use crate::{
    Action, Ending, EntryId, Event, ExitNotice, Finish, FleetId, Mono, Note, Now, Outbox, ProcId, Reason, RunEnd,
    RunId, SavedEntry, Signal, SocketNews, Span, Told, Uptime,
    pfile::{EntryNumber, Interval, Param, Pfile, select::Processes},
};

/// From the start of a program that may be a looked-for process to the look: it may fork, and end, to go to the background.
const SETTLE: Span = Span::of_millis(100);

/// A unit, as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnitId(u32);

/// The watch over one pfile.
#[derive(Debug)]
pub struct Fleet {
    param: Param,
    /// `MONITOR_INTERVAL`, where the operator has set it.
    set_interval: Option<Interval>,
    /// Boxed: a tree has room for almost twice as many as are in it.
    units: BTreeMap<UnitId, Box<Unit>>,
    /// Where each entry is, in the order of the file: its unit, and its place there.
    places: Vec<(UnitId, usize)>,
    timers: Timers<UnitId>,
    /// A program was started that may be a looked-for process.
    hurry: Option<Mono>,
    /// Rules that were read last, and not taken.
    refused: Option<Refused>,
    shared: Shared,
    next_entry: u32,
    /// From here on entries stand among those of all fleets.
    first_order: u64,
    next_unit: u32,
    finished: bool,
}

impl Fleet {
    /// The watch over these entries, with what was saved of them. At most so many scripts run at once.
    #[must_use]
    pub fn new(pfile: Pfile, scripts_at_once: usize, saved: &[SavedEntry]) -> Self {
        Self::made(&pfile, FleetId::default(), Some(scripts_at_once), saved)
    }

    fn made(pfile: &Pfile, id: FleetId, scripts_at_once: Option<usize>, saved: &[SavedEntry]) -> Self {
        let first = id.first_name();
        let shared = Shared {
            interval: Span::of_seconds(pfile.param.monitor_interval().seconds()),
            dumps: pfile.param.dump_file.is_some(),
            runs: Runs::new(scripts_at_once, first),
            looks: Looks::new(),
            watched: Watched::default(),
            names: Names::default(),
            probes: Probes::new(first),
            ports: PortWatches::new(first),
            checks: 0,
            guard: Guard::new(),
            finish: None,
            moves: Moves::default(),
        };
        let mut fleet = Self {
            param: pfile.param.clone(),
            set_interval: None,
            units: BTreeMap::new(),
            places: Vec::new(),
            timers: Timers::new(),
            hurry: None,
            refused: None,
            shared,
            next_entry: 0,
            first_order: id.first_order(),
            next_unit: 0,
            finished: false,
        };
        fleet.take_rules(pfile);
        fleet.recall(saved);
        fleet
    }

    /// The same, for a host on which not more than so many services can be asked at once.
    #[must_use]
    pub fn asking_at_most(mut self, at_once: usize) -> Self {
        self.shared.probes.limit(at_once);
        self
    }

    /// Begins: looks for every process.
    pub fn begin(&mut self, now: Now, out: &mut Outbox<Action>) {
        for unit in self.unit_ids() {
            self.with_unit(unit, now, out, |unit, cx| {
                unit.forget_future(cx);
                unit.begin(cx);
            });
        }
        self.after_all(now, out);
    }

    /// Takes in one event and says what to do.
    pub fn step(&mut self, now: Now, event: Event, out: &mut Outbox<Action>) {
        if self.finished {
            return;
        }
        match event {
            Event::Deadline => self.due(now, out),
            Event::Exec { proc: _ } => {
                let settled = self.shared.names.is_any().then(|| now.mono.after(SETTLE));
                self.hurry = self.hurry.or(settled);
            }
            Event::Exit(notice) => self.exiting(&notice, now, out),
            Event::Gone { proc, ending } => self.gone(proc, ending, Reason::Down, now, out),
            Event::Zombie { proc, ending } => self.gone(proc, ending, Reason::Zombie, now, out),
            Event::Listed { mut processes, uptime } => self.listed(&mut processes, uptime, now, out),
            Event::Lost { records } => {
                // Among them may be the start of a process that is waited for.
                self.hurry = self.hurry.or(Some(now.mono));
                out.push(Action::Tell(Told { entry: None, note: Note::Lost { records } }));
                out.push(Action::Sweep);
            }
            Event::Order { request, order } => self.order(request, order, now, out),
            Event::Probed { probe, verdict } => {
                if let Some(asker) = self.shared.probes.end(probe) {
                    self.with_unit(asker.unit, now, out, |unit, cx| unit.probed(asker, probe, verdict, cx));
                }
            }
            Event::Rules { request, rules } => self.rules(request, rules, now, out),
            Event::RunEnded { run, end } => self.run_ended(run, end, now, out),
            Event::RunStarted { run, script } => self.run_started(run, script, now, out),
            // Told, and nothing follows from it yet.
            Event::PortLooked { watch, report } => {
                if let Some(owner) = self.shared.ports.owner(watch) {
                    let looked = |unit: &mut Unit, cx: &mut Context<'_>| {
                        unit.port_looked(owner.member, watch, report.as_ref(), cx);
                    };
                    self.with_unit(owner.unit, now, out, looked);
                }
            }
            Event::PortWatched { watch, key } => self.shared.ports.name(watch, key),
            Event::Socket(news) => self.socket_news(news, now, out),
            Event::SocketsLost { .. } => {
                for unit in self.unit_ids() {
                    self.with_unit(unit, now, out, Unit::look_at_ports);
                }
            }
            // Somebody who is waited for may have come meanwhile.
            Event::StartsUntold => self.hurry = self.hurry.or_else(|| self.shared.names.is_any().then_some(now.mono)),
            Event::Stop { signal } => self.stop(Some(signal), out),
        }
        self.after_all(now, out);
    }

    /// When [`Event::Deadline`] is wanted.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        if self.finished {
            return None;
        }
        let looks = self.shared.looks.deadline();
        [self.timers.next(), self.shared.runs.deadline(), looks, self.hurry].into_iter().flatten().min()
    }

    fn listed(&mut self, processes: &mut Processes, uptime: Uptime, now: Now, out: &mut Outbox<Action>) {
        let (asked, began) = self.shared.looks.end(now.mono);
        let asking = asked.iter().filter_map(|unit| self.units.get(unit)).flat_map(|unit| &unit.members);
        processes.prepare(asking.map(|member| &member.entry));
        let listing = Listing { processes, uptime, began };
        for unit in asked {
            self.with_unit(unit, now, out, |unit, cx| unit.looked(&listing, cx));
        }
    }

    fn due(&mut self, now: Now, out: &mut Outbox<Action>) {
        for (run, overdue) in self.shared.runs.overdue(now.mono) {
            if let Some(running) = self.shared.runs.of(run) {
                restart::press_run(run, overdue, running).into_iter().for_each(|action| out.push(action));
            }
        }
        if self.hurry.is_some_and(|at| at <= now.mono) {
            self.hurry = None;
            let waiting = self.units.iter().filter(|(_, unit)| unit.is_appearing()).map(|(id, _)| *id);
            for unit in waiting.collect::<Vec<_>>() {
                self.with_unit(unit, now, out, Unit::hurry);
            }
        }
        for unit in self.timers.take_due(now.mono) {
            self.with_unit(unit, now, out, Unit::due);
        }
    }

    fn exiting(&mut self, notice: &ExitNotice, now: Now, out: &mut Outbox<Action>) {
        for who in self.shared.watched.of(notice.proc) {
            match who {
                Who::Member(unit, at) => self.with_unit(unit, now, out, |unit, cx| unit.dying(at, notice, cx)),
                Who::Script(_) => out.push(Action::AwaitEnd(notice.proc)),
            }
        }
    }

    fn gone(&mut self, proc: ProcId, ending: Ending, reason: Reason, now: Now, out: &mut Outbox<Action>) {
        for who in self.shared.watched.of(proc) {
            match who {
                Who::Member(unit, at) => {
                    self.with_unit(unit, now, out, |unit, cx| unit.gone(at, proc, ending, reason, cx))
                }
                Who::Script(run) => {
                    self.shared.watched.remove(proc, who, out);
                    self.run_ended(run, RunEnd::Ended(ending), now, out);
                }
            }
        }
    }

    /// The kernel tells of a port, or of a network namespace as a whole.
    fn socket_news(&mut self, news: SocketNews, now: Now, out: &mut Outbox<Action>) {
        let SocketNews { key, alarm, raised: _, value, limit, at: _ } = news;
        if key.port == 0 {
            return out.push(Action::Tell(Told {
                entry: None,
                note: Note::Shortage { netns: key.netns, alarm, value, limit },
            }));
        }
        for (watch, owner) in self.shared.ports.of(key) {
            self.with_unit(owner.unit, now, out, |unit, cx| unit.port_told(owner.member, watch, &news, cx));
        }
    }

    fn run_started(&mut self, run: RunId, script: ProcId, now: Now, out: &mut Outbox<Action>) {
        let Some(running) = self.shared.runs.of(run) else { return };
        running.proc = Some(script);
        // So that it is saved which script runs.
        if let Some(unit) = running.unit {
            self.with_unit(unit, now, out, |_, _| {});
        }
    }

    fn run_ended(&mut self, run: RunId, end: RunEnd, now: Now, out: &mut Outbox<Action>) {
        let Some(running) = self.shared.runs.end(run) else { return };
        let ran = now.mono.since(running.since);
        let failed = end.is_failure().then(|| end.clone());
        out.push(restart::tell_run_end(running.subject, running.script, end, ran));
        if let Some(unit) = running.unit {
            self.with_unit(unit, now, out, |unit, cx| unit.run_ended(run, failed, cx));
        }
    }

    fn stop(&mut self, signal: Option<Signal>, out: &mut Outbox<Action>) {
        let tell = |note| Action::Tell(Told { entry: None, note });
        out_all(out, signal.map(|signal| tell(Note::SignalCaught { signal })));
        out.push(tell(Note::Stop));
        self.shared.finish.get_or_insert(Finish::Asked);
    }

    /// What follows every event: scripts begin as others end, looks as they are wanted.
    fn after_all(&mut self, now: Now, out: &mut Outbox<Action>) {
        if let Some(finish) = self.shared.finish {
            self.finished = true;
            out.push(Action::Renew(self.left_behind()));
            out.push(Action::Finish(finish));
            return;
        }
        while let Some(unit) = self.shared.runs.grant() {
            self.with_unit(unit, now, out, Unit::granted);
        }
        while let Some(asker) = self.shared.probes.grant() {
            self.with_unit(asker.unit, now, out, |unit, cx| unit.ask(asker, cx));
        }
        if self.shared.guard.holds && !self.shared.guard.is_too_much() {
            self.shared.guard.holds = false;
            self.units.values_mut().for_each(|unit| unit.begin_rows_anew(now.mono));
            out.push(Action::Tell(Told { entry: None, note: Note::StallsReleased }));
        }
        if self.shared.looks.begin(now.mono) {
            out.push(Action::List);
        }
    }

    /// What the next watch has to know although this one has come to its end: which scripts still run. All else begins anew.
    fn left_behind(&mut self) -> Vec<Arc<SavedEntry>> {
        let mut left = Vec::new();
        for unit in self.units.values_mut() {
            unit.budget.reset();
            for at in 0..unit.members.len() {
                let script = unit.script_of(at, &mut self.shared);
                let Some(member) = unit.members.get_mut(at).filter(|_| script.is_some()) else { continue };
                (member.restart_count, member.rerun, member.paused) = (0, None, None);
                (member.set_retries, member.set_grace) = (None, None);
                left.push(Arc::new(member.to_save(&unit.budget, false, script)));
            }
        }
        left
    }

    fn unit_ids(&self) -> Vec<UnitId> {
        self.units.keys().copied().collect()
    }

    /// Lets something happen to a unit, and takes note of what that changed.
    fn with_unit(
        &mut self,
        id: UnitId,
        now: Now,
        out: &mut Outbox<Action>,
        happens: impl FnOnce(&mut Unit, &mut Context<'_>),
    ) {
        let Some(unit) = self.units.get_mut(&id) else { return };
        let mut cx = Context { unit: id, now, shared: &mut self.shared, out };
        happens(unit, &mut cx);
        unit.tend_checks(&mut cx);
        unit.tend_ports(&mut cx);
        unit.save(&mut cx);
        unit.note_standings(&mut cx);
        let next = [unit.deadline(&self.shared), unit.next_check()];
        self.timers.set(id, next.into_iter().flatten().min());
    }

    fn new_member(&mut self, number: EntryNumber, entry: crate::pfile::Entry, occurrence: u32) -> Member {
        let id = EntryId(self.next_entry);
        self.next_entry += 1;
        let order = self.first_order.wrapping_add(id.0.into());
        Member::new((id, order), number, entry, occurrence)
    }
}

fn out_all(out: &mut Outbox<Action>, actions: impl IntoIterator<Item = Action>) {
    actions.into_iter().for_each(|action| out.push(action));
}
