//! One stall check: when its service is asked, and what is made of the answers.
//!
//! Failures count from the *start* of the first one in a row. A stall needs a second one, and that no check has succeeded
//! for the whole retry-over time. Time in which nobody could ask (this process, or the whole host, was stopped; too much
//! else was asked) does not count.

use std::sync::Arc;

use super::super::{StallStatus, StallView};
use crate::{
    Mono, ProbeId, SocketAlarm, Span,
    pfile::{AfterFailedKill, AfterStall, Entry, Extension, StallCheck, StallTiming},
    probe::{Ask, Fault, Verdict},
};

/// So much later than it should, something may happen, and is still in time.
const SLACK: Span = Span::of_seconds(1);

/// That a certificate ends is told so often.
const DAY: Span = Span::of_seconds(86_400);

/// A check, and what is known by it.
#[derive(Debug)]
pub(in crate::fleet) struct Check {
    rule: StallCheck,
    ask: Arc<Ask>,
    expiry_warn: Option<i64>,
    stage: Stage,
    /// It asks no more, for this reason.
    off: Option<Off>,
    /// A stall was found, and no check has succeeded since.
    detected: bool,
    /// A stall was found, and is not acted on since too much else fails.
    held: bool,
    /// By what was last heard of this process.
    last: Option<Last>,
    /// A check of this process has succeeded.
    was_good: bool,
    row: Option<Row>,
    /// When it asked last.
    asked_at: Option<Mono>,
    /// When it was told last that the certificate ends.
    warned: Option<Mono>,
    /// For how many days the certificate was valid yet, when a check last succeeded.
    certificate_days: Option<i64>,
    /// How long the last check took.
    took: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is nobody to ask, or no need to.
    Resting,
    /// It asks at this time.
    Due(Mono),
    /// It waits for its turn since this time.
    Queued(Mono),
    /// It asks. It was to do so at `due`.
    Asking { probe: ProbeId, due: Mono, since: Mono },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Off {
    /// A stall was found, and one is enough.
    AfterStall,
    /// The process could not be ended.
    NotEnded,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Last {
    Good,
    Bad(Fault),
    /// Nothing is known of the service, for this reason.
    Hindered(Fault),
}

/// Failures in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    since: Mono,
    failures: u32,
    /// The kind of fault that was told.
    told: Option<&'static str>,
}

/// What an attempt has brought to light.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum Finding {
    /// Nothing new.
    Nothing,
    /// It answers, after failures that were told.
    Again { after: Span, failures: u32 },
    /// It does not answer.
    Fails(Fault),
    /// It has not answered for so long that it counts as a stall.
    Stalled { fault: Fault, after: Span, failures: u32 },
    /// It cannot be asked.
    Hindered(Fault),
    /// Its certificate ends, or has ended.
    CertificateEnds { days: i64 },
}

impl Check {
    pub(super) fn new(entry: &Entry, rule: &StallCheck) -> Self {
        let expiry_warn = entry.extensions.iter().find_map(|extension| {
            if let Extension::ExpiryWarn(days) = extension.value { Some(i64::from(days)) } else { None }
        });
        Self {
            ask: Arc::new(Ask::of(entry, rule)),
            rule: rule.clone(),
            expiry_warn,
            stage: Stage::Resting,
            off: None,
            detected: false,
            held: false,
            last: None,
            was_good: false,
            row: None,
            asked_at: None,
            warned: None,
            certificate_days: None,
            took: None,
        }
    }

    pub(super) const fn rule(&self) -> &StallCheck {
        &self.rule
    }

    pub(super) fn interval(&self) -> Span {
        Span::of_seconds(self.rule.timing().interval().0)
    }

    /// There is a process to ask, from this time on.
    pub(super) fn begin(&mut self, at: Mono) {
        (self.last, self.row, self.was_good, self.held) = (None, None, false, false);
        self.stage = if self.off.is_some() { Stage::Resting } else { Stage::Due(at) };
    }

    /// There is nobody to ask. The attempt, if any, that is not wanted any more.
    pub(super) fn end(&mut self) -> Option<ProbeId> {
        (self.last, self.row) = (None, None);
        match std::mem::replace(&mut self.stage, Stage::Resting) {
            Stage::Asking { probe, .. } => Some(probe),
            Stage::Due(_) | Stage::Queued(_) | Stage::Resting => None,
        }
    }

    /// Begins anew, whatever was found before.
    pub(super) const fn forgive(&mut self) {
        (self.off, self.detected) = (None, false);
    }

