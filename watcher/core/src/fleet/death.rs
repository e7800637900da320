//! Deaths of watched processes: told at once, acted on when what they held is free.

use super::{
    member::{Leaving, Presence},
    shared::Context,
    unit::{Fault, Phase, Search, Unit},
};
use crate::{Action, Ending, ExitNotice, Note, ProcId, Reason};

impl Unit {
    /// The kernel says that a process is dying.
    pub(super) fn dying(&mut self, at: usize, notice: &ExitNotice, cx: &mut Context<'_>) {
        let is_ours = self.is_stopping(at);
        let Some(member) = self.member(at) else { return };
        let Presence::Up(proc) = member.presence else { return };
        if proc != notice.proc {
            return;
        }
        let death = Leaving { proc, since: notice.at, ending: notice.ending, reason: Reason::Down, gone: false };
        cx.out.push(Action::AwaitEnd(proc));
        self.end_of(at, death, Some(notice), is_ours, cx);
    }

    /// A process that was there has ended, or is about to.
    fn end_of(&mut self, at: usize, death: Leaving, notice: Option<&ExitNotice>, is_ours: bool, cx: &mut Context<'_>) {
        let now = cx.mono();
        let Some(member) = self.member(at) else { return };
        let is_forced = member.stalls().is_some_and(|stalls| stalls.is_forced(death.proc));
        if !is_ours && !is_forced && member.may_leave_another(death.ending, now, cx.shared.interval) {
            member.presence = Presence::Leaving(death);
            member.notice = notice.copied().map(Box::new);
            cx.ask_look();
            return;
        }
        // Of one that is ended by force it was made before.
        if cx.shared.dumps && !is_forced {
            cx.out.push(Action::Snapshot { entry: member.id, proc: death.proc });
        }
        self.died(at, death, notice, is_ours, cx);
    }

    /// It has left nobody behind.
    pub(super) fn died(
        &mut self,
        at: usize,
        death: Leaving,
        notice: Option<&ExitNotice>,
        is_ours: bool,
        cx: &mut Context<'_>,
    ) {
        let now = cx.mono();
        let Leaving { proc, since, ending, reason, gone } = death;
        let Some(member) = self.member(at) else { return };
        member.died_at = Some(since);
        member.presence = if gone { Presence::Absent } else { Presence::Dying { proc, since, ending } };
        let (subject, pid) = (member.subject(), proc.pid);
        let was_forced = member.stalls().is_some_and(|stalls| stalls.take_forced(proc));
        let reason = if was_forced { Reason::Stall } else { reason };
        if was_forced {
            cx.tell(subject.clone(), Note::Killed { pid });
        }
        if gone {
            cx.unwatch(proc, at);
        }
        if is_ours {
            return;
        }
        let told = notice.map(ExitNotice::cause);
        let cause = told.or_else(|| (ending != Ending::Unknown).then(|| ending.to_string()));
        cx.tell(subject.clone(), Note::Down { pid: Some(pid), again: false });
        if let Some(cause) = cause.clone() {
            let latency = notice.map(|notice| now.since(notice.at));
            let origin = notice.and_then(|notice| notice.origin());
            cx.tell(subject, Note::Cause { pid, ending, origin, cause, latency });
        }
        self.has_died(at, reason, ending, cause, cx);
    }

    /// A process has gone.
    pub(super) fn gone(&mut self, at: usize, gone: ProcId, ending: Ending, reason: Reason, cx: &mut Context<'_>) {
        let now = cx.mono();
        let is_ours = self.is_stopping(at);
        let Some(member) = self.member(at) else { return };
        let subject = member.subject();
        let was_up = matches!(member.presence, Presence::Up(_));
        match &mut member.presence {
            Presence::Up(proc) if *proc == gone => {
                let death = Leaving { proc: gone, since: now, ending, reason, gone: true };
                self.end_of(at, death, None, is_ours, cx);
            }
            Presence::Leaving(leaving) if leaving.proc == gone => leaving.gone = true,
            Presence::Dying { proc, since, .. } if *proc == gone => {
                let took = now.since(*since);
                member.presence = Presence::Absent;
                cx.unwatch(gone, at);
                cx.tell(subject, Note::Gone { pid: gone.pid, took });
            }
            // Of an earlier one, or told twice.
            Presence::Absent | Presence::Dying { .. } | Presence::Leaving(_) | Presence::Unknown | Presence::Up(_) => {
                return;
            }
        }
        match self.phase.clone() {
            // Of one that was up the death has just been acted on.
            Phase::Failed { fault, .. } if fault.culprit == at && !was_up => self.proceed(cx),
            Phase::Stopping { fault, at: stopping, .. } if stopping == at => self.stop_before(fault, at, cx),
            Phase::Appearing { .. }
            | Phase::Failed { .. }
            | Phase::GaveUp
            | Phase::Idle
            | Phase::Looking
            | Phase::Queued { .. }
            | Phase::Resting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. } => {}
        }
    }

    /// Whether this member is ended by us: nothing to tell.
    fn is_stopping(&self, at: usize) -> bool {
        match self.phase {
            Phase::Stopping { at: stopping, .. } => stopping == at,
            // A script that brings the right number of processes about may well end the one that was watched. It may have
            // ended itself when that is seen.
            Phase::Appearing { at: acting, .. }
            | Phase::Resting { at: acting, .. }
            | Phase::Running { at: acting, .. } => acting == at,
            Phase::Failed { .. } | Phase::GaveUp | Phase::Idle | Phase::Looking | Phase::Queued { .. } => false,
        }
    }

    /// A death was told. A unit that is busy with another one comes to it when that is done.
    fn has_died(&mut self, at: usize, reason: Reason, ending: Ending, cause: Option<String>, cx: &mut Context<'_>) {
        match self.phase {
            Phase::Idle => self.fail(at, reason, ending, cause, cx),
            // Too many, or too few, processes: one of them less changes nothing but the reason.
            Phase::Failed { ref mut fault, .. } if fault.culprit == at => {
                (fault.reason, fault.ending, fault.cause) = (reason, ending, cause);
            }
            Phase::Appearing { .. }
            | Phase::Failed { .. }
            | Phase::GaveUp
            | Phase::Looking
            | Phase::Queued { .. }
            | Phase::Resting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. } => {}
        }
    }

    /// Something failed: it is acted on as soon as may be.
    pub(super) fn fail(
        &mut self,
        culprit: usize,
        reason: Reason,
        ending: Ending,
        cause: Option<String>,
        cx: &mut Context<'_>,
    ) {
        if cx.shared.dumps {
            cx.out.push(Action::Dump);
        }
        let fault = Fault { culprit, reason, ending, cause, counted: false };
        self.phase = Phase::Failed { fault, search: Search::NotNeeded };
        self.proceed(cx);
    }
}
