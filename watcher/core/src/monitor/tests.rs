//! The monitor by a virtual clock.

use proptest::prelude::*;

use super::*;
use crate::probe::Fault;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_000 * SECOND;

/// A monitor, and the clock that it is told.
struct World {
    monitor: Monitor,
    now: u64,
    out: Outbox<Action>,
    requests: u64,
}

fn refused() -> Verdict {
    Verdict::Bad(Fault::Connect { errno: 111 })
}

const fn good() -> Verdict {
    Verdict::Good { certificate_days: None }
}

impl World {
    fn new(interval: u32, retries: u32, limit: u32) -> (Self, Vec<String>) {
        let plan = Plan { interval: Span::of_seconds(interval), retries, limit: Span::of_seconds(limit) };
        let mut out = Outbox::default();
        let monitor = Monitor::begin(Kind::Http, plan, Mono(START), &mut out);
        let mut world = Self { monitor, now: START, out, requests: 0 };
        let done = world.done();
        (world, done)
    }

    fn done(&mut self) -> Vec<String> {
        let name = |action| match action {
            Action::Ask(ProbeId(probe)) => format!("ask {probe}"),
            Action::Forget(ProbeId(probe)) => format!("forget {probe}"),
            Action::Finish(how) => format!("{how:?}"),
            Action::Reply { request: _, standing } => {
                let Standing { changed, paused, .. } = standing;
                format!("changed {changed} paused {paused}")
            }
            Action::Tell(note) => note.number().to_string(),
        };
        self.out.drain().map(name).collect()
    }

    fn step(&mut self, event: Event) -> Vec<String> {
        self.monitor.step(Mono(self.now), event, &mut self.out);
        self.done()
    }

    fn order(&mut self, order: Order) -> Vec<String> {
        self.requests += 1;
        self.step(Event::Order { request: RequestId(self.requests), order })
    }

    fn probed(&mut self, probe: u64, verdict: Verdict) -> Vec<String> {
        self.step(Event::Probed { probe: ProbeId(probe), verdict })
    }

    /// Lets time pass until the machine wants to act; says how many seconds after the start.
    fn at_deadline(&mut self) -> (u64, Vec<String>) {
        self.now = self.now.max(self.monitor.next_deadline().unwrap().0);
        let done = self.step(Event::Deadline);
        ((self.now - START) / SECOND, done)
    }

    const fn pass(&mut self, seconds: u64) {
        self.now += seconds * SECOND;
    }
}

#[test]
fn a_closed_port_ends_it_after_one_fault_and_the_retries() {
    let (mut world, done) = World::new(1, 3, 10);
    assert_eq!(done, ["1", "2", "ask 0"]);
    for second in 1..=3 {
        assert_eq!(world.probed(second - 1, refused()), ["72"]);
        assert_eq!(world.at_deadline(), (second, vec![format!("ask {second}")]));
    }
    assert_eq!(world.probed(3, refused()), ["72", "6", "Fault"]);
    assert_eq!(world.monitor.next_deadline(), None);
}

#[test]
fn the_example_of_the_manual_lasts_interval_times_retries_and_the_check() {
    let (mut world, _) = World::new(60, 2, 10);
    world.pass(4);
    assert_eq!(world.probed(0, refused()), ["72"]);
    assert_eq!(world.at_deadline().0, 60);
    world.pass(4);
    assert_eq!(world.probed(1, refused()), ["72"]);
    assert_eq!(world.at_deadline().0, 120);
    world.pass(4);
    assert_eq!(world.probed(2, refused()), ["72", "6", "Fault"]);
}

#[test]
fn a_deadline_that_comes_too_early_is_none() {
    let (mut world, _) = World::new(60, 3, 10);
    world.probed(0, good());
    world.pass(59);
    assert_eq!(world.step(Event::Deadline), [""; 0]);
    world.pass(1);
    assert_eq!(world.step(Event::Deadline), ["ask 1"]);
}

