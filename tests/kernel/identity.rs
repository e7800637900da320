//! A pid alone names nobody: what the programs and the executor make of a pid that was reused.

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use watcher::{
    executor::inspect::{Look, look},
    sys::clock,
};
use watcher_abi::NS_PER_TICK;
use watcher_core::{Pid, ProcId, StartTicks};
use watcher_tests::{
    program::built,
    victim::{Victim, identity},
    wait,
};

use crate::probe::Probe;

#[test]
fn the_death_of_a_process_with_another_start_time_is_held_back() {
    let mut probe = Probe::load();
    let mut victim = Victim::start("vforks");
    let ProcId { pid, start } = victim.id();
    let earlier = ProcId { pid, start: StartTicks(start.0 - 1) };
    probe.watch(earlier);
    assert_eq!(look(earlier), Look::Gone);
    victim.kill();
    victim.wait();
    assert_eq!(probe.record_by_now(), None, "another process was taken for the watched one");
    assert_eq!(probe.counters().stale, 1);
}

#[test]
fn a_pid_that_was_really_reused_is_never_mistaken() {
    let mut probe = Probe::load();
    let mut victim = Victim::start("vforks");
    let dead = victim.id();
    victim.kill();
    victim.wait();
    // Twins within a hundredth of a second cannot be told apart by their start times.
    wait::until("the next tick", || clock::since_boot().0 / NS_PER_TICK > dead.start.0);
    let mut second = reuse(dead.pid);
    let newcomer = identity(dead.pid);
    assert_ne!(newcomer.start, dead.start);
    probe.watch(dead);
    second.kill().unwrap();
    second.wait().unwrap();
    assert_eq!(probe.record_by_now(), None, "the second owner of the pid was taken for the first");
    assert_eq!(probe.counters().stale, 1);
}

#[test]
fn a_leader_that_hands_over_to_a_thread_is_never_taken_for_a_zombie() {
    const TIMES: &str = "400";
    let mut victim = Victim::run(Command::new(built("execs_from_thread")).env("TIMES", TIMES));
    let proc = victim.id();
    victim.go();
    let is_over = AtomicBool::new(false);
    let looks = thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut looks = 0;
            while !is_over.load(Ordering::Relaxed) {
                let look = look(proc);
                assert!(!matches!(look, Look::Gone | Look::Zombie(_)), "it lives, and yet: {look:?}");
                looks += 1;
            }
            looks
        });
        victim.expect("another program");
        is_over.store(true, Ordering::Relaxed);
        looks.join()
    });
    assert!(looks.unwrap() > 400, "it was looked at while that happened");
}

/// Starts processes until one of them gets this pid. It ends when its standard input does.
pub(crate) fn reuse(pid: Pid) -> Child {
    let end = Instant::now() + *wait::DEADLINE;
    // Others may be faster, and have it for a while.
    while Instant::now() < end {
        fs::write("/proc/sys/kernel/ns_last_pid", (pid.number() - 1).to_string()).expect("root may choose pids");
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        if child.id() == pid.number() {
            return child;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    panic!("pid {pid} could not be had again");
}

#[test]
fn who_is_watched_no_longer_is_not_reported() {
    let mut probe = Probe::load();
    let (mut first, mut second) = (Victim::start("vforks"), Victim::start("vforks"));
    probe.watch(first.id());
    probe.watch(second.id());
    probe.unwatch(first.id());
    first.kill();
    first.wait();
    second.kill();
    second.wait();
    assert_eq!(probe.record().pid, second.pid().number());
    assert_eq!(probe.record_by_now(), None);
}

#[test]
fn to_unwatch_an_earlier_owner_of_the_pid_leaves_the_present_one_watched() {
    let mut probe = Probe::load();
    let mut victim = Victim::start("vforks");
    let ProcId { pid, start } = victim.id();
    probe.watch(victim.id());
    probe.unwatch(ProcId { pid, start: StartTicks(start.0 - 1) });
    victim.kill();
    victim.wait();
    assert_eq!(probe.record().pid, pid.number());
}
