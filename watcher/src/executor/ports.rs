//! Watched ports: who wants which, by which name the kernel speaks of it, and looks at what it does not tell unasked.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    io,
};

use tracing::debug;
use watcher_core::{
    Event, ListenerFacts, Mono, NetNs, PortFacts, PortKey, PortReport, PortUse, PortWatchId, ProcId, SocketAlarm, Span,
    StateCounts, Thresholds, pfile::Port,
};

use super::{
    lacks::Lacks,
    port_report::{drops, report, tell_ages},
    scarcity,
};
use crate::{
    kernel::Ports,
    sys::{
        clock, netns,
        sock_diag::SockDiag,
        tcp,
        tcp_limits::{self, TcpRefusals},
    },
};

/// Sockets come and go while they are counted: it is tried so often to count them exactly.
const TRIES: usize = 3;

/// What was missed is corrected at most this often: it takes a look at all connections of the host.
const CORRECTED_EVERY: Span = Span::of_seconds(10);

/// The ports that are watched.
#[derive(Debug, Default)]
pub struct PortWatch {
    watched: BTreeMap<PortWatchId, Watched>,
    /// A way to ask in each namespace; none where there is no sock_diag.
    diags: BTreeMap<NetNs, Option<SockDiag>>,
    /// How many changes of state the program that counts had missed when that was corrected last, and when that was.
    missed: u64,
    corrected: Option<Mono>,
    /// What the kernel tells of each port at present.
    told_from: BTreeMap<PortKey, Thresholds>,
    lacks: Lacks,
}

#[derive(Debug)]
struct Watched {
    key: PortKey,
    proc: ProcId,
    thresholds: Thresholds,
    /// Connections that were turned away, or not gone on with, on the port and in the namespace, at the last look.
    suspicious: Option<(u64, TcpRefusals)>,
    /// Connections were half open at the last look: nothing tells when they are not any more.
    half_open: bool,
    /// With so many connections its process is short of descriptors, by what the last look has found.
    short_from: Option<u64>,
}

impl Watched {
    /// After a look: clients that are half open no more, descriptors that suffice. Nothing but a look notices.
    fn settle(&mut self, report: &PortReport, kernel: &mut Ports) {
        let Self { key, ref thresholds, .. } = *self;
        // Whoever waits to be accepted takes one as well.
        let left = |(used, limit): (u64, u64)| thresholds.descriptors_left(used.saturating_add(report.queue), limit);
        let many = thresholds.half_open(report.room).map_or(0, |band| band.raise.into());
        if report.half_open.is_none_or(|count| count < many) {
            kernel.settle(key, SocketAlarm::HalfOpen);
        }
        self.short_from = report.descriptors.and_then(left).map(|left| held(kernel, key).saturating_add(left));
    }
}

impl PortWatch {
    /// Watches a port in the namespace of this process: by the kernel's counters, where there are any. The first look tells
    /// these how many connections there are: here it would be dear, where thousands of ports begin to be watched at once.
    pub fn begin(
        &mut self,
        (watch, proc, port): (PortWatchId, ProcId, Port),
        thresholds: Thresholds,
        kernel: Option<&mut Ports>,
        events: &mut Vec<Event>,
    ) {
        let netns = match netns::of(proc.pid) {
            Ok(netns) => netns,
            // It has gone, or is none of ours: whoever watches it will know.
            Err(error) => return debug!(%error, pid = %proc.pid, "its network namespace is not known"),
        };
        let key = PortKey { netns, port: port.number() };
        if let Entry::Vacant(vacant) = self.diags.entry(netns) {
            let opened = SockDiag::of(proc.pid);
            // Of a process that has gone nothing can be said.
            if let Err(error) = &opened
                && netns::of(proc.pid).is_ok()
            {
                self.lacks.no_sock_diag(error);
            }
            vacant.insert(opened.ok());
        }
        self.watched
            .insert(watch, Watched { key, proc, thresholds, suspicious: None, half_open: false, short_from: None });
        events.push(Event::PortWatched { watch, key });
        if let Some(kernel) = kernel {
            self.tell_from(key, None, kernel);
            if let Err(error) = kernel.watch(PortKey::whole(netns), Thresholds::default()) {
                self.lacks.not_told(&error);
            }
        }
    }

    /// What the operator is to know.
    pub fn take_lacks(&mut self) -> Vec<String> {
        self.lacks.take()
    }

    /// Has the kernel tell what those who watch the port are to hear next.
    fn tell_from(&mut self, key: PortKey, queue: Option<(u64, u64)>, kernel: &mut Ports) {
        let all: Vec<_> =
            self.watched.values().filter(|other| other.key == key).map(|other| other.thresholds).collect();
        let next = Thresholds::next_of(&all, &PortUse { queue, counts: kernel.counts(key) });
        let before = self.told_from.insert(key, next);
        if before == Some(next) {
            return;
        }
        if let Err(error) = kernel.watch(key, next) {
            self.told_from.remove(&key);
            return self.lacks.not_told(&error);
        }
        let Some(before) = before else { return };
        // What was told was of another threshold.
        before.told_anew(&next).for_each(|alarm| kernel.settle(key, alarm));
    }

