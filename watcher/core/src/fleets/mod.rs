//! The watches over all pfiles of a host.
//!
//! Each is a [`Fleet`], and none knows of the others. What happens is brought to those that it is about; what they have in
//! common is asked for once: a process that two of them watch, a look at all processes, a turn to run a script.

mod mutual;
mod recovery;
pub mod roll;
mod turns;

use std::collections::{BTreeMap, BTreeSet};

pub use self::recovery::Recovery;
use self::{mutual::Mutual, recovery::Recoveries, turns::Turns};
use crate::{
    Action, Event, FleetId, Mono, Now, Outbox, ProcId, SavedEntry,
    fleet::{Fleet, hosted::Share, looks::Looks, timers::Timers},
    pfile::Pfile,
};

/// An action, and who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who.
    pub by: FleetId,
    /// For what.
    pub action: Action,
}

/// What all fleets of a host may use up together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtOnce {
    /// Scripts that run, as long as they can be expected to work.
    pub scripts: usize,
    /// Services that are asked.
    pub probes: usize,
}

/// Restart scripts of all pfiles, as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptsNow {
    /// So many may run at once, as long as they can be expected to work.
    pub limit: usize,
    /// So many run that count against it.
    pub counted: usize,
    /// So many run.
    pub running: usize,
    /// So many entries, or groups, wait for one of theirs to begin.
    pub waiting: usize,
    /// Since when the first of those does.
    pub waiting_since: Option<Mono>,
}

/// All watches of a host.
#[derive(Debug)]
pub struct Fleets {
    fleets: BTreeMap<FleetId, Fleet>,
    /// They have come to their ends, and nobody has taken notice.
    ended: BTreeMap<FleetId, Fleet>,
    timers: Timers<FleetId>,
    /// By how often each looks, shortest first, and how often that is.
    intervals: BTreeSet<(u32, FleetId)>,
    looks_every: BTreeMap<FleetId, u32>,
    scripts: Turns,
    probes: Turns,
    looks: Looks<FleetId>,
    mutual: Mutual,
    recoveries: Recoveries,
    /// What one of them asks for, for a moment.
    outbox: Outbox<Action>,
}

impl Fleets {
    /// None yet.
    #[must_use]
    pub fn new(at_once: AtOnce) -> Self {
        let AtOnce { scripts, probes } = at_once;
        Self {
            fleets: BTreeMap::new(),
            ended: BTreeMap::new(),
            timers: Timers::new(),
            intervals: BTreeSet::new(),
            looks_every: BTreeMap::new(),
            scripts: Turns::new(scripts),
            probes: Turns::new(probes.min(crate::fleet::PROBES_AT_ONCE)),
            looks: Looks::new(),
            mutual: Mutual::default(),
            recoveries: Recoveries::default(),
            outbox: Outbox::default(),
        }
    }

    /// One more: by a name that no other ever had here, with what was saved of it. It looks for every process.
    pub fn begin(&mut self, id: FleetId, pfile: &Pfile, saved: &[SavedEntry], now: Now, out: &mut Outbox<Asked>) {
        self.fleets.insert(id, Fleet::among_others(pfile, id, saved));
        self.with(id, out, |fleet, out| fleet.begin(now, out));
        self.after_all(now, out);
    }

    /// Takes in something that happened on the host, and says what to do.
    pub fn step(&mut self, now: Now, event: Event, out: &mut Outbox<Asked>) {
        self.mutual.begin_step();
        self.recoveries.begin_step(now.mono);
        match event {
            Event::Deadline => {
                for fleet in self.timers.take_due(now.mono) {
                    self.with(fleet, out, |fleet, out| fleet.step(now, Event::Deadline, out));
                }
            }
            Event::Exit(notice) => self.tell(self.mutual.who_watches(notice.proc), now, &event, out),
            Event::Gone { proc, ending: _ } | Event::Zombie { proc, ending: _ } => {
                self.tell(self.mutual.who_watches(proc), now, &event, out);
            }
            // Who is about to look anyway need not know of more.
            Event::Exec { proc: _ } => self.tell(self.mutual.who_waits(), now, &event, out),
            Event::StartsUntold => self.tell(self.mutual.who_expects(), now, &event, out),
            Event::Listed { mut processes, uptime } => {
                let (asked, _) = self.looks.end(now.mono);
                for fleet in asked {
                    self.with(fleet, out, |fleet, out| fleet.shown(&mut processes, uptime, now, out));
                }
            }
            Event::Lost { records: _ } | Event::SocketsLost { records: _ } | Event::Stop { signal: _ } => {
                self.tell(self.ids(), now, &event, out);
            }
            Event::Order { request: None, order: _ } => self.tell(self.ids(), now, &event, out),
            Event::Socket(news) if news.key.port == 0 => self.tell(self.ids(), now, &event, out),
            Event::Socket(news) => self.tell(self.mutual.who_watches_port(news.key), now, &event, out),
            Event::PortLooked { watch, report: _ } => self.step_of(watch.fleet(), now, event, out),
            Event::PortWatched { watch, key } => {
                // It may not be wanted any more.
                if self.fleets.get(&watch.fleet()).is_some_and(|fleet| fleet.watches_port(watch)) {
                    self.mutual.port_watched(watch, key);
                }
                self.step_of(watch.fleet(), now, event, out);
            }
            Event::Probed { probe, verdict: _ } => self.step_of(probe.fleet(), now, event, out),
            Event::RunEnded { run, end: _ } => self.step_of(run.fleet(), now, event, out),
            Event::RunStarted { run, script: _ } => self.step_of(run.fleet(), now, event, out),
            // Of one of them: see `step_of`.
            Event::Order { request: Some(_), order: _ } | Event::Rules { .. } => {}
        }
        self.after_all(now, out);
    }

