//! Hints and facts together: who tells first, and what remains when one of them is missing.

use watcher::{
    engine::{Engine, Outcome, Senses},
    executor::watch::{Means, Watch},
    kernel::{Exactness, Handles, Sizes},
    sources::{os_signals::OsSignals, ring::RingSource},
    sys::proc,
};
use watcher_core::{Ending, Event, Signal, Vigil};
use watcher_tests::{victim::Victim, wait};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn load() -> Handles {
    Handles::load(Sizes::for_processes(64), Exactness::AsOffered).unwrap()
}

#[test]
fn a_record_explains_what_a_look_found_first() {
    let mut victim = Victim::start("vforks");
    let proc = victim.id();
    let Handles { ring, mut interest, starts, ports, programs } = load();
    interest.watch(proc, 0).unwrap();
    victim.kill();
    wait::until("it is a zombie", || proc::facts(proc.pid).unwrap().unwrap().leader_zombie);
    let mut told = Vec::new();
    let outcome = runtime().block_on(async {
        let watch =
            Watch::new(Means::Ebpf { interest: interest.into(), starts: starts.into(), ports: ports.into(), programs })
                .unwrap();
        // Nobody has read the ring yet; beginning finds the zombie by looking.
        let senses = Senses { ring: Some(RingSource::new(ring).unwrap()), watch };
        let engine = Engine::begin(Vigil::new([proc]), senses, OsSignals::listen().unwrap(), wait::DEADLINE);
        engine
            .run(|death| {
                told.push(*death);
                Ok(())
            })
            .await
    });
    assert_eq!(outcome.unwrap(), Outcome::AllGone);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].ending, Ending::Killed { signal: Signal(9), core_dumped: false });
    assert!(told[0].latency.is_some(), "the look went before the record: {told:?}");
}

#[test]
fn without_its_record_a_process_whose_leader_had_ended_is_told_of_by_its_pidfd() {
    let mut victim = Victim::start("leader_exits_first");
    let proc = victim.id();
    wait::until("the leader is a zombie", || proc::facts(proc.pid).unwrap().unwrap().leader_zombie);
    let Handles { ring, interest, starts, ports, programs } = load();
    let told = runtime().block_on(async {
        let mut watch =
            Watch::new(Means::Ebpf { interest: interest.into(), starts: starts.into(), ports: ports.into(), programs })
                .unwrap();
        let mut events = Vec::new();
        watch.begin(proc, &mut events);
        // A sweep, or two, look at it again: it is held once.
        watch.check(proc, &mut events);
        assert!(events.is_empty(), "others live on");
        victim.go();
        victim.expect("follower");
        victim.go();
        // The ring is never read: as if its record had been lost.
        tokio::time::timeout(wait::DEADLINE, watch.readable()).await.expect("its pidfd tells").unwrap();
        watch.drain(&mut events).unwrap();
        events
    });
    drop(ring);
    assert!(matches!(told[..], [Event::Gone { proc: gone, .. }] if gone == proc), "{told:?}");
}
