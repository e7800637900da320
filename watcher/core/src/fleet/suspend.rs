//! Units that are suspended, go on, or are watched no more.

use super::{
    member::{Leaving, Member, Presence},
    shared::Context,
    unit::{Phase, Unit},
};

impl Unit {
    /// Suspends one member.
    pub(super) fn pause(&mut self, at: usize, cx: &mut Context<'_>) {
        let gave_up = self.gave_up();
        let Some(member) = self.members.get_mut(at) else { return };
        if member.paused.is_some() {
            return;
        }
        member.paused = Some(member.status(gave_up));
        match member.presence {
            Presence::Up(proc) => {
                member.presence = Presence::Unknown;
                cx.unwatch(proc, at);
            }
            // Its end is still waited for, so that it is known at what time it died.
            Presence::Dying { .. } | Presence::Absent | Presence::Unknown => {}
            Presence::Leaving(leaving) => {
                member.presence = Presence::Unknown;
                cx.unwatch(leaving.proc, at);
            }
        }
        if self.members.iter().any(Member::is_watched) {
            return self.skip_paused(cx);
        }
        match self.phase {
            // What runs runs to its end.
            Phase::GaveUp | Phase::Running { .. } => {}
            Phase::Appearing { .. }
            | Phase::Failed { .. }
            | Phase::Idle
            | Phase::Looking
            | Phase::Queued { .. }
            | Phase::Resting { .. }
            | Phase::Stopping { .. } => self.rest(cx),
        }
    }

    /// Nothing is wanted for the time being.
    pub(super) fn rest(&mut self, cx: &mut Context<'_>) {
        cx.shared.runs.leave_queue(cx.unit);
        cx.shared.looks.leave(cx.unit);
        if let Phase::Appearing { at, .. } = self.phase {
            self.forget_name(at, cx);
        }
        self.phase = Phase::Idle;
    }

    /// A group goes on without a member that was suspended.
    fn skip_paused(&mut self, cx: &mut Context<'_>) {
        let waits_for = match &self.phase {
            Phase::Appearing { fault, at, .. } | Phase::Queued { fault, at } | Phase::Resting { fault, at, .. } => {
                Some((fault.clone(), *at))
            }
            Phase::Stopping { fault, at, .. } => Some((fault.clone(), *at)),
            Phase::Failed { fault, .. } => Some((fault.clone(), fault.culprit)),
            Phase::GaveUp | Phase::Idle | Phase::Looking | Phase::Running { .. } => None,
        };
        let Some((fault, at)) = waits_for else { return };
        if self.members.get(at).is_some_and(Member::is_watched) {
            return;
        }
        let phase = self.phase.clone();
        self.rest(cx);
        match phase {
            Phase::Stopping { .. } => self.stop_before(fault, at, cx),
            Phase::Failed { .. } => self.settle(cx),
            Phase::Appearing { .. } | Phase::Queued { .. } | Phase::Resting { .. } => self.start_after(fault, at, cx),
            Phase::GaveUp | Phase::Idle | Phase::Looking | Phase::Running { .. } => {}
        }
    }

    /// Goes on with one member.
    pub(super) fn resume(&mut self, at: usize, cx: &mut Context<'_>) {
        if self.gave_up() {
            self.budget.reset();
            self.phase = Phase::Idle;
        }
        let Some(member) = self.members.get_mut(at) else { return };
        if let Some(stalls) = member.stalls() {
            stalls.forgive();
        }
        if member.paused.take().is_none() && matches!(member.presence, Presence::Up(_)) {
            return;
        }
        if member.presence == Presence::Absent {
            // Somebody may have brought it back meanwhile.
            member.presence = Presence::Unknown;
        }
        match self.phase {
            Phase::Idle | Phase::Looking => self.settle(cx),
            // It is looked for when this has come to its end.
            Phase::Appearing { .. }
            | Phase::Failed { .. }
            | Phase::GaveUp
            | Phase::Queued { .. }
            | Phase::Resting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. } => {}
        }
    }

    /// Nothing of this is watched any more.
    pub(super) fn let_go(&mut self, cx: &mut Context<'_>) {
        self.rest(cx);
        for (at, member) in self.members.iter_mut().enumerate() {
            // Nor is known who is not there: somebody may bring him back.
            match std::mem::replace(&mut member.presence, Presence::Unknown) {
                Presence::Up(proc) | Presence::Dying { proc, .. } | Presence::Leaving(Leaving { proc, .. }) => {
                    cx.unwatch(proc, at);
                }
                Presence::Absent | Presence::Unknown => {}
            }
        }
    }
}
