//! From `_exit` to "known in user space".

use std::{collections::BTreeMap, os::fd::AsFd};

use rustix::event::epoll;
use watcher::{
    engine::{Engine, Told},
    kernel::{Exactness, Handles, Record, Sizes},
    sources::os_signals::OsSignals,
    sys::clock,
};
use watcher_core::{Mono, ProcId, Vigil};
use watcher_tests::senses::{NEVER, senses};

use crate::{
    Scale,
    herd::Herd,
    peers::{Connector, PidfdLoop, wait},
    quantile,
};

/// When each member was known to have died.
type Known = BTreeMap<ProcId, Mono>;

pub(crate) fn run(scale: Scale) {
    println!("## From death to knowing it: {} deaths, microseconds\n", scale.deaths);
    println!("| alone | p50 | p99 | max |\n| --- | ---: | ---: | ---: |");
    let watcher = row("watcher watch, ebpf tier", &engine(scale.deaths));
    let pidfd = row("bare pidfd + epoll", &pidfds(scale.deaths));
    row("process connector", &connector(scale.deaths));
    println!("\np50: {:.2} of bare pidfd + epoll (goal: at most 0.60)\n", watcher.0 / pidfd.0);

    println!("| all in one epoll loop | p50 | p99 | max |\n| --- | ---: | ---: | ---: |");
    let [ring, pidfd, connector] = together(scale.deaths);
    let ring = row("watcher's ring", &ring);
    let pidfd = row("pidfd", &pidfd);
    row("process connector", &connector);
    println!("\np99: {:.2} of pidfd in the same loop (goal: at most 1.00)\n", ring.1 / pidfd.1);
}

/// Prints a row; p50 and p99 in microseconds.
fn row(name: &str, nanoseconds: &[u64]) -> (f64, f64) {
    let micros = |share| quantile(nanoseconds, share) as f64 / 1e3;
    println!("| {name} | {:.1} | {:.1} | {:.1} |", micros(0.5), micros(0.99), micros(1.0));
    (micros(0.5), micros(0.99))
}

fn sorted(herd: &Herd, known: &Known) -> Vec<u64> {
    let mut latencies: Vec<_> = known.iter().map(|(proc, at)| at.since(herd.died_at(*proc)).0).collect();
    assert_eq!(latencies.len(), herd.members().len(), "some deaths were not told");
    latencies.sort_unstable();
    latencies
}

/// The engine as it ships, from ring to report.
fn engine(deaths: usize) -> Vec<u64> {
    let herd = Herd::gather(deaths);
    let handles = Handles::load(Sizes::for_processes(deaths), Exactness::AsOffered).expect("root, and eBPF");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut known = Known::new();
    runtime.block_on(async {
        let signals = OsSignals::listen().expect("signals");
        let vigil = Vigil::new(herd.members().iter().copied());
        let engine = Engine::begin(vigil, senses(handles), signals, NEVER);
        herd.let_die();
        let outcome = engine.run(|told| {
            if let Told::Death(death, _) = told {
                known.insert(death.proc, clock::now());
            }
            Ok(())
        });
        outcome.await.expect("it runs to the end");
    });
    sorted(&herd, &known)
}

fn pidfds(deaths: usize) -> Vec<u64> {
    let herd = Herd::gather(deaths);
    let mut held = PidfdLoop::hold(herd.members());
    let set = set(&[held.as_fd()]);
    herd.let_die();
    let mut known = Known::new();
    while known.len() < deaths {
        assert!(!wait(&set, false).is_empty(), "no news for a minute");
        let gone = held.take();
        let now = clock::now();
        known.extend(gone.into_iter().map(|proc| (proc, now)));
    }
    sorted(&herd, &known)
}

fn connector(deaths: usize) -> Vec<u64> {
    let herd = Herd::gather(deaths);
    let by_pid = by_pid(&herd);
    let mut connector = Connector::subscribe();
    let set = set(&[connector.as_fd()]);
    herd.let_die();
    let mut known = Known::new();
    while known.len() < deaths {
        assert!(!wait(&set, false).is_empty(), "no news for a minute");
        let exited = connector.take();
        let now = clock::now();
        known.extend(exited.iter().filter_map(|pid| by_pid.get(pid)).map(|proc| (*proc, now)));
    }
    sorted(&herd, &known)
}

/// Ring, pidfds and connector in one loop: the same deaths, heard of thrice.
fn together(deaths: usize) -> [Vec<u64>; 3] {
    let herd = Herd::gather(deaths);
    let by_pid = by_pid(&herd);
    let Handles { mut ring, mut interest, programs, starts: _, ports: _ } =
        Handles::load(Sizes::for_processes(deaths), Exactness::AsOffered).expect("root, and eBPF");
    for member in herd.members() {
        interest.watch(*member, 0).expect("room");
    }
    let mut held = PidfdLoop::hold(herd.members());
    let mut connector = Connector::subscribe();
    let set = set(&[ring.as_fd(), held.as_fd(), connector.as_fd()]);
    herd.let_die();
    let mut known = [Known::new(), Known::new(), Known::new()];
    while known.iter().any(|known| known.len() < deaths) {
        let ready = wait(&set, false);
        assert!(!ready.is_empty(), "no news for a minute");
        for token in ready {
            let told: Vec<ProcId> = match token {
                0 => std::iter::from_fn(|| ring.take().expect("records"))
                    .filter_map(|record| by_pid.get(&pid_of(&record)).copied())
                    .collect(),
                1 => held.take(),
                _ => connector.take().iter().filter_map(|pid| by_pid.get(pid).copied()).collect(),
            };
            let now = clock::now();
            known[token as usize].extend(told.into_iter().map(|proc| (proc, now)));
        }
    }
    drop(programs);
    known.map(|known| sorted(&herd, &known))
}

fn pid_of(record: &Record) -> u32 {
    match record {
        Record::Exec(record) => record.pid,
        Record::Exit(record) => record.pid,
        Record::Socket(_) => 0,
    }
}

fn by_pid(herd: &Herd) -> BTreeMap<u32, ProcId> {
    herd.members().iter().map(|proc| (proc.pid.number(), *proc)).collect()
}

/// One epoll set over these descriptors, with their positions as tokens.
fn set(descriptors: &[std::os::fd::BorrowedFd<'_>]) -> std::os::fd::OwnedFd {
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll set");
    for (token, descriptor) in (0..).zip(descriptors) {
        epoll::add(&set, descriptor, epoll::EventData::new_u64(token), epoll::EventFlags::IN).expect("room");
    }
    set
}
