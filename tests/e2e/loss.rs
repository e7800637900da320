//! Records that cannot be delivered: counted in the kernel, and mended by looking.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::symlink,
    process::Command,
};

use watcher::{
    engine::{Engine, Outcome, Told},
    executor::{means::Means, proc_events::ProcEvents, watch::Watch},
    kernel::{Exactness, Handles, Sizes},
    sources::{os_signals::OsSignals, ring::RingSource},
    sys::proc,
};
use watcher_core::{Comm, Event, Pid, ProcId, Vigil};
use watcher_tests::{
    host::tier_is_wanted,
    program::built,
    senses::{NEVER, senses},
    victim::{Victim, identity},
    wait,
};

const HERD: usize = 1_000;

/// The smallest ring there is holds some 30 records.
const SMALL: Sizes = Sizes { processes: HERD as u32, ring_bytes: 4096, ports: 64 };

#[test]
fn deaths_that_overflow_the_ring_are_counted_and_found_by_looking() {
    if !tier_is_wanted("ebpf") {
        return;
    }
    let mut herd = Victim::run(Command::new(built("herd")).arg(HERD.to_string()));
    let pids: Vec<_> = herd.next_word().split(' ').map(|pid| Pid::new(pid.parse().unwrap()).unwrap()).collect();
    let handles = Handles::load(SMALL, Exactness::AsOffered).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut told, mut with_stamp) = (BTreeMap::new(), 0);
    let outcome = runtime.block_on(async {
        let vigil = Vigil::new(pids.iter().map(|pid| identity(*pid)));
        let engine = Engine::begin(vigil, senses(handles), OsSignals::listen().unwrap(), NEVER);
        kill(pids[0]);
        engine
            .run(|told_of| {
                let Told::Death(death, _) = told_of else { panic!("{told_of:?}") };
                if told.is_empty() {
                    // While the first death is being told nobody reads the ring: most of these do not fit.
                    pids.iter().skip(1).for_each(|pid| kill(*pid));
                    wait::until("all are dead", || pids.iter().all(|pid| is_zombie(*pid)));
                }
                *told.entry(death.proc.pid).or_insert(0) += 1;
                with_stamp += usize::from(death.latency.is_some());
                Ok(())
            })
            .await
    });
    assert_eq!(outcome.unwrap(), Outcome::AllGone);
    let mut all = pids.clone();
    all.sort();
    assert_eq!(told.keys().copied().collect::<Vec<_>>(), all, "each of them, and nobody else");
    assert!(told.values().all(|times| *times == 1), "none twice");
    assert!(with_stamp < HERD, "the ring was meant to overflow");
}

#[test]
fn starts_that_overflow_the_ring_are_counted_apart_from_deaths() {
    if !tier_is_wanted("ebpf") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("starts-often");
    symlink("/bin/sleep", &program).unwrap();
    let Handles { ring, interest: _, mut starts, ports: _, programs } =
        Handles::load(SMALL, Exactness::AsOffered).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _context = runtime.enter();
    let mut source = RingSource::new(ring).unwrap();
    starts.expect(Comm::of_program(b"starts-often")).unwrap();
    const STARTS: u64 = 200;
    for _ in 0..STARTS {
        assert!(Command::new(&program).arg("0").status().unwrap().success());
    }
    let mut events = Vec::new();
    source.drain(&mut events);
    let told = events.iter().filter(|event| matches!(event, Event::Exec { .. })).count() as u64;
    let lost = events.iter().map(|event| if let Event::Lost { records } = event { *records } else { 0 }).sum::<u64>();
    assert!(told > 0 && lost > 0, "{told} told, {lost} lost: the ring was meant to overflow");
    assert_eq!(told + lost, STARTS);
    assert!(!source.is_unsettled(), "no death is on its way");
    events.clear();
    source.drain(&mut events);
    assert!(events.is_empty(), "a loss is told once: {events:?}");
    drop(programs);
}

#[test]
fn deaths_that_overflow_the_process_connector_are_known_to_be_lost_and_found_by_looking() {
    if !tier_is_wanted("connector") {
        return;
    }
    let mut herd = Victim::run(Command::new(built("herd")).arg(HERD.to_string()));
    let pids: Vec<_> = herd.next_word().split(' ').map(|pid| Pid::new(pid.parse().unwrap()).unwrap()).collect();
    let procs: Vec<_> = pids.iter().map(|pid| identity(*pid)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _context = runtime.enter();
    // The kernel makes some room even if none is asked for.
    let source = ProcEvents::open(0).unwrap();
    let mut watch = Watch::new(Means::Connector { events: source.into(), watched: BTreeMap::new() });
    let mut events = Vec::new();
    procs.iter().for_each(|proc| watch.begin(*proc, &mut events));
    assert!(events.is_empty(), "{events:?}");
    pids.iter().for_each(|pid| kill(*pid));
    wait::until("all are dead", || pids.iter().all(|pid| is_zombie(*pid)));
    let dead = |events: &[Event]| -> BTreeSet<ProcId> {
        events
            .iter()
            .filter_map(|event| if let Event::Zombie { proc, .. } = event { Some(*proc) } else { None })
            .collect()
    };
    watch.drain(Ok(()), &mut events);
    let lost = events.iter().filter(|event| matches!(event, Event::Lost { .. })).count();
    assert_eq!(lost, 1, "the buffer was meant to overflow");
    assert!(dead(&events).len() < HERD, "the same");
    watch.sweep(procs.iter().copied(), &mut events);
    assert_eq!(dead(&events), procs.into_iter().collect());
    events.clear();
    watch.drain(Ok(()), &mut events);
    assert!(events.is_empty() && watch.take_trouble().is_none(), "a loss is told once: {events:?}");
}

fn kill(pid: Pid) {
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::kill(pid.number() as i32, libc::SIGKILL) }, 0);
}

fn is_zombie(pid: Pid) -> bool {
    proc::facts(pid).unwrap().is_some_and(|facts| facts.leader_zombie)
}
