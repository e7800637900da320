//! One watched port: which alarms are raised, by what the kernel tells unasked and what a look has found.

use std::collections::BTreeMap;

use crate::{
    Band, Mono, PortReport, PortWatchId, SocketAlarm, Span, Thresholds,
    pfile::{Entry, Extension, Port},
};

/// From one look to the next while a queue is full or nearly so: when it drains, and nobody comes, nothing tells.
const SOON: Span = Span::of_seconds(1);

/// The same for everything else that is wrong.
const LATER: Span = Span::of_seconds(10);

/// Connections that were turned away are no news any more when it has not happened again for so long.
const CALM: Span = Span::of_seconds(30);

/// A queue with less room than this is full whenever somebody comes, and says nothing.
const TINY: u64 = 4;

/// Half-open connections: so many are no ordinary load, or as many as there is room for.
const HALF_OPEN: u64 = 128;

/// What the rules want of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) thresholds: Thresholds,
    /// In percent of what the process may have.
    pub(super) descriptors: Band,
    /// A grave alarm that lasts so long is a stall.
    pub(super) stall: Option<Span>,
}

impl Wanted {
    pub(super) fn of(entry: &Entry) -> Self {
        let mut wanted =
            Self { thresholds: Thresholds::default(), descriptors: Band { raise: 90, clear: 80 }, stall: None };
        for extension in &entry.extensions {
            match extension.value {
                Extension::Backlog(percent) => {
                    wanted.thresholds.queue_percent =
                        Some(Band { raise: percent, clear: percent.saturating_mul(5) / 8 });
                }
                Extension::CloseWait(count) => {
                    wanted.thresholds.close_wait = Some(Band { raise: count, clear: count / 2 });
                }
                Extension::Connections(count) => {
                    wanted.thresholds.established = Some(Band { raise: count, clear: count.saturating_mul(9) / 10 });
                }
                Extension::Descriptors(percent) => {
                    wanted.descriptors = Band { raise: percent, clear: percent.saturating_mul(9) / 10 };
                }
                Extension::SocketStall(seconds) => wanted.stall = Some(Span::of_seconds(seconds.0)),
                Extension::Allow(_)
                | Extension::Ca(_)
                | Extension::ExpiryWarn(_)
                | Extension::Header(_)
                | Extension::Match(_)
                | Extension::MatchHeader(_)
                | Extension::Method(_)
                | Extension::Path(_)
                | Extension::ScriptTimeout(_)
                | Extension::StallGuard(_)
                | Extension::Status(_)
                | Extension::Timeout(_)
                | Extension::Verify(_) => {}
            }
        }
        wanted
    }
}

/// A watched port.
#[derive(Debug)]
pub(super) struct WatchedPort {
    pub(super) port: Port,
    pub(super) watch: PortWatchId,
    raised: BTreeMap<SocketAlarm, Mono>,
    /// Somebody has listened on it.
    has_listened: bool,
    drops: Option<u64>,
    /// A look was asked for.
    looking: bool,
    look_at: Option<Mono>,
    /// When the last look was over.
    looked: Option<Mono>,
}

/// An alarm that was raised or cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) alarm: SocketAlarm,
    /// For how long it was raised, when it is cleared.
    pub(super) cleared_after: Option<Span>,
    pub(super) value: u64,
    pub(super) limit: u64,
}

impl WatchedPort {
    pub(super) const fn new(port: Port, watch: PortWatchId) -> Self {
        let raised = BTreeMap::new();
        Self { port, watch, raised, has_listened: false, drops: None, looking: false, look_at: None, looked: None }
    }

