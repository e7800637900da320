//! Services that are up but do not answer: they are asked as long as their process is there, and a stall ends it by force.
//! What follows is what follows every death.

mod check;
mod guard;
mod probes;
#[cfg(test)]
mod tests;

use self::check::{Check, Finding};
pub(crate) use self::probes::PROBES_AT_ONCE;
pub(super) use self::{
    guard::{Guard, Tally},
    probes::{Asker, Probes},
};
use super::{
    StallStatus, StallView,
    member::Member,
    shared::Context,
    sockets::Sockets,
    unit::{Phase, Unit},
};
use crate::{
    Action, Mono, Note, ProbeId, ProcId, Signal, SocketAlarm, Span, Told,
    pfile::{Entry, Port, StallKind},
    probe::Verdict,
};

/// How long a process that was ended by force may take to be gone.
const PATIENCE: Span = Span::of_seconds(5);

/// The first checks of an entry come within a second of its `Up`, where it is alone;
const FIRST: Span = Span::of_seconds(1);

/// for each one more, there is so much more time, up to the interval: they are never in step.
const APART: Span = Span::of_millis(500);

/// The stall checks of an entry.
#[derive(Debug)]
pub(super) struct Stalls {
    checks: Vec<Check>,
    /// Where they stand among all checks, so that each gets a time of its own.
    order: u64,
    /// Whom they ask: this process.
    of: Option<ProcId>,
    /// It is ended by force.
    forced: Option<Forced>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Forced {
    proc: ProcId,
    until: Mono,
    /// By which check.
    by: usize,
}

impl Stalls {
    pub(super) fn new(order: u64, entry: &Entry) -> Self {
        let checks = entry.stall_checks.iter().map(|check| Check::new(entry, &check.value)).collect();
        Self { checks, order, of: None, forced: None }
    }

    /// Whether this process is ended by force: what follows is no death by itself.
    pub(super) fn is_forced(&self, proc: ProcId) -> bool {
        self.forced.is_some_and(|forced| forced.proc == proc)
    }

    /// The forced end is over.
    pub(super) fn take_forced(&mut self, proc: ProcId) -> bool {
        self.forced.take_if(|forced| forced.proc == proc).is_some()
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        let checks = self.checks.iter().filter_map(Check::deadline);
        checks.chain(self.forced.map(|forced| forced.until)).min()
    }

    pub(super) fn views(&self, paused: bool, sockets: &Sockets) -> Vec<StallView> {
        let alarms = |check: &Check| sockets.alarms(check.rule().target().port);
        self.checks.iter().map(|check| check.view(self.of.is_some(), paused, alarms(check))).collect()
    }

    pub(super) fn saved(&self) -> Vec<Option<StallStatus>> {
        let is_one_off = self.checks.iter().any(|check| check.saved().is_some());
        if is_one_off { self.checks.iter().map(Check::saved).collect() } else { Vec::new() }
    }

    pub(super) fn recall(&mut self, saved: &[Option<StallStatus>]) {
        for (check, saved) in self.checks.iter_mut().zip(saved) {
            check.recall(*saved);
        }
    }

    /// The operator wants them to begin anew.
    pub(super) fn forgive(&mut self) {
        self.checks.iter_mut().for_each(Check::forgive);
        self.of = None;
    }

    /// The services on this port are asked at once.
    pub(super) fn hasten(&mut self, port: Port, now: Mono) {
        for check in self.checks.iter_mut().filter(|check| check.rule().target().port == port) {
            check.hasten(now);
        }
    }

    fn tally(&self) -> Tally {
        Tally {
            asked: usize::from(self.checks.iter().any(Check::is_known)),
            failing: usize::from(self.checks.iter().any(Check::is_failing)),
        }
    }

