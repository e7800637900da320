//! What holds whatever happens, in whatever order.

use std::{collections::BTreeMap, sync::Arc};

use crate::world::{Life, Script, Service, World, rules};
use proptest::prelude::*;
use watcher_core::{
    Action, Ending, Event, FleetId, Mono, Note, Now, Order, Outbox, Pid, ProbeId, ProcId, RunEnd, RunId, Span,
    StartTicks, Wall,
    fleet::{Doing, Fleet, ProcStatus, StallStatus},
    fleets::{Asked, AtOnce, Fleets},
    pfile::{EntryNumber, Seconds},
    probe::{Fault, Verdict},
};

/// Port of a service that two entries have, as it were.
const PORT: u16 = 80;

const ENTRIES: [&str; 6] = [
    "/bin/a:/s:60:3:continue\n_bi_socket {\n PS_INIT DLL:/lib_bi_socket.so:DIRECT:-:-:-:0\n \
     PS_EXEC DLL:/lib_bi_socket.so:DIRECT:-:10:0:2:30:80\n PS_ACTION DLL:/lib_bi_socket.so:DIRECT:-:-:0:0\n \
     PS_QUIT DLL:/lib_bi_socket.so:DIRECT:-:-:-:0\n}",
    "/bin/b:/s:0:2:continue:include_strings=x&y",
    "/bin/c:/s:86400:3:continue:min_proc_count=1:max_proc_count=2",
    "/bin/d:/s:300:2:continue:grp_tag=g",
    "/bin/e:/s:300:2:continue:grp_tag=g:clear_cmd=/clear\n_bi_webserv {\n PS_INIT DLL:/lib_bi_webserv.so:DIRECT:-:-:-:0\n \
     PS_EXEC DLL:/lib_bi_webserv.so:DIRECT:-:20:1:2:40:80\n PS_ACTION DLL:/lib_bi_webserv.so:DIRECT:-:-:1:0\n \
     PS_QUIT DLL:/lib_bi_webserv.so:DIRECT:-:-:-:0\n}",
    "/bin/f:/s:60:5:continue:restart_waittime=3",
];

#[derive(Clone, Debug)]
enum Deed {
    Kill(usize),
    KillSilently(usize),
    Start(usize),
    Pass(u32),
    SleepThrough(u32),
    Scripts(usize, Script),
    Pause(Option<usize>),
    Resume(Option<usize>),
    Reload(Vec<usize>, bool),
    Serve(Option<Service>),
    Nonsense(u32),
}

fn any_service() -> impl Strategy<Value = Option<Service>> {
    let fault = prop_oneof![
        Just(Fault::Connect { errno: 111 }),
        Just(Fault::Socket { errno: 24 }),
        Just(Fault::Overrun),
        Just(Fault::Foreign { what: "babbles".to_owned() }),
    ];
    prop_oneof![2 => Just(None), 2 => Just(Some(Service::Silent)), 3 => fault.prop_map(|fault| Some(Service::Fails(fault)))]
}

fn any_script() -> impl Strategy<Value = Script> {
    prop_oneof![
        3 => (1_u32..3_000).prop_map(Script::Restarts),
        3 => (1_u32..3_000).prop_map(Script::Replaces),
        2 => (1_u32..15_000).prop_map(Script::RestartsLate),
        2 => (1_u32..3_000).prop_map(Script::StartsWhatDies),
        2 => (1_u32..3_000).prop_map(Script::StartsDaemon),
        2 => Just(Script::DoesNothing),
        1 => Just(Script::Missing),
        1 => Just(Script::Hangs),
        1 => Just(Script::HangsHard),
    ]
}

