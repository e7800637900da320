//! Hints and facts together: who tells first, and what remains when one of them is missing.

use watcher::{
    engine::{Engine, Outcome, Senses, Told},
    kernel::{Exactness, Handles, Sizes},
    sources::os_signals::OsSignals,
    sys::proc,
};
use watcher_core::{Ending, Event, Signal, Vigil};
use watcher_tests::{
    senses::{NEVER, senses},
    victim::Victim,
    wait,
};

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
    let mut handles = load();
    handles.interest.watch(proc, 0).unwrap();
    victim.kill();
    wait::until("it is a zombie", || proc::facts(proc.pid).unwrap().unwrap().leader_zombie);
    let mut told = Vec::new();
    let outcome = runtime().block_on(async {
        // Nobody has read the ring yet; beginning finds the zombie by looking.
        let engine = Engine::begin(Vigil::new([proc]), senses(handles), OsSignals::listen().unwrap(), NEVER);
        engine
            .run(|of| {
                let Told::Death(death, _) = of else { panic!("{of:?}") };
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
    let handles = load();
    let told = runtime().block_on(async {
        let Senses { ring, mut watch, tier_after: _ } = senses(handles);
        let mut events = Vec::new();
        watch.begin(proc, &mut events);
        // A sweep, or two, look at it again: it is held once.
        watch.sweep([proc], &mut events);
        assert!(events.is_empty(), "others live on");
        victim.go();
        victim.expect("follower");
        victim.go();
        // The ring is never read: as if its record had been lost.
        let readable = tokio::time::timeout(*wait::DEADLINE, watch.readable()).await.expect("its pidfd tells");
        watch.drain(readable, &mut events);
        assert_eq!(watch.take_trouble(), None);
        drop(ring);
        events
    });
    assert!(matches!(told[..], [Event::Gone { proc: gone, .. }] if gone == proc), "{told:?}");
}