#[test]
fn a_good_answer_sets_the_count_back() {
    let (mut world, _) = World::new(1, 1, 1);
    for probe in 0..20 {
        let (verdict, told) = if probe % 2 == 0 { (refused(), vec!["72"]) } else { (good(), vec![]) };
        assert_eq!(world.probed(probe, verdict), told);
        world.at_deadline();
    }
    world.probed(20, refused());
    world.at_deadline();
    assert_eq!(world.probed(21, refused()), ["72", "6", "Fault"]);
}

#[test]
fn a_check_that_takes_longer_than_the_interval_is_followed_by_one_and_not_by_many() {
    let (mut world, _) = World::new(1, 9, 10);
    assert_eq!(world.step(Event::Deadline), [""; 0], "one is under way");
    world.pass(7);
    world.probed(0, good());
    assert_eq!(world.at_deadline(), (7, vec!["ask 1".to_owned()]));
    assert_eq!(world.probed(1, good()), [""; 0]);
    assert_eq!(world.at_deadline(), (8, vec!["ask 2".to_owned()]));
}

#[test]
fn a_host_that_slept_finds_one_check_due() {
    let (mut world, _) = World::new(60, 1, 10);
    world.probed(0, good());
    world.pass(100_000);
    assert_eq!(world.at_deadline().1, ["ask 1"]);
    assert_eq!(world.step(Event::Deadline), [""; 0]);
    world.probed(1, good());
    assert_eq!(world.monitor.next_deadline(), Some(Mono(world.now + 60 * SECOND)));
}

#[test]
fn what_comes_too_late_is_our_own_fault_and_asked_again_at_once() {
    let (mut world, _) = World::new(60, 0, 10);
    world.pass(12);
    assert_eq!(world.probed(0, refused()), ["ask 1"]);
    assert_eq!(world.probed(1, Verdict::Bad(Fault::Overrun)), ["ask 2"]);
    world.pass(12);
    assert_eq!(world.probed(2, good()), [""; 0], "a good answer is one, however late");
    world.now = world.monitor.next_deadline().unwrap().0;
    world.step(Event::Deadline);
    world.pass(11);
    assert_eq!(world.probed(3, refused()), ["72", "6", "Fault"], "as late as a check may be");
}

#[test]
fn a_pause_forgets_the_check_and_the_faults_and_resuming_checks_at_once() {
    let (mut world, _) = World::new(60, 1, 10);
    assert_eq!(world.order(Order::Resume), ["changed false paused false"]);
    world.probed(0, refused());
    world.at_deadline();
    assert_eq!(world.order(Order::Pause), ["forget 1", "7", "changed true paused true"]);
    assert_eq!(world.order(Order::Pause), ["changed false paused true"]);
    assert_eq!(world.probed(1, refused()), [""; 0], "it was under way");
    assert_eq!((world.step(Event::Deadline), world.monitor.next_deadline()), (vec![], None));
    assert_eq!(world.order(Order::Show), ["changed false paused true"]);
    world.pass(1_000);
    assert_eq!(world.order(Order::Resume), ["8", "ask 2", "changed true paused false"]);
    assert_eq!(world.probed(2, refused()), ["72"], "the first in a row");
    assert_eq!(world.at_deadline().1, ["ask 3"]);
    assert_eq!(world.probed(3, refused()), ["72", "6", "Fault"]);
}

#[test]
fn it_stops_in_any_state_and_only_once() {
    let (mut world, _) = World::new(60, 1, 10);
    assert_eq!(world.step(Event::Stop), ["forget 0", "3", "Asked"], "while it asks");
    assert_eq!(world.step(Event::Stop), [""; 0]);
    assert_eq!(world.order(Order::Resume), [""; 0]);
    assert_eq!(world.probed(0, refused()), [""; 0]);
    let (mut world, _) = World::new(60, 1, 10);
    world.probed(0, refused());
    assert_eq!(world.step(Event::Stop), ["3", "Asked"], "while it waits");
    let (mut world, _) = World::new(60, 1, 10);
    world.order(Order::Pause);
    assert_eq!(world.step(Event::Stop), ["3", "Asked"], "while it is paused");
}

