//! The loop: one select over all sources, one look at the clock a turn, sole owner of the state machine.

use std::{io, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::{debug, info};
use watcher_core::{Action, Death, Event, Outbox, Signal, Vigil};

use crate::{
    executor::watch::Watch,
    sources::{os_signals::OsSignals, ring::RingSource},
    sys::clock,
};

/// However well events arrive, every watched process is looked at this often.
const SLOW_SWEEP: Duration = Duration::from_secs(300);

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
    /// What decides.
    pub vigil: Vigil,
    /// What the kernel programs tell, on the tier that has them.
    pub ring: Option<RingSource>,
    /// What the operator says.
    pub signals: OsSignals,
    /// What watches.
    pub watch: Watch,
    /// How often processes that cannot tell of themselves are looked at.
    pub look_every: Duration,
}

impl Engine {
    /// Runs until all processes have gone or the operator stops it. `report` is called once for each death.
    ///
    /// # Errors
    /// When a source fails for good, or `report` does.
    pub async fn run(mut self, mut report: impl FnMut(&Death) -> io::Result<()>) -> io::Result<Outcome> {
        let mut events = Vec::new();
        for proc in self.vigil.alive().collect::<Vec<_>>() {
            self.watch.begin(proc, &mut events);
        }
        let mut looks = ticks(self.look_every);
        let mut sweeps = ticks(SLOW_SWEEP);
        loop {
            if let Some(outcome) = self.turn(&mut events, &mut report)? {
                return Ok(outcome);
            }
            tokio::select! {
                biased;
                readable = readable(self.ring.as_ref()) => readable?,
                readable = self.watch.readable() => {
                    readable?;
                    self.watch.drain(&mut events)?;
                }
                stop = self.signals.next() => events.push(stop),
                _ = looks.tick(), if self.watch.must_look() => self.watch.look_again(&mut events),
                _ = sweeps.tick(), if self.ring.is_some() => self.sweep(&mut events),
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
            if let Some(ring) = &mut self.ring {
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
                    Action::Unwatch(proc) => self.watch.end(proc),
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
            self.watch.check(proc, facts);
        }
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn readable(ring: Option<&RingSource>) -> io::Result<()> {
    match ring {
        Some(ring) => ring.readable().await,
        None => std::future::pending().await,
    }
}