    /// Watches it no longer.
    pub fn end(&mut self, watch: PortWatchId, kernel: Option<&mut Ports>) {
        let Some(Watched { key, .. }) = self.watched.remove(&watch) else { return };
        let others = |wanted: &dyn Fn(PortKey) -> bool| self.watched.values().any(|other| wanted(other.key));
        let (is_last, is_last_of_all) = (!others(&|other| other == key), !others(&|other| other.netns == key.netns));
        if let Some(kernel) = kernel {
            if is_last {
                self.told_from.remove(&key);
                kernel.unwatch(key);
            } else {
                self.tell_from(key, None, kernel);
            }
            if is_last_of_all {
                kernel.unwatch(PortKey::whole(key.netns));
            }
        }
        if is_last_of_all {
            self.diags.remove(&key.netns);
        }
    }

    /// Looks at it.
    pub fn look(&mut self, watch: PortWatchId, mut kernel: Option<&mut Ports>, events: &mut Vec<Event>) {
        let Some(&Watched { key, proc, .. }) = self.watched.get(&watch) else {
            return events.push(Event::PortLooked { watch, report: None });
        };
        if let Some(kernel) = kernel.as_deref_mut() {
            if kernel.counts(key).is_none() {
                self.count_all(key.netns, proc, kernel, events, |kernel, key| kernel.counts(key).is_none());
            } else if says_that_numbers_are_wrong(kernel, key) {
                self.count(key, proc, kernel, events);
            }
            self.correct(kernel, events);
        }
        let Some(watched) = self.watched.get_mut(&watch) else { return };
        let counted = kernel.as_ref().and_then(|kernel| kernel.counts(key));
        let diag = self.diags.get_mut(&key.netns).and_then(Option::as_mut);
        let mut refusals = tcp_limits::refusals(proc.pid).unwrap_or_default();
        if let Some(sent_again) = kernel.as_ref().and_then(|kernel| kernel.sent_again(key)) {
            // On this port alone.
            refusals.syn_sent_again = sent_again;
        }
        let raised = kernel.as_ref().map_or_else(Vec::new, |kernel| kernel.alarms(key));
        let facts = facts(key, proc, diag, |listeners| {
            let drops = drops(listeners).unwrap_or(0);
            let before = watched.suspicious.replace((drops, refusals));
            // Reading all connections is dear: only when somebody was or may be turned away, or nothing else counts them.
            counted.is_none()
                || watched.half_open
                || raised.contains(&SocketAlarm::HalfOpen)
                || before.is_some_and(|before| before != (drops, refusals))
        });
        let report = match facts {
            Ok(facts) => {
                let mut report = report(&facts, counted, scarcity::of(proc.pid, &facts.0, &watched.thresholds));
                if may_leak(&report, &watched.thresholds) || raised.contains(&SocketAlarm::CloseWait) {
                    let diag = self.diags.get_mut(&key.netns).and_then(Option::as_mut);
                    if let Some(Ok(ages)) = diag.map(|diag| diag.close_waits(key.port)) {
                        tell_ages(&mut report, &ages, &watched.thresholds);
                    }
                }
                watched.half_open = report.half_open.is_some_and(|count| count > 0);
                if let Some(kernel) = kernel {
                    watched.settle(&report, kernel);
                    self.settle(key, &report, kernel);
                }
                Some(report)
            }
            Err(error) => {
                debug!(%error, port = key.port, "it cannot be looked at");
                None
            }
        };
        events.push(Event::PortLooked { watch, report });
    }

    /// After a look: what the kernel is to tell next. A queue that has drained without another handshake is noticed here only.
    fn settle(&mut self, key: PortKey, report: &PortReport, kernel: &mut Ports) {
        let short_from = self.watched.values().filter(|other| other.key == key).filter_map(|other| other.short_from);
        let held = held(kernel, key);
        kernel.expect(key, short_from.min().map(|from| from.saturating_sub(held)));
        let queue = report.room.map(|room| (report.queue, room));
        self.tell_from(key, queue, kernel);
        let band = self.told_from.get(&key).and_then(|told_from| told_from.queue_percent);
        let (Some(band), Some(room)) = (band, report.room) else { return };
        let is_below = |percent: u32| report.queue.saturating_mul(100) < room.saturating_mul(percent.into());
        for (alarm, percent) in [(SocketAlarm::AcceptFull, band.raise), (SocketAlarm::AcceptQueue, band.clear)] {
            if is_below(percent) && kernel.alarms(key).contains(&alarm) {
                kernel.settle(key, alarm);
            }
        }
    }