    pub(super) const fn deadline(&self) -> Option<Mono> {
        match self.stage {
            Stage::Due(at) => Some(at),
            Stage::Asking { .. } | Stage::Queued(_) | Stage::Resting => None,
        }
    }

    /// Something may be wrong: it asks at once, unless it has done so just now.
    pub(super) fn hasten(&mut self, now: Mono) {
        if let Stage::Due(at) = self.stage
            && self.asked_at.is_none_or(|last| now.since(last) >= Span::of_seconds(StallTiming::SHORTEST.0))
        {
            self.stage = Stage::Due(at.min(now));
        }
    }

    /// Whether it wants its turn now.
    pub(super) fn comes_due(&mut self, now: Mono) -> bool {
        match self.stage {
            Stage::Due(at) if at <= now => {
                self.stage = Stage::Queued(at);
                true
            }
            Stage::Asking { .. } | Stage::Due(_) | Stage::Queued(_) | Stage::Resting => false,
        }
    }

    /// It has its turn. Nothing, when that is not wanted any more.
    pub(super) fn ask(&mut self, probe: ProbeId, now: Mono) -> Option<Arc<Ask>> {
        let Stage::Queued(due) = self.stage else { return None };
        self.forgive_time(now.since(due));
        self.asked_at = Some(now);
        self.stage = Stage::Asking { probe, due, since: now };
        Some(Arc::clone(&self.ask))
    }

    /// Verdicts were held until now: what has failed meanwhile is given all of the retry-over time to recover.
    pub(super) fn begin_row_anew(&mut self, now: Mono) {
        if let Some(row) = &mut self.row {
            (row.since, row.failures) = (now, 0);
        }
        self.held = false;
    }

    /// Nobody could ask for so long.
    fn forgive_time(&mut self, late: Span) {
        if late > SLACK
            && let Some(row) = &mut self.row
        {
            row.since = row.since.after(late);
        }
    }

    /// An attempt is over.
    pub(super) fn judge(&mut self, probe: ProbeId, verdict: Verdict, now: Mono) -> Finding {
        let Stage::Asking { probe: asked, due, since } = self.stage else { return Finding::Nothing };
        if asked != probe {
            return Finding::Nothing;
        }
        let took = now.since(since);
        self.took = Some(took);
        let verdict = match verdict {
            // Its time was over before it was looked at.
            Verdict::Bad(_) if took > Span(self.ask.limit.0.saturating_add(SLACK.0)) => Verdict::Bad(Fault::Overrun),
            other @ (Verdict::Bad(_) | Verdict::Good { .. }) => other,
        };
        self.stage = match verdict {
            // Soon, but not in a circle.
            Verdict::Bad(Fault::Overrun) => Stage::Due(now.after(SLACK)),
            Verdict::Bad(_) | Verdict::Good { .. } => Stage::Due(self.next(due, since, now)),
        };
        match verdict {
            Verdict::Good { certificate_days } => self.good(certificate_days, now),
            Verdict::Bad(Fault::Overrun) => {
                self.forgive_time(took);
                Finding::Nothing
            }
            Verdict::Bad(fault) if fault.may_be_of_service() => self.bad(fault, since, now),
            Verdict::Bad(fault) => {
                self.forgive_time(Span(now.since(due).0.max(self.interval().0)));
                let is_new = !matches!(&self.last, Some(Last::Hindered(last)) if last.name() == fault.name());
                self.last = Some(Last::Hindered(fault.clone()));
                if is_new { Finding::Hindered(fault) } else { Finding::Nothing }
            }
        }
    }

    /// When it asks again, after an attempt that was due, and began, at these times. From one beginning to the next it is never
    /// less than an interval: as many failures as fill the retry-over time are a stall, however late timers are. Those that
    /// were late together, since nobody could ask, go back to their own times: they would stay in step.
    fn next(&self, due: Mono, since: Mono, now: Mono) -> Mono {
        let interval = self.interval();
        if since.since(due) <= SLACK {
            return since.after(interval).max(now);
        }
        let missed = now.since(due).0 / interval.0.max(1);
        due.after(Span(interval.0.saturating_mul(missed.saturating_add(1))))
    }

