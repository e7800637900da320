//! Many that die together, over several pfiles: how far they have come back, at every moment.

use std::collections::BTreeMap;

use proptest::prelude::*;
use watcher_core::{
    Action, Comm, Ending, Event, ExitNotice, FleetId, Mono, Now, Order, Outbox, Pid, ProcId, RequestId, RunEnd, RunId,
    Span, StartTicks, Uptime, Wall,
    fleet::{Doing, EntryView, ProcStatus},
    fleets::{Asked, AtOnce, Fleets, Recovery},
    pfile::{
        EntryNumber,
        select::{Process, Processes},
    },
};

use crate::world::rules;

/// How long a script runs.
const SCRIPT: Span = Span::of_millis(500);

const SCRIPTS_AT_ONCE: usize = 2;

/// A host with a virtual clock, whose scripts bring back what has died.
struct Host {
    fleets: Fleets,
    processes: BTreeMap<ProcId, Process>,
    now: Mono,
    next_pid: u32,
    /// Scripts that run, by when they end.
    running: BTreeMap<(Mono, RunId), String>,
    /// Programs whose scripts fail.
    broken: Vec<String>,
    events: Vec<Event>,
}

fn fleet(number: u32) -> FleetId {
    FleetId::new(number).unwrap()
}

fn program(fleet: u32, entry: u32) -> String {
    format!("/bin/p{fleet}e{entry}")
}

fn pfile(fleet: u32, entries: u32) -> String {
    let entry = |entry| format!("{}:/s:86400:3:continue\n", program(fleet, entry));
    format!("MONITOR_INTERVAL 1\n{}", (0..entries).map(entry).collect::<String>())
}

impl Host {
    fn new(fleets: u32, entries: u32) -> Self {
        let mut host = Self {
            fleets: Fleets::new(AtOnce { scripts: SCRIPTS_AT_ONCE, probes: 1 }),
            processes: BTreeMap::new(),
            now: Mono(0).after(Span::of_seconds(1_000)),
            next_pid: 100,
            running: BTreeMap::new(),
            broken: Vec::new(),
            events: Vec::new(),
        };
        for number in 0..fleets {
            (0..entries).for_each(|entry| host.start(&program(number, entry)));
            let mut out = Outbox::default();
            host.fleets.begin(fleet(number), &rules(&pfile(number, entries)), &[], host.moment(), &mut out);
            host.perform(&mut out);
        }
        host.pass(Span::of_seconds(10));
        host
    }

    fn moment(&self) -> Now {
        Now { mono: self.now, wall: Wall { unix_ns: self.now.0 } }
    }

    fn ticks(&self) -> StartTicks {
        StartTicks(self.now.0 / 10_000_000)
    }

    fn start(&mut self, program: &str) {
        self.next_pid += 1;
        let proc = ProcId { pid: Pid::new(self.next_pid).unwrap(), start: self.ticks() };
        let process = Process {
            proc,
            parent: Pid::new(1),
            group: Some(proc.pid),
            name: program.into(),
            command_line: program.into(),
            exe: None,
            exe_hidden: false,
            zombie: false,
            watcher: false,
        };
        self.processes.insert(proc, process);
    }

    /// Kills what runs of this program.
    fn kill(&mut self, program: &str) {
        let found = self.processes.values().filter(|process| process.command_line.as_slice() == program.as_bytes());
        for proc in found.map(|process| process.proc).collect::<Vec<_>>() {
            self.processes.remove(&proc);
            let ending = Ending::from_wait_status(9);
            let notice = ExitNotice { proc, ending, at: self.now, comm: Comm::new([0; 16]), blame: None };
            self.events.push(Event::Exit(notice));
        }
        self.settle();
    }

    fn order(&mut self, number: u32, order: Order) {
        let mut out = Outbox::default();
        let event = Event::Order { request: Some(RequestId(1)), order };
        self.fleets.step_one(fleet(number), self.moment(), event, &mut out);
        self.perform(&mut out);
        self.settle();
    }

    fn reload(&mut self, number: u32, entries: u32) {
        let mut out = Outbox::default();
        let rules = Event::Rules { request: None, rules: Ok(Box::new(rules(&pfile(number, entries)))) };
        self.fleets.step_one(fleet(number), self.moment(), rules, &mut out);
        self.perform(&mut out);
        self.settle();
    }

