//! From a failure to a process that is there again: wait, stop the others of the group, run scripts, wait for processes;
//! or give up.

use super::{
    member::{Leaving, Member, Presence},
    runs::{Overdue, Running},
    shared::Context,
    unit::{Fault, Phase, Search, Unit},
};
use crate::{
    Action, Ending, Note, Reason, RunEnd, RunId, ScriptOrder, Signal, Span, Subject, Told,
    action::Finish,
    pfile::{AbsolutePath, RetryOver},
};

/// From asking a member of a group to end until it is ended by force.
const PATIENCE: Span = Span::of_seconds(10);

/// A death that was learned of, or that took, so long ago that somebody else may have acted on it meanwhile: pcheck, or the
/// whole host, may have been stopped.
const LATE: Span = Span::of_seconds(1);

/// From the end of a script to the second look for its process; each pause is twice as long as the one before.
const FIRST_PAUSE: Span = Span::of_millis(250);

impl Unit {
    /// A failure waits for nothing more, or goes on waiting.
    pub(super) fn proceed(&mut self, cx: &mut Context<'_>) {
        let Phase::Failed { fault, search } = self.phase.clone() else { return };
        if self.is_dying(fault.culprit) {
            return;
        }
        let now = cx.mono();
        if self.budget.not_before(cx.shared.interval).is_some_and(|at| now < at) {
            // Too many processes do not become right by one more.
            let search = if fault.reason == Reason::Count { Search::NotNeeded } else { Search::Needed };
            self.phase = Phase::Failed { fault, search };
            return;
        }
        let died_at = self.members.get(fault.culprit).and_then(|member| member.died_at);
        let is_late = fault.reason != Reason::Count && died_at.is_some_and(|died| now.since(died) >= LATE);
        if search == Search::Needed || (search == Search::NotNeeded && is_late) {
            self.phase = Phase::Failed { fault, search: Search::Asked };
            cx.ask_look();
        } else {
            self.act(fault, cx);
        }
    }

    /// The wait is over, and nobody has brought the process back meanwhile.
    pub(super) fn act(&mut self, fault: Fault, cx: &mut Context<'_>) {
        let Some(culprit) = self.members.get(fault.culprit) else { return };
        if self.budget.is_used_up(cx.mono(), culprit.grace(), culprit.retries()) {
            return self.give_up(fault.culprit, cx);
        }
        let others = self.members.iter().enumerate().filter(|(at, member)| *at != fault.culprit && member.is_watched());
        if let (Some(tag), true) = (self.tag.clone(), others.count() > 0) {
            cx.tell(culprit.subject(), Note::GroupRestart { tag });
        }
        self.stop_before(fault, self.members.len(), cx);
    }

    /// Ends the members of a group before this one, from last to first; then scripts begin.
    pub(super) fn stop_before(&mut self, fault: Fault, before: usize, cx: &mut Context<'_>) {
        let keeps_culprit = |at: usize| fault.reason == Reason::Count && at == fault.culprit;
        for at in (0..before).rev().filter(|at| !keeps_culprit(*at)) {
            let Some(member) = self.members.get(at).filter(|member| member.is_watched()) else { continue };
            let proc = match member.presence {
                Presence::Up(proc) => {
                    if let Some(tag) = self.tag.clone() {
                        cx.tell(member.subject(), Note::MemberAsked { pid: proc.pid, tag });
                    }
                    cx.out.push(Action::Signal { proc, signal: Signal::TERM });
                    proc
                }
                Presence::Dying { proc, .. } | Presence::Leaving(Leaving { proc, .. }) => proc,
                Presence::Absent | Presence::Unknown => continue,
            };
            cx.out.push(Action::AwaitEnd(proc));
            self.phase = Phase::Stopping { fault, at, forced: false, until: cx.mono().after(PATIENCE) };
            return;
        }
        self.start_from(fault, 0, cx);
    }

    /// A member of a group does not end.
    pub(super) fn press(&mut self, fault: Fault, at: usize, forced: bool, cx: &mut Context<'_>) {
        let Some(member) = self.members.get_mut(at) else { return };
        if forced {
            // It cannot be ended: whatever holds it holds it. The others need not wait for it.
            return self.stop_before(fault, at, cx);
        }
        if let Presence::Up(proc) | Presence::Dying { proc, .. } = member.presence {
            cx.out.push(Action::Signal { proc, signal: Signal::KILL });
            cx.tell(member.subject(), Note::MemberKilled { pid: proc.pid });
        }
        self.phase = Phase::Stopping { fault, at, forced: true, until: cx.mono().after(PATIENCE) };
    }

    /// Runs the script of the first member from this one on that needs it.
    pub(super) fn start_from(&mut self, fault: Fault, from: usize, cx: &mut Context<'_>) {
        let needs = |(at, member): &(usize, &Member)| {
            let is_down = matches!(member.presence, Presence::Absent | Presence::Dying { .. });
            let is_wanted = *at == fault.culprit || is_down;
            *at >= from && member.is_watched() && is_wanted
        };
        match self.members.iter().enumerate().find(needs) {
            Some((at, _)) => {
                cx.shared.runs.queue(cx.unit, cx.now.mono);
                self.phase = Phase::Queued { fault, at };
            }
            None => self.settle(cx),
        }
    }

    /// The member is done with.
    pub(super) fn start_after(&mut self, fault: Fault, at: usize, cx: &mut Context<'_>) {
        self.start_from(fault, at.saturating_add(1), cx);
    }