#[test]
fn who_asks_is_told_how_it_stands() {
    let (mut world, _) = World::new(60, 3, 10);
    world.probed(0, refused());
    world.pass(20);
    let event = Event::Order { request: RequestId(7), order: Order::Show };
    world.monitor.step(Mono(world.now), event, &mut world.out);
    let standing = Standing {
        changed: false,
        paused: false,
        checks: 1,
        faults: 1,
        last: Some(Symptom::Connect(111)),
        next_in: Some(Span::of_seconds(40)),
    };
    let replied: Vec<_> = world.out.drain().collect();
    assert_eq!(replied, [Action::Reply { request: RequestId(7), standing }]);
}

fn event() -> impl Strategy<Value = (u64, Event)> {
    let order = prop_oneof![Just(Order::Pause), Just(Order::Resume), Just(Order::Show)];
    let verdict = prop_oneof![3 => Just(good()), 3 => Just(refused()), 1 => Just(Verdict::Bad(Fault::Overrun))];
    let event = prop_oneof![
        8 => Just(Event::Deadline),
        8 => (0_u64..12, verdict).prop_map(|(probe, verdict)| Event::Probed { probe: ProbeId(probe), verdict }),
        3 => order.prop_map(|order| Event::Order { request: RequestId(0), order }),
        1 => Just(Event::Stop),
    ];
    (0_u64..40, event)
}

proptest! {
    #[test]
    fn whatever_happens_one_check_at_a_time_and_one_end(
        interval in 1_u32..30, retries in 0_u32..4, events in prop::collection::vec(event(), 0..80),
    ) {
        let plan = Plan { interval: Span::of_seconds(interval), retries, limit: Span::of_seconds(10) };
        let mut out = Outbox::default();
        let mut now = START;
        let mut monitor = Monitor::begin(Kind::Smtp, plan, Mono(now), &mut out);
        let (mut in_flight, mut finished, mut paused, mut faults) = (None, None, false, 0);
        for (seconds, event) in events.into_iter().chain([(0, Event::Deadline)]) {
            let mut replies = 0;
            for action in out.drain() {
                prop_assert_eq!(finished, None, "{:?} after the end", action);
                match action {
                    Action::Ask(probe) => {
                        prop_assert!(!paused);
                        prop_assert_eq!(in_flight.replace(probe), None);
                    }
                    Action::Forget(probe) => prop_assert_eq!(in_flight.take(), Some(probe)),
                    Action::Reply { request: _, standing } => {
                        replies += 1;
                        prop_assert_eq!((standing.paused, standing.faults), (paused, faults));
                    }
                    Action::Tell(Note::Paused) => (paused, faults) = (true, 0),
                    Action::Tell(Note::Resumed) => paused = false,
                    Action::Tell(Note::Found(_)) => faults += 1,
                    Action::Tell(Note::GivesUp) => prop_assert_eq!(faults, retries + 1),
                    Action::Tell(note) => prop_assert!(matches!(note, Note::Started | Note::Begins | Note::Ends)),
                    Action::Finish(how) => {
                        prop_assert_eq!(in_flight, None, "nothing is left under way");
                        finished = Some(how);
                    }
                }
            }
            prop_assert!(replies <= 1);
            // It waits for something as long as it lives: a verdict, a time, or an operator.
            let waits = [in_flight.is_some(), monitor.next_deadline().is_some(), paused && finished.is_none()].map(usize::from);
            prop_assert_eq!(waits.iter().sum::<usize>(), usize::from(finished.is_none()));
            now += seconds * SECOND;
            if let Event::Probed { probe, verdict } = &event && in_flight == Some(*probe) {
                in_flight = None;
                if *verdict == good() {
                    faults = 0;
                }
            }
            monitor.step(Mono(now), event, &mut out);
        }
    }
}
