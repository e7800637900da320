//! The loop of `watcher watch`: processes are waited for, nothing else is done.

use std::{io, time::Duration};

use tokio::time::sleep;
use tracing::{debug, info};
use watcher_core::{Death, Event, Outbox, Signal, Vigil, vigil::Action};

use super::{SETTLE, SLOW_SWEEP, Senses, readable, ticks};
use crate::{
    sources::{os_signals::OsSignals, ring::RingSource},
    sys::clock,
};

/// How a vigil ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All processes have gone.
    AllGone,
    /// The operator stopped it.
    Stopped {
        /// By this signal.
        signal: Signal,
        /// How many processes live on.
        alive: usize,
    },
}

/// Everything that one vigil needs.
#[derive(Debug)]
pub struct Engine {
    vigil: Vigil,
    senses: Senses,
    signals: OsSignals,
    look_every: Duration,
    /// What was found while the vigil began.
    found: Vec<Event>,
}

impl Engine {
    /// Begins to watch: from here on no death is missed. Processes that cannot tell of themselves are looked at every
    /// `look_every`.
    #[must_use]
    pub fn begin(vigil: Vigil, mut senses: Senses, signals: OsSignals, look_every: Duration) -> Self {
        let mut found = Vec::new();
        for proc in vigil.alive() {
            senses.watch.begin(proc, &mut found);
        }
        Self { vigil, senses, signals, look_every, found }
    }

    /// Runs until all processes have gone or the operator stops it. `report` is called once for each death.
    ///
    /// # Errors
    /// When a source fails for good, or `report` does.
    pub async fn run(mut self, mut report: impl FnMut(&Death) -> io::Result<()>) -> io::Result<Outcome> {
        let mut looks = ticks(self.look_every);
        let mut sweeps = ticks(SLOW_SWEEP);
        let mut events = std::mem::take(&mut self.found);
        loop {
            if let Some(outcome) = self.turn(&mut events, &mut report)? {
                return Ok(outcome);
            }
            let unsettled = self.senses.ring.as_ref().is_some_and(RingSource::is_unsettled);
            tokio::select! {
                biased;
                readable = readable(self.senses.ring.as_ref()) => readable?,
                readable = self.senses.watch.readable() => {
                    readable?;
                    self.senses.watch.drain(&mut events)?;
                }
                () = sleep(SETTLE), if unsettled => {}
                stop = self.signals.next() => events.push(stop),
                _ = looks.tick(), if self.senses.watch.must_look() => self.senses.watch.look_again(&mut events),
                _ = sweeps.tick(), if self.senses.ring.is_some() => self.sweep(&mut events),
            }
        }
    }

    /// Hands everything that is known to the machine, and does what it asks for, until nothing is left to do.
    fn turn(
        &mut self,
        facts: &mut Vec<Event>,
        report: &mut impl FnMut(&Death) -> io::Result<()>,
    ) -> io::Result<Option<Outcome>> {
        let mut out = Outbox::default();
        loop {
            // The kernel's records go before the facts that were gathered: they explain what those only state. A
            // process that is seen to be gone has left its record before, unless that was lost.
            let mut events = Vec::new();
            if let Some(ring) = &mut self.senses.ring {
                ring.drain(&mut events);
            }
            events.append(facts);
            if events.is_empty() {
                return Ok(None);
            }
            let now = clock::now();
            for event in events {
                debug!(?event);
                self.vigil.step(now, event, &mut out);
            }
            for action in out.drain() {
                match action {
                    Action::Unwatch(proc) => self.senses.watch.end(proc),
                    Action::Report(death) => report(&death)?,
                    Action::Sweep { lost } => {
                        info!(lost, "the kernel side could not deliver some records: looking at every process");
                        self.sweep(facts);
                    }
                    Action::Finish { stopped_by: None } => return Ok(Some(Outcome::AllGone)),
                    Action::Finish { stopped_by: Some(signal) } => {
                        return Ok(Some(Outcome::Stopped { signal, alive: self.vigil.alive().len() }));
                    }
                }
            }
        }
    }

    fn sweep(&mut self, facts: &mut Vec<Event>) {
        for proc in self.vigil.alive() {
            self.senses.watch.check(proc, facts);
        }
    }
}
