//! Several pfiles on one host: what they have in common is asked for once, and none has to do with the others.

use watcher_core::{
    Action, Ending, Event, Finish, FleetId, Mono, Now, Order, Outbox, Pid, ProcId, RequestId, RunEnd, RunId, Signal,
    StartTicks, Uptime, Wall,
    fleets::{Asked, AtOnce, Fleets},
    pfile::{
        RetryOver,
        select::{Process, Processes},
    },
};

use crate::world::rules;

const SECOND: u64 = 1_000_000_000;

/// A host with these pfiles, and the same processes at every look.
struct Several {
    fleets: Fleets,
    processes: Vec<Process>,
    now: u64,
}

fn fleet(number: u32) -> FleetId {
    FleetId::new(number).unwrap()
}

fn proc(pid: u32) -> ProcId {
    ProcId { pid: Pid::new(pid).unwrap(), start: StartTicks(pid.into()) }
}

impl Several {
    /// Processes get the pids 101, 102 …, and scripts two turns.
    fn new(pfiles: &[&str], processes: &[&str]) -> (Self, Vec<Asked>) {
        let listed = |(pid, program): (u32, &&str)| Process {
            proc: proc(pid),
            parent: Pid::new(1),
            group: Pid::new(pid),
            name: (*program).into(),
            command_line: (*program).into(),
            exe: None,
            exe_hidden: false,
            zombie: false,
            watcher: false,
        };
        let processes = (101..).zip(processes).map(listed).collect();
        let mut several =
            Self { fleets: Fleets::new(AtOnce { scripts: 2, probes: 8 }), processes, now: 1_000 * SECOND };
        let mut asked = Vec::new();
        for (number, pfile) in (0..).zip(pfiles) {
            let mut out = Outbox::default();
            let now = several.now();
            several.fleets.begin(fleet(number), &rules(pfile), &[], now, &mut out);
            asked.extend(out.drain());
        }
        (several, asked)
    }

    fn now(&self) -> Now {
        Now { mono: Mono(self.now), wall: Wall { unix_ns: self.now } }
    }

    fn step(&mut self, event: Event) -> Vec<Asked> {
        let mut out = Outbox::default();
        self.now += 1_000_000;
        self.fleets.step(self.now(), event, &mut out);
        out.drain().collect()
    }

    fn order(&mut self, number: u32, order: Order) -> Vec<Asked> {
        let mut out = Outbox::default();
        let event = Event::Order { request: Some(RequestId(7)), order };
        self.fleets.step_one(fleet(number), self.now(), event, &mut out);
        out.drain().collect()
    }

    /// Looks are taken until nobody wants one.
    fn look(&mut self) -> Vec<Asked> {
        let mut asked = Vec::new();
        loop {
            let processes = Processes::new(self.processes.clone());
            asked.extend(self.step(Event::Listed {
                processes,
                uptime: Uptime { ticks: StartTicks(1_000_000), at: Mono(self.now) },
            }));
            self.now += SECOND / 10;
            let later = self.step(Event::Deadline);
            let goes_on = later.iter().any(|asked| asked.action == Action::List);
            asked.extend(later);
            if !goes_on {
                return asked;
            }
        }
    }
}

fn count(asked: &[Asked], is_it: impl Fn(&Action) -> bool) -> usize {
    asked.iter().filter(|asked| is_it(&asked.action)).count()
}

fn lines(asked: &[Asked]) -> Vec<(u32, String)> {
    let line = |asked: &Asked| {
        let Action::Tell(told) = &asked.action else { return None };
        Some((asked.by.number(), String::from_utf8(told.line()?.1).unwrap()))
    };
    asked.iter().filter_map(line).collect()
}

fn ends(pid: u32) -> Event {
    Event::Gone { proc: proc(pid), ending: Ending::Unknown }
}

fn is_run(action: &Action) -> bool {
    matches!(action, Action::Run(_))
}

#[test]
fn one_look_serves_all_who_asked_before_it_began() {
    let (mut several, asked) =
        Several::new(&["/bin/a:/s:60:3:continue", "/bin/b:/s:60:3:continue"], &["/bin/a", "/bin/b"]);
    assert_eq!(count(&asked, |action| *action == Action::List), 1, "the second asks while that is under way");
    let asked = several.look();
    assert_eq!(count(&asked, |action| *action == Action::List), 1);
    let ups = [(0, "(/bin/a ,pid=101) Up".to_owned()), (1, "(/bin/b ,pid=102) Up".to_owned())];
    assert_eq!(lines(&asked), ups);
}

