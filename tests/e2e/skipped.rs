//! Deaths for which the kernel skips the program that would tell of them: known all the same, and at once.

use std::{
    collections::BTreeSet,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    process::Command,
};

use watcher::{
    engine::{Engine, Outcome, Told},
    executor::{means::Means, watch::Watch},
    kernel::{Exactness, Handles, Sizes},
    sources::{os_signals::OsSignals, ring::RingSource},
    sys::{own, raw_tracepoint},
};
use watcher_abi::name;
use watcher_core::{Event, Pid, Vigil};
use watcher_tests::{
    bpf_time,
    host::kill,
    kernel,
    program::built,
    senses::{NEVER, senses},
    tamper,
    victim::{Victim, identity},
    wait::{DEADLINE, until},
};

const HERD: usize = 1000;

/// Storms at most, until the kernel has skipped somebody.
const STORMS: usize = 5;

/// Since Linux 7.0 the programs can be preempted, and the kernel skips one that it finds at work on this CPU already. Every
/// other process here is preferred to whoever runs, and so dies in the middle of others' deaths.
#[test]
fn none_is_missed_of_many_that_die_in_the_middle_of_the_deaths_of_others() {
    for storm in 0..STORMS {
        let skipped = storm_passes();
        println!("storm {storm}: {skipped:?} skipped");
        if skipped != Some(0) {
            return;
        }
    }
}

/// Says how often the program was skipped; nothing on a kernel that skips none.
fn storm_passes() -> Option<u64> {
    let mut herd = Victim::run(Command::new(built("herd")).arg(HERD.to_string()));
    let pids: Vec<_> = herd.next_word().split(' ').map(|pid| Pid::new(pid.parse().unwrap()).unwrap()).collect();
    let handles = Handles::load(Sizes::for_processes(HERD), Exactness::AsOffered).unwrap();
    let may_be_skipped = handles.programs.may_be_skipped();
    let (on_exit, _) = program(&handles, name::ON_EXIT);
    if may_be_skipped {
        // The second one would make it too rare to be seen.
        let (_, again) = program(&handles, name::ON_EXIT_AGAIN);
        detach(again, &on_exit);
    }
    let at_once = libc::sched_param { sched_priority: 1 };
    for pid in pids.iter().step_by(2) {
        // SAFETY: the kernel reads the structure.
        let answer = unsafe { libc::sched_setscheduler(pid.number() as i32, libc::SCHED_FIFO, &raw const at_once) };
        assert_eq!(answer, 0, "it takes root");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut told, mut bare) = (BTreeSet::new(), 0);
    let outcome = runtime.block_on(async {
        let vigil = Vigil::new(pids.iter().map(|pid| identity(*pid)));
        let engine = Engine::begin(vigil, senses(handles), OsSignals::listen().unwrap(), NEVER);
        pids.iter().for_each(|pid| kill(*pid));
        let run = engine.run(|told_of| {
            let Told::Death(death, _) = told_of else { panic!("{told_of:?}") };
            assert!(told.insert(death.proc.pid), "none twice");
            bare += u64::from(death.latency.is_none());
            Ok(())
        });
        tokio::time::timeout(*DEADLINE, run).await
    });
    let missed = pids.iter().filter(|pid| !told.contains(pid)).count();
    let outcome = outcome.unwrap_or_else(|_late| panic!("{missed} of {HERD} deaths are missed"));
    assert_eq!(outcome.unwrap(), Outcome::AllGone);
    let skipped = raw_tracepoint::missed(&on_exit);
    println!("{bare} told by pidfds alone, {skipped} times skipped");
    assert!(bare <= skipped, "the kernel's records explain all others");
    may_be_skipped.then_some(skipped)
}

/// A program: a descriptor and its number.
fn program(handles: &Handles, wanted: &str) -> (OwnedFd, u32) {
    let (_, program) = handles.programs.iter().find(|(name, _)| *name == wanted).unwrap();
    (program.fd().unwrap().as_fd().try_clone_to_owned().unwrap(), program.info().unwrap().id())
}

/// The program with this number is not run any more; whoever has it attached finds another descriptor in place of the link.
fn detach(number: u32, other: &OwnedFd) {
    let links = tamper::bpf_links(own::pid());
    let link = links.iter().find(|link| link.info.contains(&format!("prog_id:\t{number}\n"))).unwrap();
    // SAFETY: both are open, and stay so.
    assert!(unsafe { libc::dup3(other.as_raw_fd(), link.number, libc::O_CLOEXEC) } >= 0);
    // A child that another test is making at that moment has the link, too. Links have numbers since Linux 5.8.
    if let Some(number) = link.info.lines().find_map(|line| line.strip_prefix("link_id:")?.trim().parse().ok()) {
        until("nobody holds the link", || !bpf_time::is_linked(number));
    }
}

/// On older kernels: the program is made to be skipped by an interrupt that it causes itself, and then to miss deaths. Where that
/// happens without help it happens to strangers, too, and does not make a number that is known.
#[test]
fn as_many_deaths_may_be_untold_as_were_skipped_before_the_tier_is_left() {
    let handles = Handles::load(Sizes::for_processes(64), Exactness::AsOnOlderKernels).unwrap();
    let (on_exit, number) = program(&handles, name::ON_EXIT);
    if handles.programs.may_be_skipped() {
        return;
    }
    let Handles { ring, interest, starts, ports, programs } = handles;
    let (interest, starts, ports) = (interest.into(), starts.into(), ports.into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _context = runtime.enter();
    let mut ring = RingSource::new(ring).unwrap();
    let mut watch = Watch::new(Means::Ebpf { interest, starts, ports, programs, witnesses: true });
    let (mut told, mut events) = (Victim::start("vforks"), Vec::new());
    watch.begin(told.id(), &mut events);
    assert!(events.is_empty(), "{events:?}");

    // A record that nobody has waited for is told by an interrupt, in the middle of the program. One that comes of something
    // else, while somebody else dies, is skipped as well.
    let inner = raw_tracepoint::attach(&on_exit, c"irq_work_entry").unwrap();
    let before = raw_tracepoint::missed(&on_exit);
    let proc = told.id();
    told.kill();
    told.wait();
    ring.drain(&mut events);
    assert!(matches!(events[..], [Event::Exit(notice)] if notice.proc == proc), "{events:?}");
    // Before Linux 6.1 a program runs in the middle of itself.
    let skips = kernel() >= (6, 1);
    watch.end(proc);
    drop(inner);
    let times = raw_tracepoint::missed(&on_exit) - before;
    assert_eq!(times > 0, skips, "{times} times skipped");

    // From now on nothing tells of deaths but pidfds.
    detach(number, &on_exit);
    let not_told = Some("the kernel programs have not told of the death of process");
    for trouble in (0..times).map(|_| None).chain([not_told]) {
        let mut victim = Victim::start("vforks");
        let proc = victim.id();
        events.clear();
        watch.begin(proc, &mut events);
        victim.kill();
        runtime.block_on(watch.readable()).unwrap();
        ring.drain(&mut events);
        assert!(events.is_empty(), "{events:?}");
        watch.drain(Ok(()), &mut events);
        assert!(matches!(events[..], [Event::Gone { proc: gone, .. }] if gone == proc), "{events:?}");
        match (watch.take_trouble(), trouble) {
            (None, None) => {}
            (Some(told), Some(wanted)) => assert!(told.starts_with(wanted), "{told}"),
            (told, wanted) => panic!("{told:?}, and not {wanted:?}"),
        }
        watch.end(proc);
    }
}
