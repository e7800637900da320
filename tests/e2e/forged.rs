//! Whoever may ask the process connector is answered in everybody's hearing, with a number of his choice: that neither wakes
//! watcher, nor crowds out deaths, nor makes it believe that it was refused itself.

use std::{collections::BTreeMap, fs, process::Command, time::Instant};

use watcher::executor::{
    means::{Means, OnDemand},
    proc_events::ProcEvents,
    watch::Watch,
};
use watcher_core::{Ending, Event};
use watcher_tests::{
    host::tier_is_wanted,
    program::{Running, built, watcher},
    victim::Victim,
    wait::{self, until},
};

/// Asks so often once it is told to go. The answers carry this number.
fn forger(number: u32, count: u64) -> Victim {
    Victim::run(Command::new(built("forges_answers")).args([number.to_string(), count.to_string()]))
}

#[test]
fn a_forged_refusal_is_not_believed() {
    if !tier_is_wanted("connector") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _context = runtime.enter();
    // The one number that a stranger can guess.
    let mut forgers: Vec<_> = (0..2).map(|_| forger(std::process::id(), u64::MAX)).collect();
    forgers.iter_mut().for_each(Victim::go);
    for _ in 0..100 {
        ProcEvents::open(64).unwrap();
        ProcEvents::of_starts().unwrap();
    }
}

#[test]
fn a_flood_of_answers_is_no_loss_and_the_death_after_it_is_told() {
    if !tier_is_wanted("connector") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let source = ProcEvents::open(256).unwrap();
        let mut watch = Watch::new(Means::Connector { events: source.into(), watched: BTreeMap::new() });
        let (mut victim, mut events) = (Victim::start("vforks"), Vec::new());
        let proc = victim.id();
        watch.begin(proc, &mut events);
        // The first stranger closes the filter. Until then others may have been too many.
        assert!(Command::new("true").status().unwrap().success());
        watch.drain(Ok(()), &mut events);
        events.clear();
        let mut forger = forger(1, 10_000);
        forger.go();
        forger.expect("asked");
        victim.kill();
        while events.is_empty() {
            let readable = tokio::time::timeout(*wait::DEADLINE, watch.readable()).await.expect("it is told");
            watch.drain(readable, &mut events);
        }
        let killed = |ending: &Ending| matches!(ending, Ending::Killed { .. });
        assert!(
            matches!(&events[..], [Event::Zombie { proc: of, ending }] if *of == proc && killed(ending)),
            "{events:?}"
        );
    });
}

#[test]
fn answers_to_others_wake_nobody() {
    const ANSWERS: u64 = 30;
    if !tier_is_wanted("connector") {
        return;
    }
    let mut victim = Victim::start("vforks");
    let mut running = Running::start(&mut watcher(["watch", "--tier", "connector", &victim.pid().to_string()]));
    assert_eq!(running.talk(), "watcher: watching 1 process by tier connector");
    let of = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", running.child.id())).unwrap();
    // The first stranger wakes it.
    assert!(Command::new("true").status().unwrap().success());
    let sleeps = || until("it sleeps again", || of("stat").contains(") S "));
    sleeps();
    let wakes = || {
        let status = of("status");
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    let before = wakes();
    // Each by itself: of a flood, all would be read without going to sleep in between.
    for _ in 0..ANSWERS {
        let mut forger = forger(1, 1);
        forger.go();
        forger.expect("asked");
        sleeps();
    }
    let woken = wakes() - before;
    assert!(woken < ANSWERS / 2, "{woken} times");
    victim.kill();
    assert!(running.line().starts_with(&format!("{} vforks: killed by SIGKILL", victim.pid())));
}

#[test]
fn a_refusal_to_tell_of_starts_counts_for_a_while_only() {
    if !tier_is_wanted("connector") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _context = runtime.enter();
    let expects = |until| Watch::new(Means::Pidfd { starts: OnDemand::Refused { until } }).expect(b"awaited");
    assert!(!expects(Instant::now() + *wait::DEADLINE * 10));
    assert!(expects(Instant::now()));
}
