//! Waiting for a set of processes to end: the whole of `watcher watch`.

use std::collections::BTreeSet;

use crate::{Death, Event, ExitNotice, Mono, Outbox, ProcId, Signal};

/// What a vigil asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell of a death.
    Report(Death),
    /// Watch this process no longer.
    Unwatch(ProcId),
    /// Look at every watched process once: some news was lost.
    Sweep {
        /// How many records were lost.
        lost: u64,
    },
    /// All is done, or the operator wants to stop.
    Finish {
        /// The signal that asked for it, if one did.
        stopped_by: Option<Signal>,
    },
}

/// A set of processes of which each is waited for, and reported once.
#[derive(Debug)]
pub struct Vigil {
    alive: BTreeSet<ProcId>,
    finished: bool,
}

impl Vigil {
    /// Waits for these.
    #[must_use]
    pub fn new(processes: impl IntoIterator<Item = ProcId>) -> Self {
        Self { alive: processes.into_iter().collect(), finished: false }
    }

    /// Those that have not been reported yet, in order.
    pub fn alive(&self) -> impl ExactSizeIterator<Item = ProcId> + '_ {
        self.alive.iter().copied()
    }

    /// Takes in one event and says what to do.
    pub fn step(&mut self, now: Mono, event: Event, out: &mut Outbox<Action>) {
        if self.finished {
            return;
        }
        match event {
            Event::Exit(ExitNotice { proc, ending, at, comm, blame }) => {
                self.died(Death { proc, ending, at, latency: Some(now.since(at)), comm: Some(comm), blame }, out);
            }
            Event::Gone { proc, ending } | Event::Zombie { proc, ending } => {
                self.died(Death { proc, ending, at: now, latency: None, comm: None, blame: None }, out);
            }
            Event::Lost { records } => out.push(Action::Sweep { lost: records }),
            Event::Stop { signal } => self.finish(Action::Finish { stopped_by: Some(signal) }, out),
            // A vigil asks for none of these.
            Event::Deadline
            | Event::Exec { .. }
            | Event::Listed { .. }
            | Event::Order { .. }
            | Event::Rules { .. }
            | Event::RunEnded { .. }
            | Event::Probed { .. }
            | Event::RunStarted { .. }
            | Event::PortLooked { .. }
            | Event::PortWatched { .. }
            | Event::Socket(_)
            | Event::SocketsLost { .. }
            | Event::StartsUntold => {}
        }
    }

    fn died(&mut self, death: Death, out: &mut Outbox<Action>) {
        // The same death can be told twice, by the kernel and by a sweep: the first word counts.
        if !self.alive.remove(&death.proc) {
            return;
        }
        out.push(Action::Unwatch(death.proc));
        out.push(Action::Report(death));
        if self.alive.is_empty() {
            self.finish(Action::Finish { stopped_by: None }, out);
        }
    }

    fn finish(&mut self, action: Action, out: &mut Outbox<Action>) {
        self.finished = true;
        out.push(action);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Comm, Ending, Pid, Span, StartTicks};

    fn proc(pid: u32, start: u64) -> ProcId {
        ProcId { pid: Pid::new(pid).unwrap(), start: StartTicks(start) }
    }

    fn comm() -> Comm {
        Comm::new(*b"victim\0\0\0\0\0\0\0\0\0\0")
    }

    fn step(vigil: &mut Vigil, event: Event) -> Vec<Action> {
        let mut out = Outbox::default();
        vigil.step(Mono(1_000), event, &mut out);
        out.drain().collect()
    }

    fn exit(proc: ProcId) -> Event {
        Event::Exit(ExitNotice { proc, ending: Ending::Exited { code: 3 }, at: Mono(400), comm: comm(), blame: None })
    }

    fn gone(proc: ProcId) -> Event {
        Event::Gone { proc, ending: Ending::Unknown }
    }

    #[test]
    fn a_death_is_reported_with_its_latency_and_the_last_one_ends_the_vigil() {
        let (a, b) = (proc(1, 1), proc(2, 1));
        let mut vigil = Vigil::new([a, b]);
        let (ending, at, latency) = (Ending::Exited { code: 3 }, Mono(400), Some(Span(600)));
        let death = Death { proc: a, ending, at, latency, comm: Some(comm()), blame: None };
        assert_eq!(step(&mut vigil, exit(a)), [Action::Unwatch(a), Action::Report(death)]);
        let last = step(&mut vigil, gone(b));
        assert_eq!(last.last(), Some(&Action::Finish { stopped_by: None }));
    }

    #[test]
    fn another_process_with_the_same_pid_is_not_the_watched_one() {
        let mut vigil = Vigil::new([proc(7, 100)]);
        assert_eq!(step(&mut vigil, exit(proc(7, 101))), []);
        assert_eq!(vigil.alive().len(), 1);
    }

    #[test]
    fn lost_records_lead_to_a_sweep() {
        let mut vigil = Vigil::new([proc(7, 100)]);
        assert_eq!(step(&mut vigil, Event::Lost { records: 4 }), [Action::Sweep { lost: 4 }]);
    }

    #[test]
    fn nothing_is_asked_for_after_the_operator_stopped_it() {
        let a = proc(7, 100);
        let mut vigil = Vigil::new([a]);
        let signal = Signal(2);
        assert_eq!(step(&mut vigil, Event::Stop { signal }), [Action::Finish { stopped_by: Some(signal) }]);
        assert_eq!(step(&mut vigil, exit(a)), []);
        assert_eq!(vigil.alive().collect::<Vec<_>>(), [a]);
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let any_proc = (1_u32..6, 0_u64..3).prop_map(|(pid, start)| proc(pid, start));
        prop_oneof![
            4 => any_proc.clone().prop_map(exit),
            4 => any_proc.prop_map(gone),
            1 => (1_u64..9).prop_map(|records| Event::Lost { records }),
        ]
    }

    proptest! {
        #[test]
        fn whatever_comes_in_whatever_order_each_watched_process_is_reported_once_and_no_other(
            events in proptest::collection::vec(any_event(), 0..60)
        ) {
            let watched: Vec<_> = (1..6).map(|pid| proc(pid, 1)).collect();
            let told: BTreeSet<_> = events.iter().filter_map(|event| match event {
                Event::Exit(ExitNotice { proc, .. }) | Event::Gone { proc, .. }
                | Event::Zombie { proc, .. } => Some(*proc),
                Event::Deadline | Event::Exec { .. } | Event::Listed { .. } | Event::Lost { .. }
                | Event::Order { .. } | Event::Rules { .. } | Event::RunEnded { .. }
                | Event::PortLooked { .. } | Event::PortWatched { .. } | Event::Probed { .. }
                | Event::RunStarted { .. } | Event::Socket(_) | Event::SocketsLost { .. }
                | Event::StartsUntold | Event::Stop { .. } => None,
            }).filter(|proc| watched.contains(proc)).collect();
            let mut vigil = Vigil::new(watched);
            let mut reported = Vec::new();
            let mut finished = 0;
            for event in events {
                for action in step(&mut vigil, event) {
                    match action {
                        Action::Report(death) => reported.push(death.proc),
                        Action::Finish { .. } => finished += 1,
                        Action::Unwatch(_) | Action::Sweep { .. } => {}
                    }
                }
            }
            let once: BTreeSet<_> = reported.iter().copied().collect();
            prop_assert_eq!(once.len(), reported.len());
            prop_assert_eq!(&once, &told);
            prop_assert_eq!(finished, u32::from(told.len() == 5));
        }
    }
}