    /// When the program that counts has missed changes, these may have been of any port.
    fn correct(&mut self, kernel: &mut Ports, events: &mut Vec<Event>) {
        let (now, missed) = (clock::now(), kernel.missed());
        if missed == self.missed || self.corrected.is_some_and(|at| now.since(at) < CORRECTED_EVERY) {
            return;
        }
        (self.missed, self.corrected) = (missed, Some(now));
        let of_each: BTreeMap<_, _> = self.watched.values().map(|watched| (watched.key.netns, watched.proc)).collect();
        for (netns, proc) in of_each {
            self.count_all(netns, proc, kernel, events, |kernel, key| kernel.counts(key).is_some());
        }
    }

    /// Tells the kernel's counters how many sockets there are on all these ports of a namespace.
    fn count_all(
        &mut self,
        netns: NetNs,
        proc: ProcId,
        kernel: &mut Ports,
        events: &mut Vec<Event>,
        which: impl Fn(&Ports, PortKey) -> bool,
    ) {
        let keys = self.watched.values().map(|watched| watched.key).filter(|key| key.netns == netns);
        let wanted: BTreeSet<_> = keys.filter(|key| which(kernel, *key)).collect();
        let before: Vec<_> = wanted.iter().filter_map(|key| Some((*key, kernel.deltas(*key)?))).collect();
        if before.is_empty() {
            // The kernel side does not take them: there is nobody to tell.
            return;
        }
        let is_wanted = |port| wanted.contains(&PortKey { netns, port });
        let counted = self.diags.get_mut(&netns).and_then(Option::as_mut).and_then(|diag| {
            let listeners = diag.listeners(None).ok()?;
            Some((listeners, diag.all_states(is_wanted).ok()?))
        });
        let Some((listeners, states)) = counted else {
            return before.into_iter().for_each(|(key, _)| self.count(key, proc, kernel, events));
        };
        for (key, before) in before {
            let listeners = listeners.iter().filter(|listener| listener.address.port() == key.port).copied().collect();
            let states = states.iter().find(|(port, _)| *port == key.port).map(|(_, states)| *states);
            let counted = PortFacts { listeners, states: states.unwrap_or_default() }.counts();
            let (news, is_exact) = kernel.rebase(key, before, counted, clock::now());
            events.extend(news.into_iter().map(Event::Socket));
            if !is_exact {
                self.count(key, proc, kernel, events);
            }
        }
    }

    /// Tells the kernel's counters how many sockets there are on one port.
    fn count(&mut self, key: PortKey, proc: ProcId, kernel: &mut Ports, events: &mut Vec<Event>) {
        for _ in 0..TRIES {
            let Some(before) = kernel.deltas(key) else { return };
            let diag = self.diags.get_mut(&key.netns).and_then(Option::as_mut);
            let Ok((listeners, Some(states))) = facts(key, proc, diag, |_| true) else { return };
            let counted = PortFacts { listeners, states }.counts();
            let (news, is_exact) = kernel.rebase(key, before, counted, clock::now());
            events.extend(news.into_iter().map(Event::Socket));
            if is_exact {
                return;
            }
        }
    }
}

/// Whether an alarm is raised that follows from counting, which may be wrong.
fn says_that_numbers_are_wrong(kernel: &Ports, key: PortKey) -> bool {
    let numbers = [SocketAlarm::CloseWait, SocketAlarm::Established, SocketAlarm::ListenerGone];
    kernel.alarms(key).iter().any(|alarm| numbers.contains(alarm))
}

/// Whether it is worth asking for how long connections have not been closed, which is dear.
fn may_leak(report: &PortReport, thresholds: &Thresholds) -> bool {
    let count = report.close_wait.unwrap_or(0);
    let is_many = thresholds.close_wait.is_some_and(|band| count >= u64::from(band.raise));
    is_many || count > 0 && thresholds.close_wait_age.is_some()
}

/// Connections that take a descriptor each.
fn held(kernel: &Ports, key: PortKey) -> u64 {
    kernel.counts(key).map_or(0, |counts| counts.established + counts.close_wait)
}

/// The listeners of a port, and its connections where they are wanted. `/proc` tells less, and reads all of them.
fn facts(
    key: PortKey,
    proc: ProcId,
    diag: Option<&mut SockDiag>,
    wants_states: impl FnOnce(&[ListenerFacts]) -> bool,
) -> io::Result<(Vec<ListenerFacts>, Option<StateCounts>)> {
    let Some(diag) = diag else {
        let facts = tcp::ports(proc.pid)?.remove(&key.port).unwrap_or_default();
        return Ok((facts.listeners, Some(facts.states)));
    };
    let listeners = diag.listeners(Some(key.port))?;
    let states = if wants_states(&listeners) { Some(diag.states(key.port)?) } else { None };
    Ok((listeners, states))
}
