//! Every way to die: exactly one record, at the end of the last thread, with what `waitpid` says.

use std::{fs, process::Command};

use watcher::{
    executor::inspect::{Look, look},
    sys::proc,
};
use watcher_abi::{ExitRecord, KIND_EXIT, NS_PER_TICK};
use watcher_core::{Comm, Pid, ProcId};
use watcher_tests::{
    program::built,
    victim::{Victim, identity},
    wait,
};

use crate::probe::{GENERATION, Probe};

/// Lets the victim die by `death` and returns its wait status, once its one and only record has been checked.
fn dies_once(probe: &mut Probe, victim: &mut Victim, death: impl FnOnce(&mut Victim)) -> u32 {
    let proc = victim.id();
    let comm = proc::facts(proc.pid).unwrap().unwrap().comm;
    probe.watch(proc);
    death(victim);
    let status = victim.wait();
    let record = probe.record();
    check(&record, proc, status, &comm);
    assert_eq!(probe.record_by_now(), None, "a second record of one death");
    status
}

fn check(record: &ExitRecord, proc: ProcId, wait_status: u32, comm: &str) {
    assert_eq!((record.kind, record.generation), (KIND_EXIT, GENERATION));
    assert_eq!(record.pid, proc.pid.number());
    assert_eq!(record.start_ns / NS_PER_TICK, proc.start.0);
    assert_eq!(record.wait_status, wait_status, "not what waitpid says");
    assert_eq!(Comm::new(record.comm).to_string(), comm);
    assert!(record.stamp_ns <= watcher::sys::clock::now().0);
}

#[test]
fn sigkill_of_a_process_with_many_threads() {
    for mut probe in Probe::both_ways() {
        let mut victim = Victim::start("many_threads");
        assert_eq!(dies_once(&mut probe, &mut victim, Victim::kill), libc::SIGKILL as u32);
    }
}

#[test]
fn all_threads_end_at_the_same_moment() {
    for mut probe in Probe::both_ways() {
        for _ in 0..50 {
            let mut victim = Victim::start("many_threads");
            assert_eq!(dies_once(&mut probe, &mut victim, Victim::go), 0);
        }
    }
}

#[test]
fn sigsegv_in_a_thread_with_core() {
    let folder = tempfile::tempdir().unwrap();
    let mut victim = Victim::run(Command::new(built("segfaults")).current_dir(folder.path()));
    let status = dies_once(&mut Probe::load(), &mut victim, Victim::go);
    assert_eq!(status & 0x7f, libc::SIGSEGV as u32);
    if fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap().starts_with("core") {
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the core lies where the victim ran");
        assert_eq!(status & 0x80, 0x80, "and the record says so");
    }
}

#[test]
fn exit_group_from_a_thread() {
    for mut probe in Probe::both_ways() {
        let mut victim = Victim::start("exits_from_thread");
        assert_eq!(dies_once(&mut probe, &mut victim, Victim::go), 9 << 8);
    }
}

#[test]
fn the_leader_exits_first_and_is_not_a_death() {
    for mut probe in Probe::both_ways() {
        let mut victim = Victim::start("leader_exits_first");
        let proc = victim.id();
        // Whether the leader has ended before or after it is watched must not matter: it is not the end.
        probe.watch(proc);
        wait::until("the leader is a zombie", || proc::facts(proc.pid).unwrap().unwrap().leader_zombie);
        assert_eq!(look(proc), Look::Leaderless, "others live on, so it has not gone");
        victim.go();
        victim.expect("follower");
        assert_eq!(probe.record_by_now(), None, "the leader's end was taken for the process's");
        victim.go();
        let status = victim.wait();
        check(&probe.record(), proc, status, "leader_exits_fi");
        assert_eq!(probe.record_by_now(), None);
    }
}

#[test]
fn exec_from_a_thread_is_not_a_death() {
    for mut probe in Probe::both_ways() {
        for leader_ends_first in [false, true] {
            let mut command = Command::new(built("execs_from_thread"));
            if leader_ends_first {
                command.env("LEADER_ENDS_FIRST", "1");
            }
            let mut victim = Victim::run(&mut command);
            let proc = victim.id();
            probe.watch(proc);
            if leader_ends_first {
                wait::until("the leader has ended", || proc::facts(proc.pid).unwrap().unwrap().leader_zombie);
            }
            victim.go();
            victim.expect("another program");
            assert_eq!(probe.record_by_now(), None, "an exec was taken for a death");
            assert_eq!(victim.id(), proc, "an exec keeps pid and start time");
            victim.go();
            let status = victim.wait();
            assert_eq!(status, 7 << 8);
            check(&probe.record(), proc, status, "execs_from_thre");
            assert_eq!(probe.record_by_now(), None);
        }
    }
}

#[test]
fn the_ends_of_vforked_children_are_not_the_parents() {
    for mut probe in Probe::both_ways() {
        let mut victim = Victim::start("vforks");
        let proc = victim.id();
        probe.watch(proc);
        victim.go();
        victim.expect("vforked");
        assert_eq!(probe.record_by_now(), None, "a child's end was taken for the parent's");
        victim.go();
        let status = victim.wait();
        assert_eq!(status, 4 << 8);
        check(&probe.record(), proc, status, "vforks");
    }
}

#[test]
fn a_process_in_another_pid_namespace_has_the_pid_that_the_daemon_sees() {
    for mut probe in Probe::both_ways() {
        let unshare = ["--pid", "--fork", "--kill-child", "--"];
        let mut victim = Victim::run(Command::new("unshare").args(unshare).arg(built("vforks")));
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", victim.pid())).unwrap();
        let inner = identity(children.trim().parse().ok().and_then(Pid::new).unwrap());
        probe.watch(inner);
        victim.go();
        victim.expect("vforked");
        victim.go();
        assert_eq!(victim.wait(), 4 << 8, "unshare ends as its child did");
        check(&probe.record(), inner, 4 << 8, "vforks");
        assert_eq!(probe.record_by_now(), None);
    }
}