    /// Asks this process from now on, or nobody.
    fn turn_to(&mut self, proc: Option<ProcId>, cx: &mut Context<'_>) {
        if self.of == proc {
            return;
        }
        self.of = proc;
        self.forced = None;
        let now = cx.mono();
        let all = cx.shared.checks;
        for (place, check) in (0_u64..).zip(&mut self.checks) {
            forget(check.end(), cx);
            if proc.is_some() {
                let window = FIRST.0.saturating_add(APART.0.saturating_mul(all)).min(check.interval().0);
                check.begin(now.after(spread(self.order, place, Span(window))));
            }
        }
    }
}

/// A time within a window, far from those of the neighbours, of the same entry and of others: multiples of the golden ratio
/// and of the square root of 2, without the whole. No two sums of them are the same.
fn spread(order: u64, place: u64, window: Span) -> Span {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    const ROOT: u64 = 0x6A09_E667_F3BC_C909;
    let nth = order.wrapping_add(1).wrapping_mul(GOLDEN).wrapping_add(place.wrapping_mul(ROOT));
    let part = u128::from(nth) * u128::from(window.0);
    Span(u64::try_from(part >> 64).unwrap_or(window.0))
}

fn forget(probe: Option<ProbeId>, cx: &mut Context<'_>) {
    if let Some(probe) = probe {
        cx.shared.probes.end(probe);
        cx.out.push(Action::ForgetProbe(probe));
    }
}

/// Whom and what a note is about.
#[derive(Clone, Copy)]
struct About {
    proc: ProcId,
    port: Port,
    kind: StallKind,
}

impl Unit {
    /// Those are asked who are there, and nobody else. Follows whatever happens to a unit.
    pub(super) fn tend_checks(&mut self, cx: &mut Context<'_>) {
        let gave_up = self.gave_up();
        let mut after = Tally::default();
        for member in &mut self.members {
            let proc = member.asked(gave_up);
            let Some(stalls) = member.stalls() else { continue };
            stalls.turn_to(proc, cx);
            let tally = stalls.tally();
            after = Tally { asked: after.asked + tally.asked, failing: after.failing + tally.failing };
        }
        cx.shared.guard.count(self.tally, after);
        self.tally = after;
    }

    /// Time has passed.
    pub(super) fn checks_due(&mut self, cx: &mut Context<'_>) {
        let (unit, now) = (cx.unit, cx.mono());
        for (at, member) in self.members.iter_mut().enumerate() {
            for (place, check) in member.stalls().into_iter().flat_map(|stalls| &mut stalls.checks).enumerate() {
                if check.comes_due(now) {
                    cx.shared.probes.queue(Asker { unit, member: at, check: place });
                }
            }
        }
        for at in 0..self.members.len() {
            let forced = self.members.get(at).and_then(|member| member.service.as_ref()?.stalls.forced);
            if let Some(forced) = forced.filter(|forced| forced.until <= now) {
                self.cannot_end(at, forced, cx);
            }
        }
    }

    /// A check has its turn.
    pub(super) fn ask(&mut self, asker: Asker, cx: &mut Context<'_>) {
        let probe = cx.shared.probes.next();
        let check = self.member(asker.member).and_then(|member| member.stalls()?.checks.get_mut(asker.check));
        let Some(ask) = check.and_then(|check| check.ask(probe, cx.now.mono)) else { return };
        cx.shared.probes.begin(asker);
        let port = ask.port;
        cx.out.push(Action::Probe { probe, ask });
        // What nothing tells is looked at as often as the service is asked.
        if let Some(service) = self.member(asker.member).and_then(|member| member.service.as_mut()) {
            service.sockets.look_at(port, cx);
        }
    }

