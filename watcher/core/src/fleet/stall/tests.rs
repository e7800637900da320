//! What the guard has counted step by step, against a count of all that there is.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    Ending, Event, Now, Order, Outbox, RequestId, RunEnd, RunId, StartTicks, Uptime, Wall,
    fleet::Fleet,
    pfile::{
        EntryNumber, Pfile, UnknownOptions, read,
        select::{Process, Processes},
    },
    probe::Fault,
};

/// Entries alone and in a group, with one check, two, and none.
const ENTRIES: [(&str, &[u16], &str); 6] = [
    ("a", &[80], ""),
    ("b", &[81, 82], ""),
    ("c", &[83], ":grp_tag=g"),
    ("d", &[84], ":grp_tag=g"),
    ("e", &[85], ""),
    ("f", &[], ":grp_tag=g"),
];

#[derive(Clone, Debug)]
enum Deed {
    Dies(usize),
    Pass(u32),
    Pause(Option<usize>),
    Reload(Vec<usize>, u32),
    Resume(Option<usize>),
    ScriptEnds,
    Verdict(usize, Verdict),
}

fn deed() -> impl Strategy<Value = Deed> {
    let verdict = prop_oneof![
        2 => Just(Verdict::Good { certificate_days: None }),
        4 => Just(Verdict::Bad(Fault::Connect { errno: 111 })),
        1 => Just(Verdict::Bad(Fault::Socket { errno: 24 })),
        1 => Just(Verdict::Bad(Fault::Overrun)),
    ];
    prop_oneof![
        1 => any::<usize>().prop_map(Deed::Dies),
        4 => (1_u32..30_000).prop_map(Deed::Pass),
        1 => proptest::option::of(0_usize..6).prop_map(Deed::Pause),
        1 => (Just((0..6).collect::<Vec<usize>>()).prop_shuffle(), 1_usize..=6, 1_u32..3)
            .prop_map(|(order, count, retries)| Deed::Reload(order.into_iter().take(count).collect(), retries)),
        1 => proptest::option::of(0_usize..6).prop_map(Deed::Resume),
        2 => Just(Deed::ScriptEnds),
        8 => (any::<usize>(), verdict).prop_map(|(nth, verdict)| Deed::Verdict(nth, verdict)),
    ]
}

fn rules(order: &[usize], retries: u32) -> Pfile {
    let library = "DLL:/l/lib_bi_webserv.so:DIRECT:-";
    let block = |port: &u16| {
        format!(
            "_bi_webserv {{\nPS_INIT {library}:-:-:0\nPS_EXEC {library}:10:0:2:20:{port}\nPS_ACTION {library}:-:1:0\n\
             PS_QUIT {library}:-:-:0\n}}\n"
        )
    };
    let entry = |at: &usize| {
        let (name, ports, option) = ENTRIES[*at];
        format!("/bin/{name}:/s:60:{retries}:continue{option}\n{}", ports.iter().map(block).collect::<String>())
    };
    let text = format!("IPCKEY 0x1\n{}", order.iter().map(entry).collect::<String>());
    let reading = read(text.as_bytes(), UnknownOptions::Refuse);
    reading.pfile.unwrap_or_else(|| panic!("{:#?}", reading.problems))
}

struct World {
    fleet: Fleet,
    out: Outbox<Action>,
    now: Mono,
    alive: BTreeMap<ProcId, &'static str>,
    next_pid: u32,
    asking: Vec<ProbeId>,
    running: Vec<RunId>,
    retries: u32,
}

impl World {
    fn new() -> Self {
        let now = Mono(1_000_000_000_000);
        let fleet = Fleet::new(rules(&[0, 1, 2, 3, 4, 5], 2), 2, &[]);
        let (alive, asking, running) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut world = Self { fleet, out: Outbox::default(), now, alive, next_pid: 100, asking, running, retries: 2 };
        ENTRIES.iter().for_each(|(name, ..)| world.start(name));
        world.fleet.begin(world.moment(), &mut world.out);
        world.carry_out();
        world
    }

    fn moment(&self) -> Now {
        Now { mono: self.now, wall: Wall { unix_ns: 0 } }
    }

    fn start(&mut self, name: &'static str) {
        self.next_pid += 1;
        let start = StartTicks(self.now.0 / 10_000_000);
        self.alive.extend(crate::Pid::new(self.next_pid).map(|pid| (ProcId { pid, start }, name)));
    }