    /// The same for something that concerns one of them: an order to it, its rules.
    pub fn step_one(&mut self, fleet: FleetId, now: Now, event: Event, out: &mut Outbox<Asked>) {
        self.mutual.begin_step();
        self.recoveries.begin_step(now.mono);
        self.step_of(fleet, now, event, out);
        self.after_all(now, out);
    }

    /// When [`Event::Deadline`] is wanted.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        [self.timers.next(), self.looks.deadline()].into_iter().flatten().min()
    }

    /// Every process that is watched.
    pub fn watched(&self) -> impl Iterator<Item = ProcId> + '_ {
        self.mutual.watched()
    }

    /// `MONITOR_INTERVAL` of the one that looks most often, in seconds.
    #[must_use]
    pub fn shortest_interval(&self) -> Option<u32> {
        self.intervals.first().map(|(seconds, _)| *seconds)
    }

    /// One of them, as long as it watches.
    #[must_use]
    pub fn get(&self, fleet: FleetId) -> Option<&Fleet> {
        self.fleets.get(&fleet)
    }

    /// All that watch.
    pub fn iter(&self) -> impl Iterator<Item = (FleetId, &Fleet)> {
        self.fleets.iter().map(|(id, fleet)| (*id, fleet))
    }

    /// One of them is not watched here any more, without an end of its own: somebody else goes on with what was saved.
    pub fn leave(&mut self, fleet: FleetId, now: Now, out: &mut Outbox<Asked>) {
        self.mutual.begin_step();
        self.end(fleet, out);
        self.after_all(now, out);
    }

    /// Takes leave of one that has come to its end: how it stood then.
    pub fn take_ended(&mut self, fleet: FleetId) -> Option<Fleet> {
        self.ended.remove(&fleet)
    }

    /// How scripts stand.
    #[must_use]
    pub fn scripts(&self) -> ScriptsNow {
        let (limit, counted) = self.scripts.taken();
        let none = ScriptsNow { limit, counted, running: 0, waiting: 0, waiting_since: None };
        self.fleets.values().map(Fleet::script_counts).fold(none, |all, (running, waiting, since)| ScriptsNow {
            running: all.running + running,
            waiting: all.waiting + waiting,
            waiting_since: [all.waiting_since, since].into_iter().flatten().min(),
            ..all
        })
    }

    /// How many entries are down, and are to come back.
    #[must_use]
    pub fn down(&self) -> usize {
        self.recoveries.down()
    }

    /// How far those have come back that have fallen together: now, or when it was so last.
    #[must_use]
    pub fn recovery(&self) -> Option<Recovery> {
        self.recoveries.latest()
    }

    fn ids(&self) -> Vec<FleetId> {
        self.fleets.keys().copied().collect()
    }

    fn tell(&mut self, fleets: Vec<FleetId>, now: Now, event: &Event, out: &mut Outbox<Asked>) {
        for fleet in fleets {
            self.step_of(fleet, now, event.clone(), out);
        }
    }

    fn step_of(&mut self, fleet: FleetId, now: Now, event: Event, out: &mut Outbox<Asked>) {
        self.with(fleet, out, |fleet, out| fleet.step(now, event, out));
    }

    /// Lets something happen to a fleet, hands on what it asks for, and takes note of what that changed.
    fn with(&mut self, id: FleetId, out: &mut Outbox<Asked>, happens: impl FnOnce(&mut Fleet, &mut Outbox<Action>)) {
        let Some(fleet) = self.fleets.get_mut(&id) else { return };
        happens(fleet, &mut self.outbox);
        self.timers.set(id, fleet.next_deadline());
        self.scripts.note(id, fleet.scripts());
        self.probes.note(id, fleet.probes());
        for moved in fleet.take_moves() {
            self.recoveries.note(id, moved);
        }
        self.mutual.note_hurry(id, fleet.is_in_a_hurry());
        let seconds = fleet.monitor_interval().seconds();
        self.note_interval(id, Some(seconds));
        let mut is_over = false;
        for action in self.outbox.drain() {
            is_over |= matches!(action, Action::Finish(_));
            if action == Action::List {
                // One look serves all.
                self.looks.ask(id);
            } else {
                out.extend(self.mutual.filter(id, action));
            }
        }
        if is_over {
            self.end(id, out);
        }
    }

    fn note_interval(&mut self, id: FleetId, seconds: Option<u32>) {
        if self.looks_every.get(&id).copied() == seconds {
            return;
        }
        let before = match seconds {
            Some(seconds) => self.looks_every.insert(id, seconds),
            None => self.looks_every.remove(&id),
        };
        self.intervals.extend(seconds.map(|seconds| (seconds, id)));
        if let Some(before) = before {
            self.intervals.remove(&(before, id));
        }
    }

    /// A fleet has come to its end: what nobody else wants is not wanted any more.
    fn end(&mut self, id: FleetId, out: &mut Outbox<Asked>) {
        let Some(mut fleet) = self.fleets.remove(&id) else { return };
        fleet.let_go(&mut self.outbox);
        for action in self.outbox.drain() {
            out.extend(self.mutual.filter(id, action));
        }
        self.mutual.note_hurry(id, false);
        self.note_interval(id, None);
        self.timers.set(id, None);
        self.recoveries.leave(id);
        self.looks.leave(id);
        self.ended.insert(id, fleet);
        self.scripts.note(id, Share::default());
        self.probes.note(id, Share::default());
    }

    /// What follows every event: scripts begin as others end, looks as they are wanted.
    fn after_all(&mut self, now: Now, out: &mut Outbox<Asked>) {
        while let Some(fleet) = self.scripts.next() {
            self.with(fleet, out, |fleet, out| fleet.run_next(now, out));
        }
        while let Some(fleet) = self.probes.next() {
            self.with(fleet, out, |fleet, out| fleet.ask_next(now, out));
        }
        if self.looks.begin(now.mono) {
            out.extend(self.looks.first_served().map(|by| Asked { by, action: Action::List }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        NetNs, Order, PortKey, PortWatchId, Wall,
        pfile::{UnknownOptions, read},
    };

    fn rules(text: &str) -> Pfile {
        read(text.as_bytes(), UnknownOptions::Refuse).pfile.unwrap()
    }

    const NOW: Now = Now { mono: Mono(1_000_000_000), wall: Wall { unix_ns: 0 } };

    #[test]
    fn nothing_is_left_of_one_that_has_ended() {
        let mut fleets = Fleets::new(AtOnce { scripts: 2, probes: 2 });
        let mut out = Outbox::default();
        let [a, b] = [1, 2].map(|number| FleetId::new(number).unwrap());
        fleets.begin(a, &rules("IPCKEY 0x1\nMONITOR_INTERVAL 7\n/bin/a:/b:1:1:exit\n"), &[], NOW, &mut out);
        fleets.begin(b, &rules("IPCKEY 0x2\nMONITOR_INTERVAL 9\n/bin/b:/b:1:1:exit\n"), &[], NOW, &mut out);
        assert_eq!(fleets.shortest_interval(), Some(7));
        fleets.step_one(a, NOW, Event::Order { request: None, order: Order::Shutdown }, &mut out);
        assert_eq!(fleets.shortest_interval(), Some(9));
        // The kernel's name of a port whose watch has ended meanwhile.
        let (watch, key) = (PortWatchId(a.first_name()), PortKey { netns: NetNs(1), port: 80 });
        fleets.step(NOW, Event::PortWatched { watch, key }, &mut out);
        fleets.step_one(b, NOW, Event::Order { request: None, order: Order::Shutdown }, &mut out);
        assert_eq!(fleets.shortest_interval(), None);
        assert!(fleets.mutual.is_empty(), "{:?}", fleets.mutual);
        assert!(fleets.looks_every.is_empty() && fleets.next_deadline().is_none());
    }
}
