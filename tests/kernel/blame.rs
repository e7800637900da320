//! Who sent the signal that a process died of: the record says so, and blames nobody where nobody is to blame.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{self, Command},
};

use watcher::sys::{clock, own, proc};
use watcher_abi::{Blame, NS_PER_TICK, origin};
use watcher_core::{Comm, Pid};
use watcher_tests::{
    program::built,
    victim::{Victim, identity},
    wait,
};

use crate::{identity::reuse, probe::Probe};

const NOBODY: u32 = 65_534;

/// Lets the victim die by `death`: its wait status, and who is blamed.
fn dies(probe: &mut Probe, victim: &mut Victim, death: impl FnOnce(&mut Victim)) -> (u32, Blame) {
    probe.watch(victim.id());
    death(victim);
    let status = victim.wait();
    let record = probe.record();
    assert_eq!((record.pid, record.wait_status), (victim.pid().number(), status));
    (status, record.blame)
}

/// The blame is on this test.
fn assert_ours(blame: &Blame, signal: i32) {
    assert_eq!((blame.signal, blame.origin), (signal as u32, origin::USER), "{blame:?}");
    assert_eq!((blame.sender_pid, blame.sender_uid), (process::id(), 0));
    assert_eq!(Comm::new(blame.comm).to_string(), proc::facts(own::pid()).unwrap().unwrap().comm);
    assert!(blame.stamp_ns > 0 && blame.stamp_ns <= clock::now().0);
}

fn send(victim: &Victim, signal: i32) {
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::kill(victim.pid().number() as i32, signal) }, 0);
}

/// A helper that will send a signal as another user.
fn murderer(victim: &Victim, signal: i32) -> Victim {
    let arguments = [NOBODY.to_string(), victim.pid().to_string(), signal.to_string()];
    Victim::run(Command::new(built("kills")).args(arguments))
}

#[test]
fn the_sender_of_a_fatal_signal_is_named() {
    for mut probe in Probe::both_ways() {
        for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGUSR2, libc::SIGQUIT, libc::SIGRTMIN() + 3] {
            let mut victim = Victim::start("vforks");
            let (status, blame) = dies(&mut probe, &mut victim, |victim| send(victim, signal));
            assert_eq!(status & 0x7f, signal as u32);
            assert_ours(&blame, signal);
        }
    }
}

#[test]
fn the_sender_is_named_with_his_user() {
    for mut probe in Probe::both_ways() {
        let mut victim = Victim::run(Command::new(built("vforks")).uid(NOBODY));
        let mut murderer = murderer(&victim, libc::SIGTERM);
        let (_, blame) = dies(&mut probe, &mut victim, |_| murderer.go());
        assert_eq!((blame.signal, blame.origin), (libc::SIGTERM as u32, origin::USER));
        assert_eq!((blame.sender_pid, blame.sender_uid), (murderer.pid().number(), NOBODY));
        assert_eq!(Comm::new(blame.comm).to_string(), "kills");
    }
}

#[test]
fn a_signal_to_one_thread_is_one_to_the_process() {
    for mut probe in Probe::both_ways() {
        let mut victim = Victim::start("many_threads");
        let (_, blame) = dies(&mut probe, &mut victim, |victim| {
            let pid = victim.pid().number();
            let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
            let tids = threads.map(|thread| thread.unwrap().file_name().to_str().unwrap().parse::<u32>().unwrap());
            let tid = tids.max().unwrap();
            assert_ne!(tid, pid);
            // SAFETY: no memory is involved.
            assert_eq!(unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, libc::SIGTERM) }, 0);
        });
        assert_ours(&blame, libc::SIGTERM);
    }
}

#[test]
fn a_fault_is_its_own() {
    for mut probe in Probe::both_ways() {
        let folder = tempfile::tempdir().unwrap();
        let mut victim = Victim::run(Command::new(built("segfaults")).current_dir(folder.path()));
        let (status, blame) = dies(&mut probe, &mut victim, Victim::go);
        assert_eq!((status & 0x7f, blame.signal), (libc::SIGSEGV as u32, libc::SIGSEGV as u32));
        assert_eq!((blame.origin, blame.sender_pid, blame.comm), (origin::FAULT, 0, [0; 16]));
    }
}

#[test]
fn signals_that_were_survived_do_not_hide_who_asked_it_to_end() {
    for mut probe in Probe::both_ways() {
        let mut victim = Victim::start("handles_signals");
        probe.watch(victim.id());
        send(&victim, libc::SIGUSR1);
        victim.go();
        victim.expect("survived");
        send(&victim, libc::SIGTERM);
        assert_eq!(victim.wait(), 0, "it exits when it is asked to");
        assert_ours(&probe.record().blame, libc::SIGTERM);
    }
}