    fn step(&mut self, event: Event) {
        self.fleet.step(self.moment(), event, &mut self.out);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let actions: Vec<_> = self.out.drain().collect();
        // What comes of it is known when all is done that was asked for, as it is in the engine.
        let (mut is_listed, mut killed) = (false, Vec::new());
        for action in actions {
            if let Action::List = action {
                is_listed = true;
            } else if let Action::Probe { probe, ask: _ } = action {
                self.asking.push(probe);
            } else if let Action::ForgetProbe(probe) = action {
                self.asking.retain(|asked| *asked != probe);
            } else if let Action::Run(order) = action {
                self.running.push(order.run);
            } else if let Action::Signal { proc, signal: _ } = action {
                killed.push(proc);
            }
        }
        if is_listed {
            let processes = self.alive.iter().map(|(proc, name)| process(*proc, name)).collect();
            let uptime = Uptime { ticks: StartTicks(self.now.0 / 10_000_000), at: self.now };
            self.step(Event::Listed { processes: Processes::new(processes), uptime });
        }
        killed.into_iter().for_each(|proc| self.dies(proc));
    }

    fn dies(&mut self, proc: ProcId) {
        if self.alive.remove(&proc).is_some() {
            self.step(Event::Gone { proc, ending: Ending::Unknown });
        }
    }

    fn happen(&mut self, deed: Deed) {
        let number = |entry: Option<usize>| entry.map(EntryNumber::of_index);
        let order = |order| Event::Order { request: Some(RequestId(0)), order };
        match deed {
            Deed::Dies(nth) => {
                let proc = self.alive.keys().nth(nth % self.alive.len().max(1)).copied();
                proc.into_iter().for_each(|proc| self.dies(proc));
            }
            Deed::Pass(millis) => {
                let until = self.now.after(Span::of_millis(millis));
                while let Some(next) = self.fleet.next_deadline().filter(|next| *next <= until) {
                    self.now = self.now.max(next);
                    self.step(Event::Deadline);
                }
                self.now = until;
            }
            Deed::Pause(entry) => self.step(order(Order::Pause(number(entry)))),
            Deed::Reload(entries, retries) => {
                self.retries = retries;
                self.step(Event::Rules { request: None, rules: Ok(Box::new(rules(&entries, retries))) });
            }
            Deed::Resume(entry) => self.step(order(Order::Resume(number(entry)))),
            Deed::ScriptEnds => {
                for (name, ..) in ENTRIES {
                    if !self.alive.values().any(|alive| *alive == name) {
                        self.start(name);
                    }
                }
                for run in std::mem::take(&mut self.running) {
                    self.step(Event::RunEnded { run, end: RunEnd::Ended(Ending::Exited { code: 0 }) });
                }
            }
            Deed::Verdict(nth, verdict) => {
                if !self.asking.is_empty() {
                    let probe = self.asking.swap_remove(nth % self.asking.len());
                    self.step(Event::Probed { probe, verdict });
                }
            }
        }
    }

    /// A count of all that there is.
    fn recount(&self) -> Tally {
        let members = self.fleet.units.values().flat_map(|unit| &unit.members);
        members.fold(Tally::default(), |sum, member| {
            let service = member.service.as_ref();
            let Tally { asked, failing } = service.map(|service| service.stalls.tally()).unwrap_or_default();
            Tally { asked: sum.asked + asked, failing: sum.failing + failing }
        })
    }
}

fn process(proc: ProcId, name: &str) -> Process {
    let command_line = format!("/bin/{name}");
    Process {
        proc,
        parent: crate::Pid::new(1),
        group: Some(proc.pid),
        name: command_line.as_str().into(),
        command_line: command_line.as_str().into(),
        exe: None,
        exe_hidden: false,
        zombie: false,
        watcher: false,
    }
}

/// Otherwise nothing is tried out below.
#[test]
fn all_are_asked_and_some_are_ended() {
    let mut world = World::new();
    world.happen(Deed::Pass(5_000));
    assert_eq!((world.asking.len(), world.fleet.shared.probes.names().count()), (6, 6));
    world.happen(Deed::Dies(0));
    assert_eq!((world.asking.len(), world.fleet.shared.probes.names().count()), (5, 5));
    while !world.asking.is_empty() {
        world.happen(Deed::Verdict(0, Verdict::Bad(Fault::Connect { errno: 111 })));
    }
    assert_eq!(world.fleet.shared.guard.tally(), Tally { asked: 4, failing: 4 });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_guard_has_counted_right_whatever_happens(deeds in prop::collection::vec(deed(), 0..120)) {
        let mut world = World::new();
        for deed in deeds {
            let shown = format!("{deed:?}");
            world.happen(deed);
            prop_assert_eq!(world.fleet.shared.guard.tally(), world.recount(), "after {}", shown);
            let members = world.fleet.units.values().flat_map(|unit| &unit.members);
            let all = members.filter_map(|member| member.service.as_ref()).map(|service| &service.stalls);
            for stalls in all.filter(|stalls| stalls.of.is_none()) {
                prop_assert_eq!(stalls.tally(), Tally::default(), "nobody is asked, after {}", shown);
                prop_assert_eq!(stalls.deadline(), None);
            }
            let mut under_way: Vec<_> = world.fleet.shared.probes.names().collect();
            under_way.sort_unstable();
            world.asking.sort_unstable();
            prop_assert_eq!(under_way, world.asking.clone(), "each place that is taken is in use, after {}", shown);
        }
    }
}
