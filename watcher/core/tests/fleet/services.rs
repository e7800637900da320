//! Services of the host made of numbers: they are asked, and answer or not.

use watcher_core::{
    Event, ProbeId, Span,
    probe::{Ask, Fault, Step, Verdict},
};

use crate::world::{Happening, World};

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

    /// An attempt is not wanted any more. It may have its verdict already: that is told, and means nothing.
    pub(crate) fn forget_probe(&mut self, probe: ProbeId) {
        let is_told = |event: &Event| matches!(event, Event::Probed { probe: told, .. } if *told == probe);
        let was_asked = self.asking.remove(&probe).is_some() || self.pending.iter().any(is_told);
        assert!(was_asked, "it was not asked");
    }
}
