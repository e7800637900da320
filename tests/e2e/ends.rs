//! Every way to end, on each tier: told once, when the last thread has gone, and with what `waitpid` says.

use std::process::Command;

use serde_json::Value;
use watcher::sys::proc;
use watcher_tests::{
    host::{EACH_TIER, Tier},
    program::{Running, built, watcher},
    victim::Victim,
    wait::until,
};

/// Each tier; and the process connector as Linux before 5.3 has it.
fn each(story: impl Fn(&dyn Fn(&[&Victim]) -> Running)) {
    for tier in EACH_TIER.iter().filter(|tier| tier.is_wanted()) {
        story(&|victims| watching(watcher(words(*tier)).args(pids(victims))));
        if *tier == Tier::Connector {
            story(&without_pidfds);
        }
    }
}

fn without_pidfds(victims: &[&Victim]) -> Running {
    let mut command = Command::new(built("without_syscalls"));
    command.args(["ENOSYS", "pidfd_open"]).arg(built("watcher")).args(words(Tier::Connector));
    watching(command.args(pids(victims)))
}

const fn words(tier: Tier) -> [&'static str; 6] {
    ["watch", "--tier", tier.name(), "--interval", "0.05", "--json"]
}

fn pids(victims: &[&Victim]) -> Vec<String> {
    victims.iter().map(|victim| victim.pid().to_string()).collect()
}

fn watching(command: &mut Command) -> Running {
    let mut running = Running::start(command);
    let talk = running.talk();
    assert!(talk.starts_with("watcher: watching "), "{talk}");
    running
}

/// The one line that is told; how the process ended according to it.
fn told(running: &mut Running, victim: &Victim) -> (Value, Value) {
    let line = running.line();
    let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    assert_eq!(told["pid"], victim.pid().number(), "{line}");
    (told["exit_code"].clone(), told["signal"].clone())
}

fn ends_once(running: &mut Running, victim: &Victim, exit_code: Value, signal: Value) {
    assert_eq!(told(running, victim), (exit_code, signal));
    assert_eq!((running.line().as_str(), running.end()), ("", Some(0)), "nothing is told twice");
}

#[test]
fn a_process_with_many_threads_is_killed() {
    each(|watch| {
        let mut victim = Victim::start("many_threads");
        let mut running = watch(&[&victim]);
        victim.kill();
        ends_once(&mut running, &victim, Value::Null, 9.into());
    });
}

#[test]
fn all_threads_end_at_the_same_moment() {
    each(|watch| {
        for _ in 0..5 {
            let mut victim = Victim::start("many_threads");
            let mut running = watch(&[&victim]);
            victim.go();
            ends_once(&mut running, &victim, 0.into(), Value::Null);
        }
    });
}

#[test]
fn a_thread_ends_the_process() {
    each(|watch| {
        let mut victim = Victim::start("exits_from_thread");
        let mut running = watch(&[&victim]);
        victim.go();
        ends_once(&mut running, &victim, 9.into(), Value::Null);
    });
}

#[test]
fn a_process_is_reaped_at_once() {
    each(|watch| {
        let mut victim = Victim::start("vforks");
        let mut running = watch(&[&victim]);
        victim.go();
        victim.expect("vforked");
        victim.go();
        assert_eq!(victim.wait(), 4 << 8);
        // By a tier that comes too late it may not be known how.
        let ending = told(&mut running, &victim);
        assert!([(4.into(), Value::Null), (Value::Null, Value::Null)].contains(&ending), "{ending:?}");
        assert_eq!((running.line().as_str(), running.end()), ("", Some(0)));
    });
}

#[test]
fn a_leader_ends_and_others_live_on_for_longer_than_anybody_hurries() {
    if !Tier::Connector.is_wanted() {
        return;
    }
    let mut victim = Victim::start("leader_exits_first");
    let mut witness = Victim::start("vforks");
    let mut running = without_pidfds(&[&victim, &witness]);
    until("the leader is a zombie", || proc::facts(victim.pid()).unwrap().unwrap().leader_zombie);
    // More than 40 looks of 50 ms each: from then on it is looked at no oftener than others, which nothing shows.
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    victim.go();
    victim.expect("follower");
    witness.kill();
    assert_eq!(told(&mut running, &witness), (Value::Null, 9.into()), "the leader's end came as a death");
    victim.go();
    told(&mut running, &victim);
    assert_eq!((running.line().as_str(), running.end()), ("", Some(0)));
}

#[test]
fn another_program_is_run_by_a_thread() {
    each(|watch| {
        for leader_ends_first in [false, true] {
            let mut command = Command::new(built("execs_from_thread"));
            if leader_ends_first {
                command.env("LEADER_ENDS_FIRST", "1");
            }
            let mut victim = Victim::run(&mut command);
            let mut running = watch(&[&victim]);
            if leader_ends_first {
                until("the leader has ended", || proc::facts(victim.pid()).unwrap().unwrap().leader_zombie);
            }
            victim.go();
            victim.expect("another program");
            victim.go();
            ends_once(&mut running, &victim, 7.into(), Value::Null);
        }
    });
}
