//! The loops: one select over all sources, one look at the clock a turn, sole owners of the state machines.

pub mod monitor;
pub mod patrol;
mod vigil;

use std::{io, time::Duration};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

pub use self::vigil::{Engine, Outcome};
use crate::{executor::watch::Watch, sources::ring::RingSource, sys::clock};
use watcher_core::Mono;

/// When to look again at a ring whose counters do not add up yet.
const SETTLE: Duration = Duration::from_millis(20);

/// However well events arrive, every watched process is looked at this often.
const SLOW_SWEEP: Duration = Duration::from_secs(300);

/// What a tier that works has to offer.
#[derive(Debug)]
pub struct Senses {
    /// What the kernel programs tell, on the tier that has them.
    pub ring: Option<RingSource>,
    /// What watches.
    pub watch: Watch,
}

/// Ticks that never come in a burst.
fn ticks(period: Duration) -> Interval {
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
