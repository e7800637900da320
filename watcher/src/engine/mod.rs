//! The loops: one select over all sources, one look at the clock a turn, sole owners of the state machines.

pub mod guard;
pub mod joined;
pub mod monitor;
pub mod patrol;
mod vigil;

use std::{fmt, io, time::Duration};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

pub use self::vigil::{Engine, Outcome, Pace, Told};
use crate::{executor::watch::Watch, sources::ring::RingSource, sys::clock};
use watcher_core::{Choice, Event, Mono, PassedOver, ProcId, Tier};

/// When to look again at a ring whose counters do not add up yet.
const SETTLE: Duration = Duration::from_millis(20);

/// However well events arrive, every watched process is looked at this often, unless something else is wanted.
pub const SLOW_SWEEP: Duration = Duration::from_secs(300);

/// How often processes are looked at that are dying and cannot tell of their end.
const HURRY: Duration = Duration::from_millis(50);

/// What a tier that works has to offer.
#[derive(Debug)]
pub struct Senses {
    /// What the kernel programs tell, on the tier that has them.
    pub ring: Option<RingSource>,
    /// What watches.
    pub watch: Watch,
    /// Starts the best tier after one that fails, for so many processes. One can always be had: looking at `/proc` takes
    /// nothing, and who cannot be seen counts as alive.
    pub tier_after: fn(Tier, usize) -> Result<Choice<Self>, Vec<PassedOver>>,
}

/// A tier was left while running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierLeft {
    /// Which.
    pub tier: Tier,
    /// Why.
    pub reason: String,
    /// Tiers between it and the next that do not work.
    pub passed_over: Vec<PassedOver>,
    /// The one that is in use now.
    pub now: Tier,
}

impl fmt::Display for TierLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tier, reason, passed_over, now } = self;
        write!(f, "Tier {tier} left: {reason}; now tier {now}")?;
        for PassedOver { tier, reason } in passed_over {
            write!(f, " (tier {tier} passed over: {reason})")?;
        }
        Ok(())
    }
}

impl Senses {
    /// Waits until the kernel programs have told something, on the tier that has them.
    async fn readable(ring: Option<&RingSource>) -> io::Result<()> {
        match ring {
            Some(ring) => ring.readable().await,
            None => std::future::pending().await,
        }
    }

    /// Goes over to the next tier that works, if this one fails. All of these are watched anew; who has gone is told of.
    fn leave_if_failing(
        &mut self,
        watched: impl FnOnce() -> Vec<ProcId>,
        events: &mut Vec<Event>,
    ) -> io::Result<Option<TierLeft>> {
        let Some(reason) = self.watch.take_trouble() else { return Ok(None) };
        let (left, watched) = (self.watch.tier(), watched());
        let Choice { tier, started, passed_over } = (self.tier_after)(left, watched.len()).map_err(|tried| {
            let tried = tried.iter().map(|PassedOver { tier, reason }| format!("; tier {tier}: {reason}"));
            let tried: String = tried.collect();
            io::Error::other(format!("tier {left} fails, and no other works: {reason}{tried}"))
        })?;
        let Self { ring, watch, tier_after: _ } = started;
        // What the kernel programs have told until now explains deaths that would only be stated.
        if let Some(old) = &mut self.ring {
            old.drain(events);
        }
        self.ring = ring;
        self.watch.change_over(watch, watched, events);
        events.push(Event::StartsUntold);
        Ok(Some(TierLeft { tier: left, reason, passed_over, now: tier }))
    }
}

/// Ticks that never come in a burst.
fn ticks(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Ticks of another period from now on, if it is another one.
fn keep_pace(in_use: &mut Interval, period: Duration) {
    if in_use.period() != period {
        *in_use = ticks(period);
    }
}

async fn until(deadline: Option<Mono>) {
    let left = deadline.map_or(0, |deadline| deadline.since(clock::now()).0);
    sleep_until(Instant::now() + Duration::from_nanos(left)).await;
}

async fn tick(ticks: Option<&mut Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}