    fn good(&mut self, certificate_days: Option<i64>, now: Mono) -> Finding {
        (self.last, self.was_good, self.detected, self.held) = (Some(Last::Good), true, false, false);
        self.certificate_days = certificate_days;
        match self.row.take() {
            Some(Row { since, failures, told: Some(_) }) => Finding::Again { after: now.since(since), failures },
            Some(_) | None => match (certificate_days, self.expiry_warn) {
                (Some(days), Some(warn)) if days < warn && self.warned.is_none_or(|at| now.since(at) >= DAY) => {
                    self.warned = Some(now);
                    Finding::CertificateEnds { days }
                }
                _ => Finding::Nothing,
            },
        }
    }

    fn bad(&mut self, fault: Fault, since: Mono, now: Mono) -> Finding {
        let row = self.row.get_or_insert(Row { since, failures: 0, told: None });
        row.failures = row.failures.saturating_add(1);
        let (after, failures) = (now.since(row.since), row.failures);
        self.last = Some(Last::Bad(fault.clone()));
        if failures > 1 && after >= Span::of_seconds(self.rule.timing().retry_over().0) {
            return Finding::Stalled { fault, after, failures };
        }
        // A service that was just started may not listen yet.
        let is_worth_it = self.was_good || failures > 1;
        if is_worth_it && row.told != Some(fault.name()) {
            row.told = Some(fault.name());
            return Finding::Fails(fault);
        }
        Finding::Nothing
    }

    /// The stall is acted on. Whether the check ends by that.
    pub(super) fn detect(&mut self) -> bool {
        self.detected = true;
        let ends = self.rule.after_stall() == AfterStall::Stop;
        if ends {
            self.off = Some(Off::AfterStall);
            self.stage = Stage::Resting;
        }
        ends
    }

    /// The stall is not acted on, for the time being.
    pub(super) const fn hold(&mut self) {
        self.held = true;
    }

    /// The process cannot be ended: it is asked no more.
    pub(super) fn turn_off(&mut self) -> Option<ProbeId> {
        self.off = Some(Off::NotEnded);
        self.end()
    }

    pub(super) fn takes_retry_over(&self) -> bool {
        self.rule.after_failed_kill() == AfterFailedKill::RetryOver
    }

    /// Whether it has ended: no stall is looked for any more, by whatever means.
    pub(super) const fn is_off(&self) -> bool {
        self.off.is_some()
    }

    /// Whether something is known of the service.
    pub(super) const fn is_known(&self) -> bool {
        matches!(self.last, Some(Last::Good | Last::Bad(_)))
    }

    pub(super) const fn is_failing(&self) -> bool {
        self.row.is_some()
    }

    pub(super) fn view(&self, is_asked: bool, paused: bool, alarms: Vec<SocketAlarm>) -> StallView {
        let status = match (self.off, &self.last) {
            _ if paused => StallStatus::Unknown,
            (Some(Off::NotEnded), _) => StallStatus::Unavail,
            (Some(Off::AfterStall), _) => StallStatus::Detect,
            (None, _) if self.detected || self.held => StallStatus::Detect,
            (None, _) if !is_asked => StallStatus::Unknown,
            (None, Some(Last::Hindered(_))) => StallStatus::Unavail,
            (None, _) if self.was_good => StallStatus::Avail,
            (None, None | Some(Last::Bad(_) | Last::Good)) => StallStatus::Init,
        };
        let fault = match &self.last {
            Some(Last::Bad(fault) | Last::Hindered(fault)) => Some(fault.clone()),
            Some(Last::Good) | None => None,
        };
        StallView {
            kind: self.rule.kind(),
            port: self.rule.target().port,
            status,
            failures: self.row.as_ref().map_or(0, |row| row.failures),
            failing_since: self.row.as_ref().map(|row| row.since),
            fault,
            alarms,
            held: self.held,
            ended: self.off.is_some(),
            took: self.took,
            certificate_days: self.certificate_days,
        }
    }

    /// What is saved of it: whether it is off, and why.
    pub(super) const fn saved(&self) -> Option<StallStatus> {
        match self.off {
            Some(Off::AfterStall) => Some(StallStatus::Detect),
            Some(Off::NotEnded) => Some(StallStatus::Unavail),
            None => None,
        }
    }

    pub(super) const fn recall(&mut self, saved: Option<StallStatus>) {
        self.off = match saved {
            Some(StallStatus::Detect) => Some(Off::AfterStall),
            Some(StallStatus::Unavail) => Some(Off::NotEnded),
            Some(StallStatus::Avail | StallStatus::Init | StallStatus::Unknown) | None => None,
        };
    }
}
