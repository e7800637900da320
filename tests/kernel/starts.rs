//! Starts of programs: those that are waited for are told, once, and no others; and nobody pays while nobody waits.

use std::{
    os::unix::{fs::symlink, process::CommandExt as _},
    process::Command,
};

use watcher::kernel::{NotExpected, Record};
use watcher_abi::{ExecRecord, KIND_EXEC, NS_PER_TICK, name};
use watcher_core::{Comm, ProcId};
use watcher_tests::{program::built, victim::Victim};

use crate::probe::Probe;

/// A victim under another name, so that the tests beside this one do not start it too. (Not a copy: a child that another
/// test is just starting would hold it open for writing, and it could not be run.)
fn renamed(folder: &tempfile::TempDir, name: &str) -> Command {
    let path = folder.path().join(name);
    // Two probes want the same one.
    let _there_already = symlink(built("vforks"), &path);
    Command::new(path)
}

fn start_of(probe: &mut Probe) -> ExecRecord {
    match probe.any_record() {
        Record::Exec(record) => record,
        Record::Exit(_) | Record::Socket(_) => panic!("nobody is watched"),
    }
}

fn check(record: &ExecRecord, proc: ProcId, comm: &str) {
    assert_eq!((record.kind, record.pid), (KIND_EXEC, proc.pid.number()));
    assert_eq!(record.start_ns / NS_PER_TICK, proc.start.0);
    assert_eq!(Comm::new(record.comm).to_string(), comm);
    assert!(record.stamp_ns <= watcher::sys::clock::now().0);
}

#[test]
fn a_program_that_is_waited_for_is_told_once_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    for mut probe in Probe::both_ways() {
        let before = probe.counters();
        probe.starts.expect(Comm::of_program(b"waited-for")).unwrap();
        let stranger = Victim::run(&mut renamed(&folder, "not-waited-for"));
        let victim = Victim::run(&mut renamed(&folder, "waited-for"));
        check(&start_of(&mut probe), victim.id(), "waited-for");
        assert_eq!(probe.record_by_now(), None, "a stranger, or the same again");
        assert_eq!(probe.counters(), before, "a start is no death, and none was lost");
        drop((stranger, victim));
    }
}

#[test]
fn long_names_are_cut_as_the_kernel_cuts_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut probe = Probe::load();
    let long = "a-name-of-more-than-fifteen-bytes";
    probe.starts.expect(Comm::of_program(long.as_bytes())).unwrap();
    let victim = Victim::run(&mut renamed(&folder, long));
    check(&start_of(&mut probe), victim.id(), "a-name-of-more-");
}

#[test]
fn a_script_has_its_own_name_and_not_that_of_its_shell() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own-script.sh");
    let mut probe = Probe::load();
    probe.starts.expect(Comm::of_program(b"own-script.sh")).unwrap();
    // Written by another process, for the same reason.
    let script = r"printf '#!/bin/sh\necho ready\nread line\n' >$0; chmod 700 $0; exec $0";
    let victim = Victim::run(Command::new("sh").args(["-c", script]).arg(&path));
    check(&start_of(&mut probe), victim.id(), "own-script.sh");
}

#[test]
fn an_exec_from_a_thread_is_told_with_the_identity_of_the_process() {
    for mut probe in Probe::both_ways() {
        let mut victim = Victim::start("execs_from_thread");
        let proc = victim.id();
        probe.starts.expect(Comm::of_program(b"execs_from_thread")).unwrap();
        victim.go();
        victim.expect("another program");
        // Other tests start the same program.
        let record = loop {
            let record = start_of(&mut probe);
            if record.pid == proc.pid.number() {
                break record;
            }
        };
        check(&record, proc, "execs_from_thre");
    }
}

#[test]
fn the_program_is_attached_only_while_somebody_is_waited_for() {
    let mut probe = Probe::load();
    let (first, second) = (Comm::of_program(b"first-name"), Comm::of_program(b"second-name"));
    assert_eq!(probe.links(name::ON_EXEC), 0);
    for comm in [first, second, first] {
        probe.starts.expect(comm).unwrap();
        assert_eq!(probe.links(name::ON_EXEC), 1);
    }
    for comm in [first, second, second] {
        probe.starts.expect_no_more(comm);
        assert_eq!(probe.links(name::ON_EXEC), 1, "the first was expected twice");
    }
    let folder = tempfile::tempdir().unwrap();
    let victim = Victim::run(&mut renamed(&folder, "second-name"));
    let other = Victim::run(&mut renamed(&folder, "first-name"));
    check(&start_of(&mut probe), other.id(), "first-name");
    probe.starts.expect_no_more(first);
    assert_eq!(probe.links(name::ON_EXEC), 0);
    let again = Victim::run(&mut renamed(&folder, "first-name-2"));
    let last = Victim::run(&mut Command::new(folder.path().join("first-name")));
    assert_eq!(probe.record_by_now(), None);
    drop((victim, other, again, last));
}

#[test]
fn a_full_table_says_so() {
    let mut probe = Probe::load();
    let name = |number: u32| Comm::of_program(format!("name-{number}").as_bytes());
    for number in 0..1024 {
        probe.starts.expect(name(number)).unwrap();
    }
    assert!(matches!(probe.starts.expect(name(1024)), Err(NotExpected::Full(_))));
    probe.starts.expect_no_more(name(0));
    probe.starts.expect(name(1024)).unwrap();
    // Still attached, and nothing is told of what did not fit.
    assert_eq!(probe.links(name::ON_EXEC), 1);
}

#[test]
fn another_name_in_argv_is_no_other_program() {
    let folder = tempfile::tempdir().unwrap();
    let mut probe = Probe::load();
    probe.starts.expect(Comm::of_program(b"by-its-file")).unwrap();
    let victim = Victim::run(renamed(&folder, "by-its-file").arg0("something else"));
    check(&start_of(&mut probe), victim.id(), "by-its-file");
}