    /// A script may run now.
    pub(super) fn granted(&mut self, cx: &mut Context<'_>) {
        let Phase::Queued { mut fault, at } = self.phase.clone() else { return };
        let now = cx.now;
        let Some(member) = self.members.get(at) else { return };
        if let Some((run, left)) = cx.shared.runs.take_over(cx.unit, &member.target()) {
            // Of this entry before it went from the rules and came back: two at once would get in each other's way.
            self.budget.last = self.budget.last.max(Some(left.since));
            let clearing = member.entry.clear_cmd() == Some(&left.script);
            self.phase = Phase::Running { fault, at, run, clearing };
            return;
        }
        if !fault.counted {
            self.budget.spend(now.mono);
            fault.counted = true;
        } else {
            self.budget.last = Some(now.mono);
        }
        let retry_count = self.budget.count;
        let Some(member) = self.members.get_mut(at) else { return };
        member.restart_count = member.restart_count.saturating_add(1);
        member.rerun = Some(now.wall);
        let (restart_count, reason) = (member.restart_count, fault.reason);
        cx.tell(member.subject(), Note::TryToRestart { retry_count, restart_count, reason });
        let clearing = member.entry.clear_cmd().is_some();
        self.run_script(fault, at, clearing, cx);
    }

    fn run_script(&mut self, fault: Fault, at: usize, clearing: bool, cx: &mut Context<'_>) {
        let retry_count = self.budget.count;
        let Some(member) = self.members.get(at) else { return };
        let script = member.entry.clear_cmd().filter(|_| clearing).unwrap_or(&member.entry.script.value).clone();
        let run = cx.shared.runs.begin(member.wanted(cx.unit, script.clone()), cx.now.mono);
        let is_culprit = at == fault.culprit;
        let order = ScriptOrder {
            run,
            entry: member.id,
            number: member.number,
            script,
            process: member.entry.process.value.clone(),
            old: member.pid(),
            retry_count,
            reason: fault.reason,
            ending: if is_culprit { fault.ending } else { Ending::Unknown },
            cause: fault.cause.clone().filter(|_| is_culprit),
        };
        self.phase = Phase::Running { fault, at, run, clearing };
        // First this: killed in between, the next pcheck would run it again, and at once.
        self.save(cx);
        cx.out.push(Action::Run(Box::new(order)));
    }

    /// A script of this unit has ended.
    pub(super) fn run_ended(&mut self, run: RunId, failed: Option<RunEnd>, cx: &mut Context<'_>) {
        let Phase::Running { fault, at, run: running, clearing } = self.phase.clone() else { return };
        if running != run {
            return;
        }
        let Some(member) = self.members.get_mut(at) else { return };
        member.script_failed = failed.map(Box::new);
        if !member.is_watched() {
            self.phase = Phase::Idle;
            return self.go_on_without(fault, at, cx);
        }
        if clearing {
            return self.run_script(fault, at, false, cx);
        }
        match member.entry.restart_wait().0 {
            0 => self.await_member(fault, at, cx),
            seconds => {
                let until = cx.mono().after(Span::of_seconds(seconds));
                self.phase = Phase::Resting { fault, at, until };
            }
        }
    }

    /// Suspended while its script ran.
    fn go_on_without(&mut self, fault: Fault, at: usize, cx: &mut Context<'_>) {
        if self.members.iter().any(Member::is_watched) {
            self.start_after(fault, at, cx);
        }
    }

    /// A script has ended: its process may appear.
    pub(super) fn await_member(&mut self, fault: Fault, at: usize, cx: &mut Context<'_>) {
        let Some(member) = self.members.get(at) else { return };
        cx.shared.names.expect(member.program(), cx.out);
        let until = cx.mono().after(cx.shared.interval);
        self.phase = Phase::Appearing { fault, at, until, look_at: None, pause: FIRST_PAUSE };
        cx.ask_look();
    }

    pub(super) fn forget_name(&mut self, at: usize, cx: &mut Context<'_>) {
        if let Some(member) = self.members.get(at) {
            cx.shared.names.expect_no_more(&member.program(), cx.out);
        }
    }

    /// The retries are used up.
    pub(super) fn give_up(&mut self, culprit: usize, cx: &mut Context<'_>) {
        let Some(member) = self.members.get(culprit) else { return };
        let (subject, action) = (member.subject(), member.entry.retry_over.value.action());
        cx.tell(subject.clone(), Note::RetryOver { action });
        match action {
            RetryOver::Continue => {
                self.let_go(cx);
                self.phase = Phase::GaveUp;
            }
            RetryOver::Exit => {
                cx.tell(subject, Note::Fatal);
                cx.shared.finish.get_or_insert(Finish::RetryOver(action));
            }
            RetryOver::Shutdown => {
                cx.shared.finish.get_or_insert(Finish::RetryOver(action));
            }
        }
    }
}

/// A script has ended, or was not started: told, whoever waits for it.
pub(super) fn tell_run_end(subject: Subject, script: AbsolutePath, end: RunEnd, ran: Span) -> Action {
    Action::Tell(Told { entry: Some(subject), note: Note::ScriptEnded { script, end, ran } })
}

/// What is done about a script that takes too long.
pub(super) fn press_run(run: RunId, overdue: Overdue, running: &Running) -> Vec<Action> {
    let tell = |note| Action::Tell(Told { entry: Some(running.subject.clone()), note });
    let force = overdue == Overdue::Force;
    let end = match (running.adopted, running.proc) {
        (true, Some(leader)) => Action::SignalGroup { leader, signal: if force { Signal::KILL } else { Signal::TERM } },
        (true | false, _) => Action::EndRun { run, force },
    };
    match overdue {
        Overdue::Ask(limit) => {
            vec![tell(Note::ScriptOverdue { script: running.script.clone(), limit }), end]
        }
        Overdue::Tell(ran) => vec![tell(Note::ScriptSlow { script: running.script.clone(), ran })],
        Overdue::Force => vec![end],
    }
}