#[test]
fn what_runtimes_do_to_themselves_blames_nobody_but_abort_does() {
    for mut probe in Probe::both_ways() {
        let mut victim = Victim::start("handles_signals");
        probe.watch(victim.id());
        send(&victim, libc::SIGUSR1);
        victim.go();
        victim.expect("survived");
        victim.go();
        assert_eq!(victim.wait() & 0x7f, libc::SIGABRT as u32);
        let blame = probe.record().blame;
        assert_eq!((blame.signal, blame.origin), (libc::SIGABRT as u32, origin::OWN));
        assert_eq!(blame.sender_pid, victim.pid().number());
        assert_eq!(Comm::new(blame.comm).to_string(), "handles_signals");
    }
}

#[test]
fn of_several_signals_the_first_that_cannot_be_survived_counts() {
    for mut probe in Probe::both_ways() {
        for _ in 0..20 {
            let mut victim = Victim::run(Command::new(built("many_threads")).uid(NOBODY));
            let mut murderer = murderer(&victim, libc::SIGKILL);
            let (_, blame) = dies(&mut probe, &mut victim, |victim| {
                send(victim, libc::SIGCONT);
                murderer.go();
                murderer.expect("sent");
                // On its way out, or out: neither is of any consequence.
                send(victim, libc::SIGTERM);
                send(victim, libc::SIGKILL);
            });
            assert_eq!((blame.signal, blame.origin), (libc::SIGKILL as u32, origin::USER));
            assert_eq!(blame.sender_pid, murderer.pid().number());
        }
    }
}

#[test]
fn signals_that_end_nobody_blame_nobody() {
    let harmless = [libc::SIGSTOP, libc::SIGCONT, libc::SIGCHLD, libc::SIGURG, libc::SIGWINCH, libc::SIGTSTP];
    for mut probe in Probe::both_ways() {
        let mut victim = Victim::start("vforks");
        let (status, blame) = dies(&mut probe, &mut victim, |victim| {
            for signal in harmless.into_iter().chain([libc::SIGCONT]) {
                send(victim, signal);
            }
            // Rust programs ignore this one.
            send(victim, libc::SIGPIPE);
            victim.go();
            victim.expect("vforked");
            victim.go();
        });
        assert_eq!((status, blame), (4 << 8, Blame::NONE));
    }
}

#[test]
fn who_is_watched_anew_is_not_charged_with_the_past() {
    let mut probe = Probe::load();
    let mut victim = Victim::start("handles_signals");
    probe.watch(victim.id());
    send(&victim, libc::SIGUSR1);
    probe.unwatch(victim.id());
    let (_, blame) = dies(&mut probe, &mut victim, |victim| {
        victim.go();
        victim.expect("survived");
        victim.go();
    });
    assert_eq!(blame.origin, origin::OWN);
    assert_eq!(blame.signal, libc::SIGABRT as u32);
}

#[test]
fn the_next_owner_of_a_pid_is_not_charged_with_what_was_sent_to_the_last() {
    let mut probe = Probe::load();
    let mut victim = Victim::start("handles_signals");
    let dead = victim.id();
    probe.watch(dead);
    send(&victim, libc::SIGUSR1);
    send(&victim, libc::SIGKILL);
    victim.wait();
    assert_ours(&probe.record().blame, libc::SIGKILL);
    // A watch that comes too late, as when a rule is read again: it holds the pid, but for the dead.
    probe.watch(dead);
    wait::until("the next tick", || clock::since_boot().0 / NS_PER_TICK > dead.start.0);
    let mut second = reuse(dead.pid);
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::kill(dead.pid.number() as i32, libc::SIGCONT) }, 0);
    probe.watch(identity(dead.pid));
    drop(second.stdin.take());
    assert!(second.wait().unwrap().success());
    let record = probe.record();
    assert_eq!((record.wait_status, record.blame), (0, Blame::NONE));
}

#[test]
fn a_want_of_memory_is_told_from_a_kill() {
    let group = match MemoryGroup::make(48 << 20) {
        Ok(group) => group,
        Err(reason) => {
            eprintln!("skipped: no control group with a limit on memory can be made here: {reason}");
            return;
        }
    };
    for mut probe in Probe::both_ways() {
        let mut victim = Victim::start("eats_memory");
        group.take_in(victim.pid());
        let (status, blame) = dies(&mut probe, &mut victim, Victim::go);
        assert_eq!(status, libc::SIGKILL as u32);
        assert_eq!((blame.signal, blame.origin), (libc::SIGKILL as u32, origin::OUT_OF_MEMORY), "{blame:?}");
        assert_eq!(blame.sender_pid, 0, "nobody sent it");
    }
}

/// A control group that may have only so much memory. It is removed when dropped, when everybody in it has died.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    fn make(bytes: u64) -> io::Result<Self> {
        let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
        let (parent, limit) = if controllers.split_whitespace().any(|controller| controller == "memory") {
            fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory")?;
            ("/sys/fs/cgroup", "memory.max")
        } else {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        };
        let group = Path::new(parent).join(format!("watcher-tests-{}", process::id()));
        fs::create_dir(&group)?;
        let group = Self(group);
        fs::write(group.0.join(limit), bytes.to_string())?;
        Ok(group)
    }

    fn take_in(&self, pid: Pid) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("root may");
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Only a test that failed leaves somebody in it.
        let _ = fs::remove_dir(&self.0);
    }
}
