//! Services of the host made of numbers: they are asked, and answer or not.

use std::collections::BTreeMap;

use watcher_core::{
    Event, NetNs, PortKey, PortReport, PortWatchId, ProbeId, SocketAlarm, SocketNews, Span,
    probe::{Ask, Fault, Step, Verdict},
};

use crate::world::{Happening, World};

/// Ports that are watched.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    pub(crate) watched: BTreeMap<PortWatchId, u16>,
    /// What looks find; else one listener with an empty queue.
    pub(crate) reports: BTreeMap<u16, PortReport>,
    /// How often they looked.
    pub(crate) looks: usize,
    /// What the kernel tells of an alarm after the next look was made, and before what it has found is heard.
    pub(crate) meanwhile: Option<(SocketAlarm, bool)>,
}

fn key(port: u16) -> PortKey {
    PortKey { netns: NetNs(1), port }
}

/// What a service does when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Answers { certificate_days: Option<i64> },
    Fails(Fault),
    Silent,
}

impl World {
    /// Asks the service on a port.
    pub(crate) fn probe(&mut self, probe: ProbeId, ask: &Ask) {
        let port = ask.port.number();
        self.asked_at.push((self.now, port));
        assert!(self.asking.insert(probe, port).is_none(), "each attempt has a name of its own");
        let (takes, verdict) = match self.services.get(&port) {
            None => (Span::of_millis(1), Verdict::Good { certificate_days: None }),
            Some(Service::Answers { certificate_days }) => {
                (Span::of_millis(1), Verdict::Good { certificate_days: *certificate_days })
            }
            Some(Service::Fails(fault)) => (Span::of_millis(1), Verdict::Bad(fault.clone())),
            Some(Service::Silent) => (ask.limit, Verdict::Bad(Fault::Silent { step: Step::Answer, got: 0 })),
        };
        self.later(takes, Happening::Probed(probe, verdict));
    }

    /// Watches a port: one for each number, in one network namespace.
    pub(crate) fn watch_port(&mut self, watch: PortWatchId, port: u16) {
        assert!(self.ports.watched.insert(watch, port).is_none(), "each watch has a name of its own");
        self.pending.push_back(Event::PortWatched { watch, key: key(port) });
    }

    pub(crate) fn unwatch_port(&mut self, watch: PortWatchId) {
        assert!(self.ports.watched.remove(&watch).is_some(), "the port was not watched");
    }

    /// Looks at a port.
    pub(crate) fn look_at_port(&mut self, watch: PortWatchId) {
        self.ports.looks += 1;
        let port = self.ports.watched[&watch];
        let well = PortReport { listeners: 1, room: Some(129), ..PortReport::default() };
        let report = Some(self.ports.reports.get(&port).copied().unwrap_or(well));
        if let Some((alarm, raised)) = self.ports.meanwhile.take() {
            let (value, limit) = if raised { (104, 129) } else { (3, 129) };
            self.pending.push_back(Event::Socket(SocketNews {
                key: key(port),
                alarm,
                raised,
                value,
                limit,
                at: self.now,
            }));
        }
        self.pending.push_back(Event::PortLooked { watch, report });
    }

    /// The kernel tells of a port.
    pub(crate) fn kernel_tells(&mut self, port: u16, alarm: SocketAlarm, raised: bool, value: u64, limit: u64) {
        self.event(Event::Socket(SocketNews { key: key(port), alarm, raised, value, limit, at: self.now }));
    }

    /// An attempt is not wanted any more. It may have its verdict already: that is told, and means nothing.
    pub(crate) fn forget_probe(&mut self, probe: ProbeId) {
        let is_told = |event: &Event| matches!(event, Event::Probed { probe: told, .. } if *told == probe);
        let was_asked = self.asking.remove(&probe).is_some() || self.pending.iter().any(is_told);
        assert!(was_asked, "it was not asked");
    }
}
