//! Deaths of watched processes: told at once, acted on when what they held is free.

use super::{
    member::Presence,
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
        member.presence = Presence::Dying { proc, since: notice.at, ending: notice.ending };
        member.died_at = Some(notice.at);
        let (subject, cause) = (member.subject(), notice.cause());
        if cx.shared.dumps {
            cx.out.push(Action::Snapshot { entry: member.id, proc });
        }
        cx.out.push(Action::AwaitEnd(proc));
        if !is_ours {
            cx.tell(subject.clone(), Note::Down { pid: Some(proc.pid) });
            let latency = Some(cx.mono().since(notice.at));
            let (pid, ending) = (proc.pid, notice.ending);
            cx.tell(subject, Note::Cause { pid, ending, cause: cause.clone(), latency });
            self.has_died(at, Reason::Down, notice.ending, Some(cause), cx);
        }
    }

    /// A process has gone.
    pub(super) fn gone(&mut self, at: usize, gone: ProcId, ending: Ending, reason: Reason, cx: &mut Context<'_>) {
        let now = cx.mono();
        let is_ours = self.is_stopping(at);
        let Some(member) = self.member(at) else { return };
        let subject = member.subject();
        match member.presence {
            Presence::Up(proc) if proc == gone => {
                member.presence = Presence::Absent;
                member.died_at = Some(now);
                if cx.shared.dumps {
                    cx.out.push(Action::Snapshot { entry: member.id, proc });
                }
                cx.unwatch(proc, at);
                if !is_ours {
                    let cause = (ending != Ending::Unknown).then(|| ending.to_string());
                    cx.tell(subject.clone(), Note::Down { pid: Some(proc.pid) });
                    if let Some(cause) = cause.clone() {
                        cx.tell(subject, Note::Cause { pid: proc.pid, ending, cause, latency: None });
                    }
                    self.has_died(at, reason, ending, cause, cx);
                }
            }
            Presence::Dying { proc, since, .. } if proc == gone => {
                member.presence = Presence::Absent;
                cx.unwatch(proc, at);
                cx.tell(subject, Note::Gone { pid: proc.pid, took: now.since(since) });
            }
            // Of an earlier one, or told twice.
            Presence::Absent | Presence::Dying { .. } | Presence::Unknown | Presence::Up(_) => return,
        }
        match self.phase.clone() {
            Phase::Failed { fault, .. } if fault.culprit == at => self.proceed(cx),
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
