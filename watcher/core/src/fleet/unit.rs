//! What is restarted together: one entry, or the entries of a group in the order of the file. Its phases; `death`,
//! `restart`, `search` and `suspend` say what happens in them.

use super::{
    Shared,
    budget::Budget,
    member::{Member, Presence},
    shared::{Context, Who},
    stall::Tally,
};
use crate::{Ending, Mono, Reason, RunId, Span, pfile::Bytes};

/// Entries that are restarted together.
#[derive(Debug)]
pub(super) struct Unit {
    /// The group, when it is one.
    pub(super) tag: Option<Bytes>,
    pub(super) members: Vec<Member>,
    pub(super) budget: Budget,
    pub(super) phase: Phase,
    /// How many of them are asked, as last counted.
    pub(super) tally: Tally,
    /// It was made of rules just now, and has not begun.
    pub(super) is_fresh: bool,
}

/// What a unit is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A script has ended. The process of member `at` may take its time to appear.
    /// No time for the next look is set while one is under way.
    Appearing { fault: Fault, at: usize, until: Mono, look_at: Option<Mono>, pause: Span },
    /// Something failed; it waits until the dead have gone, and until a restart may begin.
    Failed { fault: Fault, search: Search },
    /// Given up.
    GaveUp,
    /// All that are watched are there.
    Idle,
    /// Somebody's presence is not known; a look was asked for.
    Looking,
    /// A script is to be run for member `at`, as soon as not too many run.
    Queued { fault: Fault, at: usize },
    /// The process of member `at` is not looked for before a time that the entry gives.
    Resting { fault: Fault, at: usize, until: Mono },
    /// A script runs for member `at`.
    Running { fault: Fault, at: usize, run: RunId, clearing: bool },
    /// Member `at` of a group was asked to end, or is ended by force.
    Stopping { fault: Fault, at: usize, forced: bool, until: Mono },
}

/// Why a unit is restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Whose fault, by its place.
    pub(super) culprit: usize,
    pub(super) reason: Reason,
    /// How its process ended, and the sentence for it.
    pub(super) ending: Ending,
    pub(super) cause: Option<String>,
    /// It was counted already: a restart of a group counts once.
    pub(super) counted: bool,
}

/// Who had to wait looks before he acts: the process may be back, brought by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// There was no need to wait.
    NotNeeded,
    /// There is; a look comes at the end.
    Needed,
    /// The look was asked for.
    Asked,
}

impl Unit {
    pub(super) fn new(tag: Option<Bytes>, members: Vec<Member>) -> Self {
        Self { tag, members, budget: Budget::default(), phase: Phase::Idle, tally: Tally::default(), is_fresh: true }
    }

    pub(super) fn member(&mut self, at: usize) -> Option<&mut Member> {
        self.members.get_mut(at)
    }

    pub(super) fn gave_up(&self) -> bool {
        self.phase == Phase::GaveUp
    }

    /// What was saved can be of no later time than now. From a file that somebody has changed, it may say so all the same,
    /// and would be waited for.
    pub(super) fn forget_future(&mut self, cx: &Context<'_>) {
        let now = cx.mono();
        let past = |time: &mut Option<Mono>| *time = time.map(|time| time.min(now));
        past(&mut self.budget.opened);
        past(&mut self.budget.last);
        for member in &mut self.members {
            past(&mut member.died_at);
            if let Some(left) = &mut member.left_running {
                left.1 = left.1.min(now);
            }
        }
    }

    /// Whether a process is waited for that a script has started.
    pub(super) const fn is_appearing(&self) -> bool {
        matches!(self.phase, Phase::Appearing { .. })
    }

