//! One watched port: which alarms are raised, by what the kernel tells unasked and what a look has found.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Band, Mono, Pid, PortReport, PortWatchId, SocketAlarm, SocketNews, Span, Thresholds, Weighed,
    pfile::{Entry, Extension, Port},
};

/// From one look to the next while a queue is full or nearly so: when it drains, and nobody comes, nothing tells.
const SOON: Span = Span::of_seconds(1);

/// The same for everything else that is wrong.
const LATER: Span = Span::of_seconds(10);

/// Connections that were turned away are no news any more when it has not happened again for so long.
const CALM: Span = Span::of_seconds(30);

/// What the rules want of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) thresholds: Thresholds,
    /// A grave alarm that lasts so long is a stall.
    pub(super) stall: Option<Span>,
}

impl Wanted {
    pub(super) fn of(entry: &Entry) -> Self {
        let mut wanted = Self { thresholds: Thresholds::default(), stall: None };
        let thresholds = &mut wanted.thresholds;
        for extension in &entry.extensions {
            match extension.value {
                Extension::Backlog(percent) => {
                    thresholds.queue_percent = Some(Band { raise: percent, clear: share(percent, 5, 8) });
                }
                Extension::CloseWait(count) => {
                    thresholds.close_wait = Some(Band { raise: count, clear: count / 2 });
                }
                Extension::CloseWaitAge(seconds) => thresholds.close_wait_age = Some(Span::of_seconds(seconds.0)),
                Extension::Connections(count) => {
                    thresholds.established = Some(Band { raise: count, clear: count.saturating_mul(9) / 10 });
                }
                Extension::Descriptors(percent) => {
                    thresholds.descriptors = Some(Band { raise: percent, clear: share(percent, 9, 10) });
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

/// A lower percentage. Nothing is below 0 %.
fn share(percent: u32, of: u32, parts: u32) -> u32 {
    (percent.saturating_mul(of) / parts).max(1)
}

/// A watched port.
#[derive(Debug)]
pub(super) struct WatchedPort {
    pub(super) port: Port,
    pub(super) watch: PortWatchId,
    raised: BTreeMap<SocketAlarm, Mono>,
    /// Somebody was seen listening on it.
    has_listened: bool,
    /// So many connections are not closed, but nobody knows yet whether it stays so.
    leak: Option<Suspicion>,
    drops: Option<u64>,
    /// A look was asked for.
    looking: bool,
    /// Of these alarms the kernel has told since: it is newer than what that look finds.
    newer: BTreeSet<SocketAlarm>,
    look_at: Option<Mono>,
    /// When the last look was over.
    looked: Option<Mono>,
}

/// Connections that may not have been closed, or will be in a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Suspicion {
    /// The kernel has told, and will tell when it is over; else a look.
    by_kernel: bool,
    since: Mono,
    look_at: Mono,
    measure: (u64, u64),
}

/// An alarm that was raised or cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) alarm: SocketAlarm,
    /// For how long it was raised, when it is cleared.
    pub(super) cleared_after: Option<Span>,
    pub(super) value: u64,
    pub(super) limit: u64,
    /// How long the oldest of them has been so, where that is known.
    pub(super) oldest: Option<Span>,
    /// Whose descriptors they are, where they are those of a child.
    pub(super) of_child: Option<Pid>,
}

impl WatchedPort {
    pub(super) const fn new(port: Port, watch: PortWatchId) -> Self {
        let raised = BTreeMap::new();
        let newer = BTreeSet::new();
        let (has_listened, looking) = (false, false);
        Self { port, watch, raised, has_listened, leak: None, drops: None, looking, newer, look_at: None, looked: None }
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
        let leak = self.leak.map(|leak| leak.look_at);
        [self.look_at, leak, stall].into_iter().flatten().min().filter(|_| !self.looking)
    }

    /// What the kernel tells, to all who watch the port: it may be so by the thresholds of another one only.
    pub(super) fn told(&mut self, news: &SocketNews, wanted: &Wanted, now: Mono) -> Vec<Change> {
        let SocketNews { key: _, alarm, raised, value, limit: _, at: _ } = *news;
        let limit = match wanted.thresholds.weigh(news) {
            Weighed::So { limit } => limit,
            Weighed::NotYet => {
                // Whoever looks has the kernel told when this one is to hear of it.
                self.look_at = Some(now);
                return Vec::new();
            }
            Weighed::NotWanted => return Vec::new(),
        };
        let (level, measure) = (Some(raised), (value, limit));
        // What is but a sign says nothing that a look could contradict.
        if self.looking && !matches!(alarm, SocketAlarm::Descriptors | SocketAlarm::HalfOpen) {
            self.newer.insert(alarm);
        }
        match alarm {
            SocketAlarm::AcceptFull | SocketAlarm::AcceptQueue if limit < Thresholds::TINY_ROOM => Vec::new(),
            // What is not nearly full is not full: nobody shall wonder how it can be.
            SocketAlarm::AcceptQueue if !raised => {
                let both = [SocketAlarm::AcceptFull, SocketAlarm::AcceptQueue];
                if self.looking {
                    self.newer.extend(both);
                }
                both.into_iter().filter_map(|alarm| self.set(alarm, level, measure, now)).collect()
            }
            // The last of them has just come: a healthy service closes them in a moment.
            SocketAlarm::CloseWait if raised && !self.raised.contains_key(&alarm) => {
                let look_at = now.after(Thresholds::LEAK_AGE);
                self.leak.get_or_insert(Suspicion { by_kernel: true, since: now, look_at, measure });
                Vec::new()
            }
            SocketAlarm::CloseWait => {
                self.leak = None;
                self.set(alarm, level, measure, now).into_iter().collect()
            }
            // A sign of it, and no more.
            SocketAlarm::Descriptors | SocketAlarm::HalfOpen => {
                self.look_at = Some(now);
                Vec::new()
            }
            // Not yet is not any more: who starts slowly opens his port late.
            SocketAlarm::ListenerGone if raised && !self.has_listened => Vec::new(),
            SocketAlarm::ListenerGone => {
                self.has_listened = true;
                self.set(alarm, level, measure, now).into_iter().collect()
            }
            SocketAlarm::AcceptFull
            | SocketAlarm::AcceptQueue
            | SocketAlarm::Drops
            | SocketAlarm::Ephemeral
            | SocketAlarm::Established
            | SocketAlarm::Memory => self.set(alarm, level, measure, now).into_iter().collect(),
        }
    }

    /// What a look has found. What it could not see is left as it is.
    pub(super) fn looked(&mut self, report: &PortReport, wanted: &Wanted, now: Mono) -> Vec<Change> {
        (self.looking, self.looked) = (false, Some(now));
        let PortReport {
            listeners,
            queue,
            room,
            drops,
            established,
            close_wait: _,
            close_wait_oldest: _,
            close_wait_many: _,
            half_open,
            descriptors,
            of_child,
        } = *report;
        let newer = std::mem::take(&mut self.newer);
        let is_newest = |alarm: SocketAlarm| !newer.contains(&alarm);
        let mut changes = Vec::new();
        // Connections that wait to be accepted will take descriptors, and nothing tells when they do.
        let mut is_about_to_be_short = false;
        let mut judge = |alarm, value: Option<u64>, limit: u64, raise: u64, clear: u64| {
            let Some(value) = value else { return };
            let level = if value >= raise {
                Some(true)
            } else if value <= clear {
                Some(false)
            } else {
                None
            };
            if is_newest(alarm) {
                changes.extend(self.set(alarm, level, (value, limit), now));
            }
        };
        if let Some(room) = room.filter(|room| *room >= Thresholds::TINY_ROOM)
            && let Some(Band { raise, clear }) = wanted.thresholds.queue_percent
        {
            let percent = |share: u32| room.saturating_mul(u64::from(share)).div_ceil(100);
            let nearly = (SocketAlarm::AcceptQueue, percent(raise), percent(clear).saturating_sub(1));
            let full = (SocketAlarm::AcceptFull, room, percent(raise).saturating_sub(1));
            // It is first nearly full and then full, and first not full any more.
            let in_order = if queue >= percent(raise) { [nearly, full] } else { [full, nearly] };
            in_order.into_iter().for_each(|(alarm, raise, clear)| judge(alarm, Some(queue), room, raise, clear));
        }
        if let Some(Band { raise, clear }) = wanted.thresholds.established {
            judge(SocketAlarm::Established, established, raise.into(), raise.into(), clear.into());
        }
        if let Some(Band { raise, clear }) = wanted.thresholds.half_open(room) {
            judge(SocketAlarm::HalfOpen, half_open, raise.into(), raise.into(), clear.into());
        }
        if let (Some((used, limit)), Some(Band { raise, clear })) = (descriptors, wanted.thresholds.descriptors) {
            let percent = |share: u32| limit.saturating_mul(u64::from(share)) / 100;
            judge(SocketAlarm::Descriptors, Some(used), limit, percent(raise), percent(clear));
            is_about_to_be_short = used < percent(raise) && used.saturating_add(queue) >= percent(raise);
            let short = changes.iter_mut().filter(|change| change.alarm == SocketAlarm::Descriptors);
            short.for_each(|change| change.of_child = of_child);
        }
        if is_newest(SocketAlarm::CloseWait) {
            changes.extend(self.judge_close_wait(report, &wanted.thresholds, now));
        }
        self.suspect_later(now);
        // It was told while nobody knew that somebody had listened.
        let may_be_gone = !self.has_listened && listeners > 0 && !is_newest(SocketAlarm::ListenerGone);
        self.has_listened |= listeners > 0;
        if self.has_listened && is_newest(SocketAlarm::ListenerGone) {
            changes.extend(self.set(SocketAlarm::ListenerGone, Some(listeners == 0), (listeners, 1), now));
        }
        // A listener that defers its accepts counts each of them as a drop: it means something when there is little room.
        let is_crowded = room.is_none_or(|room| queue.saturating_mul(2) >= room);
        changes.extend(self.count_drops(drops, is_crowded, now));
        self.plan(now);
        if is_about_to_be_short {
            self.look_at = Some(now.after(SOON));
        }
        // It was told since.
        if may_be_gone {
            self.look_at = Some(now);
        }
        changes
    }

    /// A look that could not be made.
    pub(super) fn not_looked(&mut self, now: Mono) -> Option<Change> {
        (self.looking, self.looked) = (false, Some(now));
        self.newer.clear();
        // Then what the kernel says has to do, when it says so for long enough.
        let leak = self.leak.filter(|leak| now.since(leak.since) >= Thresholds::LEAK_AGE);
        let change = leak.and_then(|leak| self.leaks(leak.measure, None, now));
        self.suspect_later(now);
        self.plan(now);
        change
    }

    /// Too many connections that are not closed, or one for too long.
    fn judge_close_wait(&mut self, report: &PortReport, thresholds: &Thresholds, now: Mono) -> Option<Change> {
        let PortReport { close_wait_oldest: oldest, close_wait_many: many, .. } = *report;
        let count = report.close_wait?;
        let is_old = oldest.zip(thresholds.close_wait_age).is_some_and(|(oldest, age)| oldest >= age);
        let band = thresholds.close_wait;
        let (is_many, is_few) =
            band.map_or((false, true), |Band { raise, clear }| (count >= u64::from(raise), count <= u64::from(clear)));
        let measure = (count, band.map_or(0, |band| band.raise.into()));
        let lasts = many.unwrap_or_else(|| self.leak.map_or(Span(0), |leak| now.since(leak.since)));
        if is_old || is_many && lasts >= Thresholds::LEAK_AGE {
            return self.leaks(measure, oldest, now);
        }
        let (by_kernel, since) = self.leak.map_or((false, now), |leak| (leak.by_kernel, leak.since));
        if !is_many {
            self.leak = self.leak.filter(|_| by_kernel);
        } else if !self.raised.contains_key(&SocketAlarm::CloseWait) {
            // Sooner they cannot be old enough.
            let left = Span(Thresholds::LEAK_AGE.0.saturating_sub(lasts.0));
            self.leak = Some(Suspicion { by_kernel, since, look_at: now.after(left.max(SOON)), measure });
        }
        self.set(SocketAlarm::CloseWait, is_few.then_some(false), measure, now)
    }

    fn leaks(&mut self, measure: (u64, u64), oldest: Option<Span>, now: Mono) -> Option<Change> {
        self.leak = None;
        let change = self.set(SocketAlarm::CloseWait, Some(true), measure, now)?;
        Some(Change { oldest, ..change })
    }

    /// The kernel has not taken back what it told, and the look has found fewer: those that nobody has accepted count for
    /// the kernel only.
    fn suspect_later(&mut self, now: Mono) {
        if let Some(leak) = self.leak.as_mut().filter(|leak| leak.look_at <= now) {
            leak.look_at = now.after(LATER);
        }
    }

    fn count_drops(&mut self, drops: Option<u64>, is_crowded: bool, now: Mono) -> Option<Change> {
        let drops = drops?;
        let before = self.drops.replace(drops)?;
        if drops > before && is_crowded {
            let change = self.set(SocketAlarm::Drops, Some(true), (drops - before, 0), now);
            // From the last of them on.
            self.raised.insert(SocketAlarm::Drops, now);
            return change;
        }
        let is_calm = self.raised.get(&SocketAlarm::Drops).is_some_and(|last| now.since(*last) >= CALM);
        if is_calm { self.set(SocketAlarm::Drops, Some(false), (0, 0), now) } else { None }
    }

    /// Notes what is known now: whether it is wrong, and by which measure.
    fn set(&mut self, alarm: SocketAlarm, level: Option<bool>, measure: (u64, u64), now: Mono) -> Option<Change> {
        let (value, limit) = measure;
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
        Some(Change { alarm, cleared_after, value, limit, oldest: None, of_child: None })
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