    fn settle(&mut self) {
        while !self.events.is_empty() {
            for event in std::mem::take(&mut self.events) {
                let mut out = Outbox::default();
                self.fleets.step(self.moment(), event, &mut out);
                self.perform(&mut out);
                self.check();
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "this host runs scripts and is looked at, and nothing else")]
    fn perform(&mut self, out: &mut Outbox<Asked>) {
        for Asked { by: _, action } in out.drain() {
            match action {
                Action::List => {
                    let processes = Processes::new(self.processes.values().cloned().collect());
                    self.events.push(Event::Listed { processes, uptime: Uptime { ticks: self.ticks(), at: self.now } });
                }
                Action::Run(order) => {
                    self.running.insert((self.now.after(SCRIPT), order.run), order.process.to_string());
                }
                Action::AwaitEnd(proc) => self.events.push(Event::Gone { proc, ending: Ending::Unknown }),
                Action::Watch(proc) if !self.processes.contains_key(&proc) => {
                    self.events.push(Event::Gone { proc, ending: Ending::Unknown });
                }
                _ => {}
            }
        }
    }

    fn pass(&mut self, span: Span) {
        let end = self.now.after(span);
        loop {
            self.settle();
            let script = self.running.keys().next().map(|(at, _)| *at);
            let next = [script, self.fleets.next_deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            while let Some(due) = self.running.first_entry().filter(|due| due.key().0 <= self.now) {
                let ((_, run), program) = due.remove_entry();
                let code = u8::from(self.broken.contains(&program));
                if code == 0 {
                    self.start(&program);
                }
                self.events.push(Event::RunEnded { run, end: RunEnd::Ended(Ending::Exited { code }) });
            }
            if self.fleets.next_deadline().is_some_and(|at| at <= self.now) {
                self.events.push(Event::Deadline);
            }
        }
        self.now = end;
    }

    fn views(&self) -> Vec<EntryView> {
        self.fleets.iter().flat_map(|(_, fleet)| fleet.views()).collect()
    }

    fn view(&self, number: u32, entry: usize) -> EntryView {
        self.fleets.get(fleet(number)).unwrap().views().remove(entry)
    }

    /// What is told of all agrees with what is told of each.
    fn check(&self) {
        let views = self.views();
        let count = |is_it: &dyn Fn(&EntryView) -> bool| views.iter().filter(|view| is_it(view)).count();
        let is_down = |view: &EntryView| match view.status {
            ProcStatus::Restart => view.monitored,
            // It is looked for once more.
            ProcStatus::Init => view.monitored && view.down_since.is_some(),
            ProcStatus::Avail | ProcStatus::Unavail => false,
        };
        assert_eq!(self.fleets.down(), count(&is_down), "{views:#?}");
        let scripts = self.fleets.scripts();
        assert_eq!(scripts.limit, SCRIPTS_AT_ONCE);
        assert!(scripts.counted <= scripts.limit && scripts.counted <= scripts.running, "{scripts:?}");
        assert_eq!(scripts.waiting, count(&|view| view.doing == Doing::Queued));
        assert_eq!(scripts.waiting > 0, scripts.waiting_since.is_some());
        for view in &views {
            let is_down =
                matches!(view.status, ProcStatus::Restart | ProcStatus::Unavail) && view.doing != Doing::Paused;
            assert!(!is_down || view.down_since.is_some(), "{view:?}");
        }
        if let Some(recovery) = self.fleets.recovery() {
            let Recovery { began: _, ended, fallen, back, gave_up, aside } = recovery;
            assert_eq!(back + gave_up + aside + recovery.pending(), fallen);
            assert_eq!(ended.is_some(), recovery.pending() == 0);
        }
    }
}

#[test]
fn a_mass_death_is_recovered_from_in_order_and_that_can_be_seen() {
    let mut host = Host::new(8, 5);
    assert_eq!((host.fleets.down(), host.fleets.recovery()), (0, None));
    for number in 0..8 {
        (0..5).for_each(|entry| host.kill(&program(number, entry)));
    }
    let recovery = host.fleets.recovery().unwrap();
    assert_eq!((recovery.fallen, recovery.back, recovery.pending(), recovery.left(host.now)), (40, 0, 40, None));
    let scripts = host.fleets.scripts();
    assert_eq!((scripts.running, scripts.waiting, scripts.waiting_since), (2, 38, Some(host.now)));
    let (began, mut last) = (host.now, recovery);
    while let Some(recovery) = host.fleets.recovery().filter(|recovery| recovery.ended.is_none()) {
        assert!(recovery.back >= last.back && recovery.fallen == 40, "{recovery:?}");
        last = recovery;
        host.pass(Span::of_millis(100));
        assert!(host.now.since(began) < Span::of_seconds(60), "{recovery:?}");
    }
    let recovery = host.fleets.recovery().unwrap();
    assert_eq!((recovery.back, host.fleets.down()), (40, 0));
    // 40 scripts of 0.5 s, two at a time; each process is taken for one that stays a little later.
    let took = recovery.took(host.now).seconds();
    assert!((10.0..12.0).contains(&took), "{took}");
    assert!(host.views().iter().all(|view| view.status == ProcStatus::Avail && view.script_failed.is_none()));
}

#[test]
fn the_time_that_is_told_to_be_left_is_about_what_it_takes() {
    let mut host = Host::new(8, 5);
    for number in 0..8 {
        (0..5).for_each(|entry| host.kill(&program(number, entry)));
    }
    let began = host.now;
    host.pass(Span::of_seconds(5));
    let left = host.fleets.recovery().unwrap().left(host.now).unwrap().seconds();
    host.pass(Span::of_seconds(60));
    let took = host.fleets.recovery().unwrap().took(host.now).seconds();
    assert!((left + 5.0 - took).abs() < 2.0, "{left} s were left after 5 s, and it took {took} s since {began:?}");
}

#[test]
fn what_cannot_come_back_is_given_up_and_holds_up_no_count() {
    let mut host = Host::new(2, 5);
    host.broken = vec![program(0, 0), program(1, 4)];
    for number in 0..2 {
        (0..5).for_each(|entry| host.kill(&program(number, entry)));
    }
    host.pass(Span::of_seconds(4));
    let view = host.view(0, 0);
    assert_eq!(view.script_failed.as_deref(), Some("exited with code 1"), "{view:?}");
    let since = view.down_since.unwrap();
    host.order(1, Order::Pause(Some(EntryNumber::of_index(4))));
    host.pass(Span::of_seconds(30));
    let recovery = host.fleets.recovery().unwrap();
    assert_eq!((recovery.back, recovery.gave_up, recovery.aside), (8, 1, 1));
    assert!(recovery.ended.is_some() && host.fleets.down() == 0, "{recovery:?}");
    assert_eq!(host.view(0, 0).down_since, Some(since), "given up, and still not there");
    assert_eq!(host.view(1, 4).down_since, None);
}

#[test]
fn rules_that_are_refused_stay_known_until_others_are_taken() {
    let mut host = Host::new(1, 1);
    let mut give = |rules| {
        let mut out = Outbox::default();
        host.fleets.step_one(fleet(0), host.moment(), Event::Rules { request: None, rules }, &mut out);
        host.perform(&mut out);
        host.fleets.get(fleet(0)).unwrap().refused_rules().map(|refused| refused.why.clone())
    };
    assert_eq!(give(Err("a colon is missing".to_owned())).as_deref(), Some("a colon is missing"));
    assert_eq!(give(Ok(Box::new(rules(&pfile(0, 1))))), None);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Kill,
    Pause,
    Resume,
    Reload,
    End,
    Break,
    Pass,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_happens_the_sum_is_that_of_its_parts(
        steps in prop::collection::vec((0..12_u8, 0..4_u32, 0..5_u32, 1..3_000_u32), 1..60),
    ) {
        let mut host = Host::new(4, 5);
        for (step, number, entry, millis) in steps {
            let step = match step {
                0..6 => Step::Kill,
                6 => Step::Pause,
                7 => Step::Resume,
                8 => Step::Reload,
                9 => Step::Break,
                10 => Step::Pass,
                _ => Step::End,
            };
            let place = Some(EntryNumber::of_index(entry as usize));
            match step {
                Step::Kill => host.kill(&program(number, entry)),
                Step::Pause => host.order(number, Order::Pause(place)),
                Step::Resume => host.order(number, Order::Resume(place)),
                Step::Reload => host.reload(number, 5 - entry),
                Step::End if number == 3 => host.order(number, Order::Shutdown),
                Step::Break => host.broken.push(program(number, entry)),
                Step::End | Step::Pass => host.pass(Span::of_millis(millis)),
            }
            host.check();
        }
    }
}