    /// Begins.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>) {
        self.is_fresh = false;
        if self.gave_up() {
            return;
        }
        let left = self.members.iter_mut().enumerate().find_map(|(at, member)| Some((at, member.left_running.take()?)));
        let Some((at, left)) = left else { return self.settle(cx) };
        let (proc, since) = *left;
        let Some(member) = self.members.get_mut(at) else { return };
        member.presence = Presence::Absent;
        let wanted = member.wanted(cx.unit, member.entry.script.value.clone());
        let run = cx.shared.runs.adopt(wanted, (proc, since));
        cx.shared.watched.add(proc, Who::Script(run), cx.out);
        let fault = Fault { culprit: at, reason: Reason::Down, ending: Ending::Unknown, cause: None, counted: true };
        self.phase = Phase::Running { fault, at, run, clearing: false };
    }

    /// The rules were read again. What was given up is tried again.
    pub(super) fn after_reload(&mut self, cx: &mut Context<'_>) {
        self.is_fresh = false;
        if self.gave_up() {
            self.budget.reset();
            self.phase = Phase::Idle;
        }
        if self.phase == Phase::Idle {
            self.settle(cx);
        }
    }

    /// A program was started that may be the process that is waited for.
    pub(super) fn hurry(&mut self, cx: &mut Context<'_>) {
        if let Phase::Appearing { look_at, .. } = &mut self.phase {
            *look_at = None;
            cx.ask_look();
        }
    }

    /// Begins to watch, or goes on after something that made presences unknown.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        let watched = || self.members.iter().enumerate().filter(|(_, member)| member.is_watched());
        if watched().any(|(_, member)| member.presence == Presence::Unknown) {
            self.phase = Phase::Looking;
            cx.ask_look();
            return;
        }
        let absent = watched().find(|(_, member)| matches!(member.presence, Presence::Absent | Presence::Dying { .. }));
        match absent {
            Some((culprit, _)) => self.fail(culprit, Reason::Down, Ending::Unknown, None, cx),
            None => self.be_idle(cx),
        }
    }

    fn be_idle(&mut self, cx: &Context<'_>) {
        self.phase = Phase::Idle;
        let next = cx.mono().after(cx.shared.interval);
        for member in self.members.iter_mut().filter(|member| member.bounds().is_some()) {
            member.count_at = Some(next);
        }
    }

    /// Time has passed.
    pub(super) fn due(&mut self, cx: &mut Context<'_>) {
        let now = cx.mono();
        self.checks_due(cx);
        self.ports_due(cx);
        if let Phase::Appearing { look_at, .. } = &mut self.phase
            && look_at.is_some_and(|at| at <= now)
        {
            *look_at = None;
            cx.ask_look();
        }
        match self.phase.clone() {
            Phase::Failed { .. } => self.proceed(cx),
            Phase::Resting { fault, at, until } if until <= now => self.await_member(fault, at, cx),
            Phase::Stopping { fault, at, forced, until } if until <= now => self.press(fault, at, forced, cx),
            Phase::Idle if self.count_at().is_some_and(|due| due <= now) => {
                self.members.iter_mut().for_each(|member| member.count_at = None);
                cx.ask_look();
            }
            Phase::Appearing { .. }
            | Phase::GaveUp
            | Phase::Idle
            | Phase::Looking
            | Phase::Queued { .. }
            | Phase::Resting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. } => {}
        }
    }

    /// When something is to be done without being told.
    pub(super) fn deadline(&self, shared: &Shared) -> Option<Mono> {
        match &self.phase {
            // A look that was asked for is not asked for again.
            Phase::Appearing { look_at, .. } => *look_at,
            Phase::Failed { fault, search: Search::NotNeeded | Search::Needed } if !self.is_dying(fault.culprit) => {
                self.budget.not_before(shared.interval)
            }
            Phase::Resting { until, .. } | Phase::Stopping { until, .. } => Some(*until),
            Phase::Idle => self.count_at(),
            Phase::Failed { .. } | Phase::GaveUp | Phase::Looking | Phase::Queued { .. } | Phase::Running { .. } => {
                None
            }
        }
    }

    /// When somebody is to be asked, or a forced end is over.
    pub(super) fn next_check(&self) -> Option<Mono> {
        let services = self.members.iter().filter_map(|member| member.service.as_ref());
        services.flat_map(|service| [service.stalls.deadline(), service.sockets.deadline()]).flatten().min()
    }

    fn count_at(&self) -> Option<Mono> {
        self.members.iter().filter(|member| member.is_watched()).filter_map(|member| member.count_at).min()
    }

    pub(super) fn is_dying(&self, at: usize) -> bool {
        self.members.get(at).is_some_and(|member| matches!(member.presence, Presence::Dying { .. }))
    }
}
