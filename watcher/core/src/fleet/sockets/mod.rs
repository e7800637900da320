//! Sockets of services that run out: the kernel tells of watched ports, or a look finds it. An alarm is told, asks the
//! service at once instead of at its next turn, and is a stall by itself only where the rule says so.

mod port;
mod watches;

use self::port::{Change, Wanted, WatchedPort};
pub(super) use self::watches::{Owner, PortWatches};
use super::{
    member::{Member, Service},
    shared::Context,
    unit::Unit,
};
use crate::{
    Action, Mono, Note, PortReport, PortWatchId, ProcId, SocketAlarm, SocketNews,
    pfile::{Entry, Port},
};

/// The watched ports of an entry: those that it asks on this host.
#[derive(Debug)]
pub(super) struct Sockets {
    wanted: Wanted,
    ports: Vec<Port>,
    /// Whose they are: this process's.
    of: Option<ProcId>,
    watched: Vec<WatchedPort>,
}

impl Sockets {
    pub(super) fn new(entry: &Entry) -> Self {
        let checks = entry.stall_checks.iter().map(|check| check.value.target());
        let mut ports: Vec<_> = checks.filter(|target| target.is_local()).map(|target| target.port).collect();
        ports.sort_unstable();
        ports.dedup();
        Self { wanted: Wanted::of(entry), ports, of: None, watched: Vec::new() }
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.watched.iter().filter_map(|watched| watched.deadline(&self.wanted)).min()
    }

    /// What is wrong with the sockets of a port.
    pub(super) fn alarms(&self, port: Port) -> Vec<SocketAlarm> {
        let watched = self.watched.iter().filter(|watched| watched.port == port);
        watched.flat_map(WatchedPort::alarms).collect()
    }

    /// Watches the ports of this process from now on, or none.
    fn turn_to(&mut self, proc: Option<ProcId>, owner: Owner, cx: &mut Context<'_>) {
        if self.of == proc || self.ports.is_empty() {
            return;
        }
        self.of = proc;
        for watched in self.watched.drain(..) {
            cx.shared.ports.end(watched.watch);
            cx.out.push(Action::UnwatchPort(watched.watch));
        }
        let Some(proc) = proc else { return };
        let thresholds = self.wanted.thresholds;
        for port in &self.ports {
            let watch = cx.shared.ports.begin(owner);
            cx.out.push(Action::WatchPort { watch, proc, port: *port, thresholds });
            self.watched.push(WatchedPort::new(*port, watch));
        }
    }

    /// Looks at a port, unless that is under way.
    pub(super) fn look_at(&mut self, port: Port, cx: &mut Context<'_>) {
        for watched in self.watched.iter_mut().filter(|watched| watched.port == port) {
            if watched.look() {
                cx.out.push(Action::LookAtPort(watched.watch));
            }
        }
    }

    fn of_watch(&mut self, watch: PortWatchId) -> Option<(&mut WatchedPort, &Wanted)> {
        let watched = self.watched.iter_mut().find(|watched| watched.watch == watch)?;
        Some((watched, &self.wanted))
    }
}

impl Unit {
    /// Those ports are watched whose process is there.
    pub(super) fn tend_ports(&mut self, cx: &mut Context<'_>) {
        let (gave_up, unit) = (self.gave_up(), cx.unit);
        for (at, member) in self.members.iter_mut().enumerate() {
            let proc = member.asked(gave_up);
            if let Some(service) = &mut member.service {
                service.sockets.turn_to(proc, Owner { unit, member: at }, cx);
            }
        }
    }

    /// Time has passed.
    pub(super) fn ports_due(&mut self, cx: &mut Context<'_>) {
        let now = cx.mono();
        for Service { sockets, .. } in self.members.iter_mut().filter_map(|member| member.service.as_deref_mut()) {
            let is_due = |watched: &WatchedPort| watched.deadline(&sockets.wanted).is_some_and(|at| at <= now);
            let due: Vec<_> = sockets.watched.iter().filter(|watched| is_due(watched)).map(|due| due.port).collect();
            due.into_iter().for_each(|port| sockets.look_at(port, cx));
        }
    }

    /// Nobody knows what the kernel has told.
    pub(super) fn look_at_ports(&mut self, cx: &mut Context<'_>) {
        for Service { sockets, .. } in self.members.iter_mut().filter_map(|member| member.service.as_deref_mut()) {
            let ports = sockets.ports.clone();
            ports.into_iter().for_each(|port| sockets.look_at(port, cx));
        }
    }

    /// The kernel tells of a port.
    pub(super) fn port_told(&mut self, at: usize, watch: PortWatchId, news: &SocketNews, cx: &mut Context<'_>) {
        let now = cx.mono();
        let Some(member) = self.member(at) else { return };
        let Some(service) = &mut member.service else { return };
        let Some((watched, wanted)) = service.sockets.of_watch(watch) else { return };
        let (port, changes) = (watched.port, watched.told(news, wanted, now));
        changed(member, port, changes, cx);
    }

    /// A look at a port is over.
    pub(super) fn port_looked(
        &mut self,
        at: usize,
        watch: PortWatchId,
        report: Option<&PortReport>,
        cx: &mut Context<'_>,
    ) {
        let now = cx.mono();
        let Some(member) = self.member(at) else { return };
        let Some(service) = &mut member.service else { return };
        let Some((watched, wanted)) = service.sockets.of_watch(watch) else { return };
        let Some(report) = report else {
            let (port, change) = (watched.port, watched.not_looked(now));
            return changed(member, port, change, cx);
        };
        let (port, changes) = (watched.port, watched.looked(report, wanted, now));
        // Fresh, so that nobody is ended for what was so a while ago.
        let grave = watched.gravest().zip(wanted.stall).filter(|((_, since), stall)| now.since(*since) >= *stall);
        changed(member, port, changes, cx);
        if let Some(((alarm, since), _)) = grave {
            self.stalled_by_sockets(at, port, alarm, now.since(since), cx);
        }
    }
}

fn changed(member: &mut Member, port: Port, changes: impl IntoIterator<Item = Change>, cx: &mut Context<'_>) {
    let Some(pid) = member.pid() else { return };
    for Change { alarm, cleared_after, value, limit, oldest, of_child } in changes {
        let note = match cleared_after {
            None => Note::SocketAlarm { pid, port, alarm, value, limit, oldest, of_child },
            Some(after) => Note::SocketClear { pid, port, alarm, after },
        };
        cx.tell(member.subject(), note);
        if cleared_after.is_none()
            && alarm.asks_for_a_check()
            && let Some(stalls) = member.stalls()
        {
            stalls.hasten(port, cx.now.mono);
        }
    }
}
