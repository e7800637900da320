//! One service is asked time and again until it fails too often: the whole of `clp_httpmon` and `clp_smtpmon`.

mod kind;
mod note;
#[cfg(test)]
mod tests;

pub use kind::{Id, Kind, ask_http};
pub use note::{Note, Symptom};

use crate::{Mono, Outbox, ProbeId, RequestId, Span, probe::Verdict};

/// A bad verdict that comes so much after the time limit of its attempt says more of us than of the service: we were
/// stopped, or the whole host was.
const SLACK: Span = Span::of_seconds(1);

/// When to ask, and how often in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// From the start of one check to that of the next.
    pub interval: Span,
    /// So often a check that failed is done again.
    pub retries: u32,
    /// How long one check may take.
    pub limit: Span,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is time for what was to be done at [`Monitor::next_deadline`].
    Deadline,
    /// An operator wants something.
    Order {
        /// Who waits for an answer.
        request: RequestId,
        /// What.
        order: Order,
    },
    /// A check is over.
    Probed {
        /// Which.
        probe: ProbeId,
        /// What came of it.
        verdict: Verdict,
    },
    /// The operator wants it to end.
    Stop,
}

/// What an operator can want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ask no more for now.
    Pause,
    /// Go on.
    Resume,
    /// Tell how it stands.
    Show,
}

/// What a monitor asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the service.
    Ask(ProbeId),
    /// The end.
    Finish(Finish),
    /// Whatever comes of this check is not wanted any more.
    Forget(ProbeId),
    /// Answer an operator.
    Reply {
        /// Whom.
        request: RequestId,
        /// How it stands now.
        standing: Standing,
    },
    /// Tell a line of the log.
    Tell(Note),
}

/// How a monitor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// As it was asked to.
    Asked,
    /// The service has failed too often.
    Fault,
}

/// How a monitor stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the order that this answers has changed anything.
    pub changed: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// Checks that were begun.
    pub checks: u64,
    /// Checks that failed, one after the other, up to now.
    pub faults: u32,
    /// What was wrong when a check failed last.
    pub last: Option<Symptom>,
    /// How long until the next check, where one is waited for.
    pub next_in: Option<Span>,
}

/// The machine.
#[derive(Debug)]
pub struct Monitor {
    kind: Kind,
    plan: Plan,
    state: State,
    checks: u64,
    faults: u32,
    last: Option<Symptom>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A check goes on.
    Asking { probe: ProbeId, since: Mono },
    /// All is over.
    Over,
    /// The operator wants no checks.
    Paused,
    /// For the next check.
    Waiting { until: Mono },
}

impl Monitor {
    /// Begins, with the first check at once.
    #[must_use]
    pub fn begin(kind: Kind, plan: Plan, now: Mono, out: &mut Outbox<Action>) -> Self {
        let mut begun = Self { kind, plan, state: State::Over, checks: 0, faults: 0, last: None };
        out.push(Action::Tell(Note::Started));
        out.push(Action::Tell(Note::Begins));
        begun.ask(now, out);
        begun
    }

    /// When [`Event::Deadline`] is wanted.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Mono> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Asking { .. } | State::Over | State::Paused => None,
        }
    }

    /// Takes in one event and says what to do.
    pub fn step(&mut self, now: Mono, event: Event, out: &mut Outbox<Action>) {
        match (event, self.state) {
            (_, State::Over) => {}
            (Event::Deadline, State::Waiting { until }) if until <= now => self.ask(now, out),
            (Event::Deadline, State::Asking { .. } | State::Paused | State::Waiting { .. }) => {}
            (Event::Order { request, order }, _) => {
                let changed = match order {
                    Order::Pause => self.pause(out),
                    Order::Resume => self.resume(now, out),
                    Order::Show => false,
                };
                out.push(Action::Reply { request, standing: self.standing(now, changed) });
            }
            (Event::Probed { probe, verdict }, State::Asking { probe: asked, since }) if probe == asked => {
                self.judge(now, since, &verdict, out);
            }
            // It was forgotten, and was under way already.
            (Event::Probed { .. }, State::Asking { .. } | State::Paused | State::Waiting { .. }) => {}
            (Event::Stop, _) => {
                self.forget(out);
                out.push(Action::Tell(Note::Ends));
                self.finish(Finish::Asked, out);
            }
        }
    }

    fn ask(&mut self, now: Mono, out: &mut Outbox<Action>) {
        let probe = ProbeId(self.checks);
        self.checks += 1;
        self.state = State::Asking { probe, since: now };
        out.push(Action::Ask(probe));
    }

    fn judge(&mut self, now: Mono, since: Mono, verdict: &Verdict, out: &mut Outbox<Action>) {
        let symptom = match verdict {
            Verdict::Good { .. } => {
                self.faults = 0;
                return self.wait(since);
            }
            Verdict::Bad(fault) => Symptom::of(self.kind, fault),
        };
        let in_time = now.since(since) <= Span(self.plan.limit.0.saturating_add(SLACK.0));
        let Some(symptom) = symptom.filter(|_| in_time) else { return self.ask(now, out) };
        self.faults = self.faults.saturating_add(1);
        self.last = Some(symptom);
        out.push(Action::Tell(Note::Found(symptom)));
        if self.faults > self.plan.retries {
            out.push(Action::Tell(Note::GivesUp));
            self.finish(Finish::Fault, out);
        } else {
            self.wait(since);
        }
    }

    /// For the time of the next check. One that took longer than the interval is followed by the next at once; those that
    /// were missed meanwhile are not made up for.
    const fn wait(&mut self, since: Mono) {
        self.state = State::Waiting { until: since.after(self.plan.interval) };
    }

    fn pause(&mut self, out: &mut Outbox<Action>) -> bool {
        if self.state == State::Paused {
            return false;
        }
        self.forget(out);
        self.state = State::Paused;
        // What is found after a pause does not follow on what was found before.
        self.faults = 0;
        out.push(Action::Tell(Note::Paused));
        true
    }

    fn resume(&mut self, now: Mono, out: &mut Outbox<Action>) -> bool {
        if self.state != State::Paused {
            return false;
        }
        out.push(Action::Tell(Note::Resumed));
        self.ask(now, out);
        true
    }

    fn forget(&self, out: &mut Outbox<Action>) {
        match self.state {
            State::Asking { probe, since: _ } => out.push(Action::Forget(probe)),
            State::Over | State::Paused | State::Waiting { .. } => {}
        }
    }

    fn finish(&mut self, how: Finish, out: &mut Outbox<Action>) {
        self.state = State::Over;
        out.push(Action::Finish(how));
    }

    fn standing(&self, now: Mono, changed: bool) -> Standing {
        Standing {
            changed,
            paused: self.state == State::Paused,
            checks: self.checks,
            faults: self.faults,
            last: self.last,
            next_in: self.next_deadline().map(|until| until.since(now)),
        }
    }
}
