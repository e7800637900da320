//! The clocks.

use rustix::time::{ClockId, Timespec, clock_gettime};
use watcher_abi::NS_PER_TICK;
use watcher_core::{Mono, Span, StartTicks, Uptime, Wall};

use super::host::TimeOffsets;

/// Now, on the monotonic clock: the only clock that decides anything.
#[must_use]
pub fn now() -> Mono {
    Mono(nanoseconds(clock_gettime(ClockId::Monotonic)))
}

/// Time since boot, suspends included, as `/proc` counts it: the clock of process start times.
#[must_use]
pub fn since_boot() -> Span {
    let TimeOffsets { boottime_ns, start_ns, .. } = TimeOffsets::own();
    Span(boottime().0.saturating_add_signed(start_ns.saturating_sub(boottime_ns)))
}

/// Where the clock of process start times stands, at which moment.
#[must_use]
pub fn uptime() -> Uptime {
    Uptime { ticks: StartTicks(since_boot().0 / NS_PER_TICK), at: now() }
}

/// `CLOCK_BOOTTIME`, as the time namespace of this process has it.
pub(super) fn boottime() -> Span {
    Span(nanoseconds(clock_gettime(ClockId::Boottime)))
}

/// Seconds since 1970, for people and logs only.
#[must_use]
pub fn unix_seconds() -> f64 {
    Span(nanoseconds(clock_gettime(ClockId::Realtime))).seconds()
}

/// What the wall clock says now, for showing only.
#[must_use]
pub fn wall() -> Wall {
    Wall { unix_ns: nanoseconds(clock_gettime(ClockId::Realtime)) }
}

fn nanoseconds(Timespec { tv_sec, tv_nsec }: Timespec) -> u64 {
    u64::try_from(tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(tv_nsec).unwrap_or(0)
}
