//! What is saved and shown of a unit.

use std::sync::Arc;

use super::{
    EntryView,
    member::{Member, Presence},
    shared::{Context, Shared},
    unit::{Phase, Unit},
    view::Doing,
};
use crate::{Action, Mono, ProcId};

impl Unit {
    /// Tells what is to be saved of the members that have changed.
    pub(super) fn save(&mut self, cx: &mut Context<'_>) {
        for at in 0..self.members.len() {
            let (script, gave_up) = (self.script_of(at, cx.shared), self.gave_up());
            let Some(member) = self.members.get_mut(at) else { continue };
            // Most events come to nothing here, and have no need of a copy.
            let saved = member.to_save(&self.budget, gave_up, script);
            if member.saved.as_deref() != Some(&saved) {
                let saved = Arc::new(saved);
                cx.out.push(Action::Save(Arc::clone(&saved)));
                member.saved = Some(saved);
            }
        }
    }

    pub(super) fn script_of(&self, at: usize, shared: &mut Shared) -> Option<(ProcId, Mono)> {
        match self.phase {
            Phase::Running { at: running, run, .. } if running == at => {
                let run = shared.runs.of(run)?;
                Some((run.proc?, run.since))
            }
            Phase::Appearing { .. }
            | Phase::Failed { .. }
            | Phase::GaveUp
            | Phase::Idle
            | Phase::Looking
            | Phase::Queued { .. }
            | Phase::Resting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. } => None,
        }
    }

    pub(super) fn views<'a>(&'a self, shared: &'a Shared) -> impl Iterator<Item = EntryView> + 'a {
        let gave_up = self.gave_up();
        let until = self.deadline(shared);
        let view = move |(at, member): (usize, &Member)| {
            let doing = self.doing(at, member);
            let waits = matches!(doing, Doing::Pacing | Doing::Stopping | Doing::Appearing);
            member.view(&self.budget, gave_up, doing, until.filter(|_| waits))
        };
        self.members.iter().enumerate().map(view)
    }

    fn doing(&self, at: usize, member: &Member) -> Doing {
        if !member.is_watched() {
            return Doing::Paused;
        }
        let of_member = match member.presence {
            Presence::Up(_) => Doing::Watching,
            Presence::Dying { .. } => Doing::Dying,
            Presence::Leaving(_) | Presence::Unknown => Doing::Looking,
            Presence::Absent => Doing::Pacing,
        };
        match &self.phase {
            Phase::GaveUp => Doing::GaveUp,
            Phase::Appearing { at: acting, .. } | Phase::Resting { at: acting, .. } if *acting == at => {
                Doing::Appearing
            }
            Phase::Queued { at: acting, .. } if *acting == at => Doing::Queued,
            Phase::Running { at: acting, .. } if *acting == at => Doing::Restarting,
            Phase::Stopping { at: acting, .. } if *acting == at => Doing::Stopping,
            Phase::Appearing { .. }
            | Phase::Failed { .. }
            | Phase::Idle
            | Phase::Looking
            | Phase::Queued { .. }
            | Phase::Resting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. } => of_member,
        }
    }
}