fn any_deed() -> impl Strategy<Value = Deed> {
    let entry = 1_usize..=ENTRIES.len();
    prop_oneof![
        8 => (0_usize..9).prop_map(Deed::Kill),
        2 => (0_usize..9).prop_map(Deed::KillSilently),
        2 => entry.clone().prop_map(Deed::Start),
        8 => (1_u32..20_000).prop_map(Deed::Pass),
        1 => (1_u32..400_000).prop_map(Deed::Pass),
        1 => (1_u32..400_000).prop_map(Deed::SleepThrough),
        4 => (entry.clone(), any_script()).prop_map(|(entry, script)| Deed::Scripts(entry, script)),
        1 => proptest::option::of(entry.clone()).prop_map(Deed::Pause),
        1 => proptest::option::of(entry).prop_map(Deed::Resume),
        1 => (Just((0..ENTRIES.len()).collect::<Vec<_>>()).prop_shuffle(), 1_usize..=ENTRIES.len(), any::<bool>())
            .prop_map(|(order, count, change)| Deed::Reload(order.into_iter().take(count).collect(), change)),
        3 => any_service().prop_map(Deed::Serve),
        2 => any::<u32>().prop_map(Deed::Nonsense),
    ]
}

fn number(entry: usize) -> EntryNumber {
    EntryNumber::of_index(entry - 1)
}

fn happen(world: &mut World, deed: Deed) {
    let nth_alive = |world: &World, nth: usize| {
        let alive: Vec<_> = world.processes.iter().filter(|(_, (_, life))| *life == Life::Alive).collect();
        (!alive.is_empty()).then(|| *alive[nth % alive.len()].0)
    };
    let exists = |world: &World, entry: usize| entry <= world.fleet.len();
    match deed {
        Deed::Kill(nth) => {
            if let Some(proc) = nth_alive(world, nth) {
                world.kill(proc);
                world.settle();
            }
        }
        Deed::KillSilently(nth) => {
            if let Some(proc) = nth_alive(world, nth) {
                world.tells_deaths = false;
                world.kill(proc);
                world.tells_deaths = true;
            }
        }
        Deed::Start(entry) => {
            if exists(world, entry) {
                world.start(&world.command_line(entry));
                world.settle();
            }
        }
        Deed::Pass(millis) => world.pass(Span::of_millis(millis)),
        Deed::SleepThrough(millis) => world.sleep_through(Span::of_millis(millis)),
        Deed::Scripts(entry, script) => {
            world.scripts.insert(entry, script);
        }
        Deed::Pause(entry) => {
            if entry.is_none_or(|entry| exists(world, entry)) {
                world.order(Order::Pause(entry.map(number)));
            }
        }
        Deed::Resume(entry) => {
            if entry.is_none_or(|entry| exists(world, entry)) {
                world.order(Order::Resume(entry.map(number)));
            }
        }
        Deed::Reload(order, change) => {
            let mut rules = rules(&order.iter().map(|entry| ENTRIES[*entry]).collect::<Vec<_>>().join("\n"));
            if change {
                rules.entries[0].value.grace.value = Seconds(77);
            }
            world.rules = Ok(rules);
            world.order(Order::Reload);
        }
        Deed::Serve(service) => {
            world.services.remove(&PORT);
            world.services.extend(service.map(|service| (PORT, service)));
        }
        Deed::Nonsense(seed) => {
            let stranger = ProcId { pid: Pid::new(1 + seed % 300).unwrap(), start: StartTicks(u64::from(seed)) };
            world.event(match seed % 6 {
                4 => Event::Probed { probe: ProbeId(1_000_000), verdict: Verdict::Bad(Fault::Overrun) },
                0 => Event::Gone { proc: stranger, ending: Ending::Unknown },
                1 => Event::RunEnded { run: RunId(1_000_000), end: RunEnd::Ended(Ending::Unknown) },
                2 => Event::Exec { proc: stranger },
                5 => Event::StartsUntold,
                _ => Event::Deadline,
            });
        }
    }
}

/// The first word that is wrong.
fn check(world: &World) -> Result<(), TestCaseError> {
    let mut causes: BTreeMap<(Option<usize>, Pid), u32> = BTreeMap::new();
    for (_, told) in &world.told {
        if let Note::Cause { pid, .. } = told.note {
            *causes.entry((told.entry.as_ref().map(|entry| entry.number.number()), pid)).or_default() += 1;
        }
    }
    prop_assert!(causes.values().all(|times| *times == 1), "a death told twice: {causes:?}");
    let blocks: usize = world.fleet.views().iter().map(|view| view.stall_checks.len()).sum();
    prop_assert!(world.asking.len() <= blocks, "each check asks once at a time: {:?}", world.asking);
    prop_assert_eq!(world.fleet.watched().collect::<Vec<_>>(), world.watched.iter().copied().collect::<Vec<_>>());
    Ok(())
}