    /// An attempt is over.
    pub(super) fn probed(&mut self, asker: Asker, probe: ProbeId, verdict: Verdict, cx: &mut Context<'_>) {
        let now = cx.mono();
        let Some(member) = self.member(asker.member) else { return };
        let Some(stalls) = member.stalls() else { return };
        let Some(proc) = stalls.of else { return };
        let Some(check) = stalls.checks.get_mut(asker.check) else { return };
        let about = About { proc, port: check.rule().target().port, kind: check.rule().kind() };
        let (pid, port) = (proc.pid, about.port);
        let note = match check.judge(probe, verdict, now) {
            Finding::Nothing => return,
            Finding::Again { after, failures } => Note::AnswersAgain { pid, port, after, failures },
            Finding::Fails(fault) => Note::NoAnswer { pid, port, fault },
            Finding::Hindered(fault) => Note::NotAsked { pid, port, fault },
            Finding::CertificateEnds { days } => Note::CertificateEnds { port, days },
            Finding::Stalled { fault, after, failures } => {
                let why = Note::Unanswered { pid, port, fault, after, failures };
                return self.stalled((asker.member, asker.check), about, why, cx);
            }
        };
        cx.tell(member.subject(), note);
    }

    /// Verdicts that were held are let go. What made them be held may not be over for all at the same moment: those that are
    /// the last to recover are not to be ended for that.
    pub(super) fn begin_rows_anew(&mut self, now: Mono) {
        let checks = self.members.iter_mut().filter_map(Member::stalls).flat_map(|stalls| &mut stalls.checks);
        checks.for_each(|check| check.begin_row_anew(now));
    }

    /// The sockets of a port have been of no use for too long.
    pub(super) fn stalled_by_sockets(
        &mut self,
        at: usize,
        port: Port,
        alarm: SocketAlarm,
        after: Span,
        cx: &mut Context<'_>,
    ) {
        let Some(stalls) = self.member(at).and_then(Member::stalls) else { return };
        let check = stalls.checks.iter().position(|check| check.rule().target().port == port && !check.is_off());
        let (Some(proc), Some(check)) = (stalls.of, check) else { return };
        let why = Note::SocketStall { pid: proc.pid, port, alarm, after };
        self.stalled((at, check), About { proc, port, kind: StallKind::Socket }, why, cx);
    }

    /// A service has not answered for too long, by this check of this member.
    fn stalled(&mut self, (at, by): (usize, usize), about: About, why: Note, cx: &mut Context<'_>) {
        let until = cx.mono().after(PATIENCE);
        // A unit that is busy comes to it when that is done: the check goes on failing.
        let is_free = self.phase == Phase::Idle;
        let Some(member) = self.member(at).filter(|_| is_free) else { return };
        let Some(stalls) = member.stalls().filter(|stalls| stalls.forced.is_none()) else { return };
        let Some(check) = stalls.checks.get_mut(by) else { return };
        if cx.shared.guard.is_too_much() {
            check.hold();
            return hold(cx);
        }
        let About { proc, port, kind } = about;
        let ends = check.detect();
        stalls.forced = Some(Forced { proc, until, by });
        let subject = member.subject();
        cx.tell(subject.clone(), Note::Stall { kind, pid: proc.pid, port });
        cx.tell(subject.clone(), why);
        if ends {
            cx.tell(subject, Note::CheckEnds { port });
        }
        if cx.shared.dumps {
            cx.out.push(Action::Snapshot { entry: member.id, proc });
        }
        cx.out.push(Action::Signal { proc, signal: Signal::KILL });
        cx.out.push(Action::AwaitEnd(proc));
    }

    /// A stalled process is still there.
    fn cannot_end(&mut self, at: usize, forced: Forced, cx: &mut Context<'_>) {
        let Some(member) = self.member(at) else { return };
        let Some(stalls) = member.stalls() else { return };
        stalls.forced = None;
        let takes_retry_over = stalls.checks.get(forced.by).is_some_and(Check::takes_retry_over);
        for check in &mut stalls.checks {
            forget(check.turn_off(), cx);
        }
        cx.tell(member.subject(), Note::CannotKill { pid: forced.proc.pid });
        if takes_retry_over {
            self.give_up(at, cx);
        }
    }
}

/// Too many do not answer.
fn hold(cx: &mut Context<'_>) {
    let Tally { asked, failing } = cx.shared.guard.tally();
    if !std::mem::replace(&mut cx.shared.guard.holds, true) {
        cx.out.push(Action::Tell(Told { entry: None, note: Note::StallsHeld { failing, asked } }));
    }
}