#[test]
fn a_process_that_two_watch_is_watched_until_neither_wants_it() {
    let (mut several, _) = Several::new(&["/bin/a:/s:60:3:continue"; 2], &["/bin/a"]);
    several.look();
    assert_eq!(several.fleets.watched().collect::<Vec<_>>(), [proc(101)]);
    let asked = several.step(Event::Zombie { proc: proc(101), ending: Ending::Unknown });
    for by in [0, 1] {
        assert_eq!(lines(&asked).iter().filter(|line| **line == (by, "Try to restart (/bin/a)".to_owned())).count(), 1);
    }

    let (mut several, _) = Several::new(&["/bin/a:/s:60:3:continue"; 2], &["/bin/a"]);
    several.look();
    let asked = several.order(0, Order::Shutdown);
    assert_eq!(count(&asked, |action| matches!(action, Action::Finish(Finish::Asked))), 1);
    assert_eq!(count(&asked, |action| matches!(action, Action::Unwatch(_))), 0);
    assert_eq!(several.fleets.iter().map(|(id, _)| id.number()).collect::<Vec<_>>(), [1]);
    let asked = several.order(1, Order::Shutdown);
    assert_eq!(count(&asked, |action| *action == Action::Unwatch(proc(101))), 1);
    assert_eq!(several.fleets.watched().count(), 0);
    assert_eq!(several.fleets.next_deadline(), None);
}

#[test]
fn the_end_of_one_is_not_that_of_the_others() {
    let pfiles = ["/bin/a:/s:60:0:exit", "/bin/b:/s:60:3:continue"];
    let (mut several, _) = Several::new(&pfiles, &["/bin/a", "/bin/b"]);
    several.look();
    let asked = several.step(ends(101));
    assert_eq!(count(&asked, |action| *action == Action::Finish(Finish::RetryOver(RetryOver::Exit))), 1);
    let asked = several.step(ends(102));
    assert_eq!((asked.iter().all(|asked| asked.by == fleet(1)), count(&asked, is_run)), (true, 1));
}

#[test]
fn what_concerns_all_is_told_once_and_remembered_by_each() {
    let (mut several, _) = Several::new(&["/bin/a:/s:60:3:continue"; 3], &["/bin/a"]);
    several.look();
    let asked = several.step(Event::Lost { records: 5 });
    assert_eq!(lines(&asked).len(), 1);
    assert_eq!(count(&asked, |action| matches!(action, Action::Remember(_))), 2);
    assert_eq!(count(&asked, |action| *action == Action::Sweep), 1);
    let asked = several.step(Event::Stop { signal: Signal::TERM });
    assert_eq!(lines(&asked), [(0, "SIGTERM Catch (15)!!".to_owned()), (0, "Stop pcheck!!".to_owned())]);
    assert_eq!(count(&asked, |action| matches!(action, Action::Remember(_))), 4);
    assert_eq!(count(&asked, |action| matches!(action, Action::Finish(Finish::Asked))), 3);
    assert_eq!(several.fleets.iter().count(), 0);
}

#[test]
fn starts_of_a_program_are_waited_for_until_nobody_does() {
    let (mut several, _) = Several::new(&["/bin/a:/s:60:3:continue"; 2], &["/bin/a"]);
    several.look();
    several.processes.clear();
    let asked = several.step(ends(101));
    let runs: Vec<_> = asked.iter().filter_map(|asked| run_of(&asked.action)).collect();
    assert_eq!(runs.iter().map(|run| run.fleet()).collect::<Vec<_>>(), [fleet(0), fleet(1)]);
    let mut told = Vec::new();
    for run in runs {
        told.extend(several.step(Event::RunEnded { run, end: RunEnd::Ended(Ending::Exited { code: 0 }) }));
    }
    let expected = |told: &[Asked]| count(told, |action| matches!(action, Action::Expect(_)));
    assert_eq!(expected(&asked) + expected(&told), 1);
    let none = several.order(0, Order::Shutdown);
    assert_eq!(count(&none, |action| matches!(action, Action::ExpectNoMore(_))), 0);
    let last = several.order(1, Order::Shutdown);
    assert_eq!(count(&last, |action| matches!(action, Action::ExpectNoMore(_))), 1);
}

#[test]
fn scripts_take_turns_by_pfile() {
    let crowd = ["a", "b", "c", "d"].map(|name| format!("/bin/{name}:/s:60:3:continue")).join("\n");
    let all = ["/bin/a", "/bin/b", "/bin/c", "/bin/d", "/bin/e"];
    let (mut several, _) = Several::new(&[&crowd, "/bin/e:/s:60:3:continue"], &all);
    several.look();
    let mut running: Vec<_> =
        (101..=105).flat_map(|pid| several.step(ends(pid))).filter_map(|asked| run_of(&asked.action)).collect();
    assert_eq!(running.len(), 2, "two at once on the whole host");
    let mut order = Vec::new();
    while let Some(run) = running.pop() {
        order.push(run.fleet().number());
        let asked = several.step(Event::RunEnded { run, end: RunEnd::Ended(Ending::Exited { code: 0 }) });
        running.extend(asked.iter().filter_map(|asked| run_of(&asked.action)));
    }
    assert_eq!(order, [0, 1, 0, 0, 0], "the one of the second pfile does not wait for all of the first");
}

fn run_of(action: &Action) -> Option<RunId> {
    if let Action::Run(order) = action { Some(order.run) } else { None }
}
