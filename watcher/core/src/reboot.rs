//! Whether the host is to be rebooted when pcheck has given up: what a guard decides by the reboots before.
//!
//! Reboots are counted across boots, and the only clock that all of these share is the wall clock. It may be wrong: set back,
//! set ahead, or not set at all on a host that has lost it. A reboot too few leaves the host as it is, and somebody comes; a
//! reboot too many may go on for ever. So whatever cannot be dated counts.

use std::num::NonZeroU32;

use crate::pfile::Bytes;

/// What the wall clock says: seconds since 1970. Unlike all else in this crate it decides something, so it has an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub u64);

impl Date {
    /// No earlier than this program: 2025 began. A clock that says less has not been set since it was lost.
    const EARLIEST: Self = Self(1_735_689_600);

    const fn is_plausible(self) -> bool {
        self.0 >= Self::EARLIEST.0
    }
}

/// How often the host may be rebooted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many times,
    pub threshold: NonZeroU32,
    /// within so many seconds.
    pub window: u64,
}

/// A reboot that was ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reboot {
    /// When. `None`: that cannot be read any more.
    pub at: Option<Date>,
    /// It was only said: this counts for those who only say it, too.
    pub dry_run: bool,
    /// For which pfile, where that is known.
    pub pfile: Option<Bytes>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No reboot: there have been enough.
    Enough {
        /// So many.
        count: u32,
    },
    /// A reboot, once this has been written down.
    Reboot {
        /// Which one it is, from 1.
        number: u32,
        /// All that are still of interest, in order, with this one as the last.
        history: Vec<Reboot>,
    },
}

/// Whether to reboot, now that pcheck has given up for a pfile.
#[must_use]
pub fn decide(history: &[Reboot], (now, dry_run): (Date, bool), pfile: Bytes, limits: Limits) -> Verdict {
    let count = recent(history, (now, dry_run), limits);
    if count >= limits.threshold.get() {
        return Verdict::Enough { count };
    }
    let left = history.iter().filter(|reboot| is_recent(reboot, now, limits));
    let mut history: Vec<_> = left.map(|reboot| dated(reboot, now)).collect();
    history.push(Reboot { at: Some(now), dry_run, pfile: Some(pfile) });
    Verdict::Reboot { number: count + 1, history }
}

/// How many reboots count now.
#[must_use]
pub fn recent(history: &[Reboot], (now, dry_run): (Date, bool), limits: Limits) -> u32 {
    let counts = |reboot: &&Reboot| (dry_run || !reboot.dry_run) && is_recent(reboot, now, limits);
    u32::try_from(history.iter().filter(counts).count()).unwrap_or(u32::MAX)
}

/// What is left when the last of these has been called off.
#[must_use]
pub fn without_the_last(mut history: Vec<Reboot>) -> Vec<Reboot> {
    history.pop();
    history
}

/// What is left when the service has been kept for a whole window. Who only says what he would do forgets only what was said.
#[must_use]
pub fn after_a_good_window(mut history: Vec<Reboot>, dry_run: bool) -> Vec<Reboot> {
    history.retain(|reboot| dry_run && !reboot.dry_run);
    history
}

fn is_recent(reboot: &Reboot, now: Date, limits: Limits) -> bool {
    match reboot.at {
        Some(at) if at.is_plausible() && now.is_plausible() && at <= now => now.0 - at.0 <= limits.window,
        // Who knows when that was.
        Some(_) | None => true,
    }
}

/// With a date by which it can grow old: it was no later than now, if the clock is right by now.
fn dated(reboot: &Reboot, now: Date) -> Reboot {
    let at = match reboot.at {
        Some(at) if at.is_plausible() && at <= now => Some(at),
        Some(_) | None if now.is_plausible() => Some(now),
        unknown => unknown,
    };
    Reboot { at, ..reboot.clone() }
}
