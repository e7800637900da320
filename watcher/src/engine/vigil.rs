//! The loop of `watcher watch`: processes are waited for, nothing else is done.

use std::{io, time::Duration};

use tokio::time::sleep;
use tracing::{debug, info};
use watcher_core::{Death, Event, Outbox, Signal, Tier, Vigil, vigil::Action};

use super::{HURRY, SETTLE, Senses, TierLeft, keep_pace, ticks};
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

/// What a vigil tells.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// A process has died; by which tier that was learned.
    Death(&'a Death, Tier),
    /// From now on another tier tells.
    TierLeft(&'a TierLeft),
    /// Some processes are not watched as they should be.
    Complaint(&'a str),
}

/// How often something is done that no event asks for.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A look at processes that cannot tell of themselves.
    pub looks: Duration,
    /// A look at all, however well events arrive.
    pub sweeps: Duration,
}

/// Everything that one vigil needs.
#[derive(Debug)]
pub struct Engine {
    vigil: Vigil,
    senses: Senses,
    signals: OsSignals,
    pace: Pace,
    /// What was found while the vigil began.
    found: Vec<Event>,
}

impl Engine {
    /// Begins to watch: from here on no death is missed.
    #[must_use]
    pub fn begin(vigil: Vigil, mut senses: Senses, signals: OsSignals, pace: Pace) -> Self {
        let mut found = Vec::new();
        for proc in vigil.alive() {
            senses.watch.begin(proc, &mut found);
        }
        Self { vigil, senses, signals, pace, found }
    }

    /// Runs until all processes have gone or the operator stops it. `tell` is called once for each death.
    ///
    /// # Errors
    /// When no tier works any more, or `tell` fails.
    pub async fn run(mut self, mut tell: impl FnMut(Told<'_>) -> io::Result<()>) -> io::Result<Outcome> {
        let (mut looks, mut sweeps, mut hurry) = (ticks(self.pace.looks), ticks(self.pace.sweeps), ticks(HURRY));
        let mut events = std::mem::take(&mut self.found);
        loop {
            if let Some(outcome) = self.turn(&mut events, &mut tell)? {
                return Ok(outcome);
            }
            if let Some(left) = self.senses.leave_if_failing(|| self.vigil.alive().collect(), &mut events)? {
                tell(Told::TierLeft(&left))?;
                continue;
            }
            if let Some(complaint) = self.senses.watch.take_complaint() {
                tell(Told::Complaint(&complaint))?;
            }
            let Senses { ring, watch, .. } = &mut self.senses;
            keep_pace(&mut looks, self.pace.looks / watch.slices());
            let unsettled = ring.as_ref().is_some_and(RingSource::is_unsettled);
            tokio::select! {
                biased;
                readable = Senses::readable(ring.as_ref()) => {
                    if let Err(error) = readable {
                        watch.fail(error.to_string());
                    }
                }
                readable = watch.readable() => watch.drain(readable, &mut events),
                () = sleep(SETTLE), if unsettled => {}
                stop = self.signals.next() => events.push(stop),
                _ = hurry.tick(), if watch.must_hurry() => watch.look_at_dying(&mut events),
                _ = looks.tick(), if watch.must_look() => watch.look_again(&mut events),
                _ = sweeps.tick(), if watch.tier().is_event_driven() => watch.sweep(self.vigil.alive(), &mut events),
            }
        }
    }

    /// Hands everything that is known to the machine, and does what it asks for, until nothing is left to do.
    fn turn(
        &mut self,
        facts: &mut Vec<Event>,
        tell: &mut impl FnMut(Told<'_>) -> io::Result<()>,
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
                    Action::Report(death) => tell(Told::Death(&death, self.senses.watch.tier()))?,
                    Action::Sweep { lost } => {
                        info!(lost, "the kernel side could not deliver some records: looking at every process");
                        self.senses.watch.sweep(self.vigil.alive(), facts);
                    }
                    Action::Finish { stopped_by: None } => return Ok(Some(Outcome::AllGone)),
                    Action::Finish { stopped_by: Some(signal) } => {
                        return Ok(Some(Outcome::Stopped { signal, alive: self.vigil.alive().len() }));
                    }
                }
            }
        }
    }
}