fn begun() -> World {
    let mut world = World::new(&ENTRIES.join("\n"));
    for line in ["/bin/a", "/bin/b x y", "/bin/c", "/bin/d", "/bin/e", "/bin/f"] {
        world.start(line);
    }
    world.pass(Span::of_seconds(1));
    world.begin();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_all_is_well_in_the_end(deeds in proptest::collection::vec(any_deed(), 0..60)) {
        let mut world = begun();
        for deed in deeds {
            happen(&mut world, deed);
            check(&world)?;
        }
        // From here on all goes well: what was given up or suspended begins anew.
        world.scripts.clear();
        world.services.clear();
        world.default_script = Script::Replaces(5);
        world.pass(Span::of_seconds(2_000));
        world.order(Order::Resume(None));
        world.pass(Span::of_seconds(400));
        world.order(Order::Resume(None));
        world.pass(Span::of_seconds(400));
        for view in world.fleet.views() {
            prop_assert_eq!((view.status, view.doing), (ProcStatus::Avail, Doing::Watching), "entry {}", view.number);
            let alive = world.processes.iter().any(|(proc, _)| Some(proc.pid) == view.pid);
            prop_assert!(alive, "entry {} is said to be there", view.number);
            prop_assert!(view.stall_checks.iter().all(|check| check.status == StallStatus::Avail), "{:?}", view);
        }
        prop_assert!(world.expected.is_empty() && world.running.is_empty());
        prop_assert!(world.finish.is_none());
        check(&world)?;
    }

    #[test]
    fn within_a_grace_there_are_never_more_restarts_than_allowed(
        deeds in proptest::collection::vec(any_deed(), 0..80)
    ) {
        let mut world = begun();
        for deed in deeds {
            if !matches!(deed, Deed::Pause(_) | Deed::Resume(_) | Deed::Reload(..)) {
                happen(&mut world, deed);
            }
        }
        for (entry, grace, retries) in [(1, 60, 3), (2, u32::MAX, 2), (6, 60, 5)] {
            let runs = world.ran.iter().filter(|(_, order)| order.number.number() == entry);
            let runs: Vec<_> = runs.map(|(at, order)| (*at, order.retry_count)).collect();
            prop_assert!(runs.windows(2).all(|pair| pair[1].0.since(pair[0].0) >= Span::of_seconds(10)));
            // Each is one more, unless the window that the first one opened is over.
            let mut opened = None;
            let mut before = 0;
            for (at, retry_count) in runs {
                prop_assert!(retry_count <= retries, "entry {entry}: retry {retry_count}");
                if retry_count == 1 {
                    let over = opened.is_none_or(|first| at.since(first) > Span::of_seconds(grace));
                    prop_assert!(over, "entry {entry}: a new window within {grace} s");
                    opened = Some(at);
                } else {
                    prop_assert_eq!(retry_count, before + 1);
                }
                before = retry_count;
            }
        }
    }

    #[test]
    fn the_same_events_give_the_same_actions(deeds in proptest::collection::vec(any_deed(), 0..40)) {
        let mut world = begun();
        let began = Now { mono: Mono(1_001_000_000_000), wall: Wall { unix_ns: 1_001_000_000_000 } };
        deeds.into_iter().for_each(|deed| happen(&mut world, deed));
        let mut again = Fleet::new(rules(&ENTRIES.join("\n")), 2, &[]);
        let mut out = Outbox::default();
        again.begin(began, &mut out);
        let mut asked: Vec<Action> = out.drain().collect();
        for (now, event) in world.given.clone() {
            again.step(now, event, &mut out);
            asked.extend(out.drain());
        }
        prop_assert_eq!(asked, world.asked);
    }

    #[test]
    fn a_fleet_among_others_does_what_one_alone_does(deeds in proptest::collection::vec(any_deed(), 0..40)) {
        let mut world = begun();
        let began = Now { mono: Mono(1_001_000_000_000), wall: Wall { unix_ns: 1_001_000_000_000 } };
        deeds.into_iter().for_each(|deed| happen(&mut world, deed));
        let (mut alone, mut fleets) = (Fleet::new(rules(&ENTRIES.join("\n")), 2, &[]), Fleets::new(AtOnce { scripts: 2, probes: 256 }));
        let (mut of_alone, mut of_fleets) = (Outbox::default(), Outbox::default());
        alone.begin(began, &mut of_alone);
        fleets.begin(FleetId::FIRST, &rules(&ENTRIES.join("\n")), &[], began, &mut of_fleets);
        for (now, event) in world.given.clone() {
            // In another order, since it has to wait for its turns.
            let sorted = |actions: Vec<Action>| {
                let mut lines: Vec<_> = actions.iter().map(|action| format!("{action:?}")).collect();
                lines.sort();
                lines
            };
            prop_assert_eq!(
                sorted(of_fleets.drain().map(|asked: Asked| asked.action).collect()),
                sorted(of_alone.drain().collect())
            );
            prop_assert_eq!(fleets.next_deadline(), alone.next_deadline());
            alone.step(now, event.clone(), &mut of_alone);
            if matches!(event, Event::Rules { .. } | Event::Order { .. }) {
                fleets.step_one(FleetId::FIRST, now, event, &mut of_fleets);
            } else {
                fleets.step(now, event, &mut of_fleets);
            }
        }
    }

    #[test]
    fn the_wall_clock_decides_nothing(
        deeds in proptest::collection::vec(any_deed(), 0..40),
        years in proptest::collection::vec(0..600_u64, 1..8),
    ) {
        const YEAR_NS: u64 = 31_556_952_000_000_000;
        let mut world = begun();
        let began = Mono(1_001_000_000_000);
        deeds.into_iter().for_each(|deed| happen(&mut world, deed));
        let mut again = Fleet::new(rules(&ENTRIES.join("\n")), 2, &[]);
        // At every event somebody sets the clock, years forward and back.
        let mut walls = years.into_iter().map(|year| Wall { unix_ns: year.saturating_mul(YEAR_NS) }).cycle();
        let mut now = |mono| Now { mono, wall: walls.next().unwrap() };
        let mut out = Outbox::default();
        again.begin(now(began), &mut out);
        let mut asked: Vec<Action> = out.drain().collect();
        for (given, event) in world.given.clone() {
            again.step(now(given.mono), event, &mut out);
            asked.extend(out.drain());
        }
        let without_stamps = |actions: Vec<Action>| {
            actions.into_iter().map(|mut action| {
                if let Action::Save(saved) = &mut action {
                    Arc::make_mut(saved).rare.rerun = None;
                }
                if let Action::Renew(all) = &mut action {
                    all.iter_mut().for_each(|saved| Arc::make_mut(saved).rare.rerun = None);
                }
                action
            }).collect::<Vec<_>>()
        };
        prop_assert_eq!(without_stamps(asked), without_stamps(world.asked));
    }

    #[test]
    fn a_watch_that_is_killed_at_any_time_is_taken_up_by_the_next(deeds in proptest::collection::vec(any_deed(), 0..40)) {
        let mut world = begun();
        for deed in deeds {
            if !matches!(deed, Deed::Reload(..)) {
                happen(&mut world, deed);
            }
        }
        let before = world.fleet.views();
        let saved: Vec<_> = world.saved.values().cloned().collect();
        let next = Fleet::new(rules(&ENTRIES.join("\n")), 2, &saved);
        for (before, after) in before.iter().zip(next.views()) {
            prop_assert_eq!(before.retry_count, after.retry_count);
            prop_assert_eq!(before.restart_count, after.restart_count);
            prop_assert_eq!(before.monitored, after.monitored);
            prop_assert_eq!((before.pid, before.rerun), (after.pid, after.rerun));
        }
    }
}