    pub(super) fn alarms(&self) -> impl Iterator<Item = SocketAlarm> + '_ {
        self.raised.keys().copied()
    }

    /// Wants a look, unless one is under way.
    pub(super) const fn look(&mut self) -> bool {
        self.look_at = None;
        !std::mem::replace(&mut self.looking, true)
    }

    pub(super) fn deadline(&self, wanted: &Wanted) -> Option<Mono> {
        let stall = self.gravest().zip(wanted.stall).map(|((_, since), stall)| since.after(stall));
        // A stall that was not acted on (it is held, or the process cannot be ended) waits for the next look like all else.
        let stall = stall.filter(|at| self.looked.is_none_or(|looked| looked < *at));
        [self.look_at, stall].into_iter().flatten().min().filter(|_| !self.looking)
    }

    /// What the kernel tells.
    pub(super) fn told(&mut self, change: Change, raised: bool, now: Mono) -> Option<Change> {
        let Change { alarm, value, limit, .. } = change;
        let is_queue = matches!(alarm, SocketAlarm::AcceptFull | SocketAlarm::AcceptQueue);
        if is_queue && limit < TINY {
            return None;
        }
        self.has_listened |= alarm == SocketAlarm::ListenerGone;
        self.set(alarm, Some(raised), value, limit, now)
    }

    /// What a look has found. What it could not see is left as it is.
    pub(super) fn looked(&mut self, report: &PortReport, wanted: &Wanted, now: Mono) -> Vec<Change> {
        (self.looking, self.looked) = (false, Some(now));
        let PortReport { listeners, queue, room, drops, established, close_wait, half_open, descriptors } = *report;
        let mut changes = Vec::new();
        let mut judge = |alarm, value: Option<u64>, limit: u64, raise: u64, clear: u64| {
            let Some(value) = value else { return };
            let level = if value >= raise {
                Some(true)
            } else if value <= clear {
                Some(false)
            } else {
                None
            };
            changes.extend(self.set(alarm, level, value, limit, now));
        };
        if let Some(room) = room.filter(|room| *room >= TINY) {
            let percent = |share: u32| room.saturating_mul(u64::from(share)).div_ceil(100);
            if let Some(Band { raise, clear }) = wanted.thresholds.queue_percent {
                let below = percent(clear).saturating_sub(1);
                judge(SocketAlarm::AcceptQueue, Some(queue), room, percent(raise), below);
                judge(SocketAlarm::AcceptFull, Some(queue), room, room, percent(raise).saturating_sub(1));
            }
        }
        for (alarm, value, band) in [
            (SocketAlarm::CloseWait, close_wait, wanted.thresholds.close_wait),
            (SocketAlarm::Established, established, wanted.thresholds.established),
        ] {
            if let Some(Band { raise, clear }) = band {
                judge(alarm, value, raise.into(), raise.into(), clear.into());
            }
        }
        // The queue of those that are half open is as long as `listen` was told: the room without the one more.
        let many = room.filter(|room| *room >= TINY).map_or(HALF_OPEN, |room| HALF_OPEN.min(room - 1));
        judge(SocketAlarm::HalfOpen, half_open, many, many, many / 2);
        if let Some((used, limit)) = descriptors {
            let percent = |share: u32| limit.saturating_mul(u64::from(share)) / 100;
            let Band { raise, clear } = wanted.descriptors;
            judge(SocketAlarm::Descriptors, Some(used), limit, percent(raise), percent(clear));
        }
        self.has_listened |= listeners > 0;
        if self.has_listened {
            changes.extend(self.set(SocketAlarm::ListenerGone, Some(listeners == 0), listeners, 1, now));
        }
        // A listener that defers its accepts counts each of them as a drop: it means something when there is little room.
        let is_crowded = room.is_none_or(|room| queue.saturating_mul(2) >= room);
        changes.extend(self.count_drops(drops, is_crowded, now));
        self.plan(now);
        changes
    }

    /// A look that could not be made.
    pub(super) fn not_looked(&mut self, now: Mono) {
        (self.looking, self.looked) = (false, Some(now));
        self.plan(now);
    }

    fn count_drops(&mut self, drops: Option<u64>, is_crowded: bool, now: Mono) -> Option<Change> {
        let drops = drops?;
        let before = self.drops.replace(drops)?;
        if drops > before && is_crowded {
            let change = self.set(SocketAlarm::Drops, Some(true), drops - before, 0, now);
            // From the last of them on.
            self.raised.insert(SocketAlarm::Drops, now);
            return change;
        }
        let is_calm = self.raised.get(&SocketAlarm::Drops).is_some_and(|last| now.since(*last) >= CALM);
        if is_calm { self.set(SocketAlarm::Drops, Some(false), 0, 0, now) } else { None }
    }

    fn set(&mut self, alarm: SocketAlarm, level: Option<bool>, value: u64, limit: u64, now: Mono) -> Option<Change> {
        let cleared_after = match (level?, self.raised.get(&alarm)) {
            (true, None) => {
                self.raised.insert(alarm, now);
                self.plan(now);
                None
            }
            (false, Some(since)) => {
                let after = now.since(*since);
                self.raised.remove(&alarm);
                Some(after)
            }
            (true, Some(_)) | (false, None) => return None,
        };
        Some(Change { alarm, cleared_after, value, limit })
    }

    fn plan(&mut self, now: Mono) {
        let is_queue = |alarm: &SocketAlarm| matches!(alarm, SocketAlarm::AcceptFull | SocketAlarm::AcceptQueue);
        self.look_at = match (self.raised.is_empty(), self.raised.keys().any(is_queue)) {
            (true, _) => None,
            (false, true) => Some(now.after(SOON)),
            (false, false) => Some(now.after(LATER)),
        };
    }

    /// The grave alarm that has been raised longest: nobody can be served.
    pub(super) fn gravest(&self) -> Option<(SocketAlarm, Mono)> {
        let grave = self.raised.iter().filter(|(alarm, _)| alarm.is_grave());
        grave.map(|(alarm, since)| (*alarm, *since)).min_by_key(|(_, since)| *since)
    }
}
