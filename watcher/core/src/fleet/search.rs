//! Looking for processes among all there are.

use super::{
    SETTLE,
    looks::Listing,
    member::{Leaving, Leftovers, Presence},
    shared::Context,
    unit::{Fault, Phase, Search, Unit},
};
use crate::{Ending, Note, ProcId, Reason, Span};

impl Unit {
    /// A look that was asked for has been taken.
    pub(super) fn looked(&mut self, listing: &Listing<'_>, cx: &mut Context<'_>) {
        self.look_for_heirs(listing, cx);
        match self.phase.clone() {
            Phase::Looking => self.look_for_all(listing, cx),
            Phase::Failed { fault, search: Search::Asked } => self.look_before_acting(fault, listing, cx),
            Phase::Appearing { fault, at, .. } => self.look_for_started(fault, at, listing, cx),
            Phase::Idle => self.count(listing, cx),
            Phase::Failed { .. }
            | Phase::GaveUp
            | Phase::Queued { .. }
            | Phase::Resting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. } => {}
        }
    }

    /// Programs that go to the background end, and leave another process behind.
    fn look_for_heirs(&mut self, listing: &Listing<'_>, cx: &mut Context<'_>) {
        for at in 0..self.members.len() {
            let Some(member) = self.members.get_mut(at) else { continue };
            let Presence::Leaving(leaving) = member.presence else { continue };
            // A look that began before is no answer.
            if listing.began < leaving.since {
                continue;
            }
            let notice = member.notice.take();
            match member.find_heir(listing, leaving.proc) {
                Some(heir) => self.up(at, heir, cx),
                None => self.died(at, leaving, notice.as_deref(), false, cx),
            }
        }
    }

    /// At the beginning, and when watching goes on.
    fn look_for_all(&mut self, listing: &Listing<'_>, cx: &mut Context<'_>) {
        for at in 0..self.members.len() {
            let Some(member) = self.members.get_mut(at) else { continue };
            if !member.is_watched() || member.presence != Presence::Unknown {
                continue;
            }
            let (subject, before) = (member.subject(), member.last);
            match member.find(listing, Leftovers::DoNotCount) {
                Some(proc) => self.up(at, proc, cx),
                None => {
                    member.presence = Presence::Absent;
                    // Whose end was seen was told then.
                    let note = match before {
                        Some(_) if member.died_at.is_some() => None,
                        Some(last) => Some(Note::Down { pid: Some(last.pid), again: false }),
                        None => Some(Note::SetPidFail),
                    };
                    if let Some(note) = note {
                        cx.tell(subject, note);
                    }
                }
            }
        }
        self.settle(cx);
    }

    /// Somebody else may have brought it back while a restart had to wait.
    fn look_before_acting(&mut self, fault: Fault, listing: &Listing<'_>, cx: &mut Context<'_>) {
        let found = self.member(fault.culprit).and_then(|member| member.find(listing, Leftovers::DoNotCount));
        match found {
            Some(proc) => {
                self.up(fault.culprit, proc, cx);
                self.settle(cx);
            }
            None => self.act(fault, cx),
        }
    }

    /// Its script has ended.
    fn look_for_started(&mut self, fault: Fault, at: usize, listing: &Listing<'_>, cx: &mut Context<'_>) {
        let now = cx.mono();
        let Phase::Appearing { until, pause, ref mut look_at, .. } = self.phase else { return };
        // Not by when it has come: the look may have taken long, or pcheck may have slept meanwhile.
        let last_look = until <= listing.began;
        let next = now.after(pause).min(until.max(now.after(Span::of_millis(1))));
        *look_at = Some(next);
        if let Phase::Appearing { pause, .. } = &mut self.phase {
            *pause = Span(pause.0.saturating_mul(2));
        }
        let leftovers = if last_look { Leftovers::Count } else { Leftovers::DoNotCount };
        let Some(member) = self.members.get(at) else { return };
        let found = member.find(listing, leftovers);
        let young = found.and_then(|proc| SETTLE.minus(listing.age(proc.start))).filter(|_| !last_look);
        if let (Some(_), Some(left), Phase::Appearing { look_at, .. }) = (found, young, &mut self.phase) {
            // It may be about to go to the background, and leave another one behind.
            *look_at = Some(now.after(left));
        } else if let Some(proc) = found {
            self.forget_name(at, cx);
            self.up(at, proc, cx);
            self.start_after(fault, at, cx);
        } else if last_look {
            self.forget_name(at, cx);
            let Some(member) = self.member(at) else { return };
            member.presence = Presence::Absent;
            let (subject, pid, again) = (member.subject(), member.pid(), member.died_at.is_some());
            cx.tell(subject, Note::Down { pid, again });
            self.fail(at, Reason::Down, Ending::Unknown, None, cx);
        }
    }

    /// A process is there.
    fn up(&mut self, at: usize, proc: ProcId, cx: &mut Context<'_>) {
        let Some(member) = self.member(at) else { return };
        let before = std::mem::replace(&mut member.presence, Presence::Up(proc));
        if !matches!(before, Presence::Leaving(_)) {
            member.found_at = Some(cx.mono());
        }
        let was_told = member.last == Some(proc) && member.died_at.is_none() && member.was_up;
        (member.last, member.died_at, member.miscounted, member.was_up) = (Some(proc), None, false, true);
        member.script_failed = None;
        let subject = member.subject();
        match before {
            Presence::Up(old) | Presence::Dying { proc: old, .. } | Presence::Leaving(Leaving { proc: old, .. })
                if old != proc =>
            {
                cx.unwatch(old, at);
            }
            Presence::Absent | Presence::Dying { .. } | Presence::Leaving(_) | Presence::Unknown | Presence::Up(_) => {}
        }
        cx.watch(proc, at);
        if !was_told {
            cx.tell(subject, Note::Up { pid: proc.pid });
        }
    }

    /// Entries that say how many processes there must be.
    fn count(&mut self, listing: &Listing<'_>, cx: &mut Context<'_>) {
        /// What is wrong must be so twice: processes come and go, and a fork looks like its parent before it runs
        /// something else.
        const CONFIRM: Span = Span::of_seconds(1);
        let now = cx.mono();
        for at in 0..self.members.len() {
            let Some(member) = self.member(at) else { continue };
            // A look that others asked for may come too soon.
            let is_due = member.is_watched() && member.count_at.is_none();
            let Some(bounds) = member.bounds().filter(|_| is_due) else { continue };
            let have = member.count(listing);
            let wrong = have < bounds.min || bounds.max.is_some_and(|max| have > max);
            if wrong && member.miscounted {
                member.miscounted = false;
                let subject = member.subject();
                cx.tell(subject, Note::CountWrong { have, min: bounds.min, max: bounds.max });
                return self.fail(at, Reason::Count, Ending::Unknown, None, cx);
            }
            member.miscounted = wrong;
            member.count_at = Some(now.after(if wrong { CONFIRM } else { cx.shared.interval }));
        }
    }
}
