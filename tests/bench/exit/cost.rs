//! What unrelated exits and signals cost, by the kernel's own statistics.

use std::{ffi::CStr, mem, ptr};

use aya::sys::{Stats, enable_stats};
use watcher::kernel::{Exactness, Handles, Sizes};
use watcher_abi::name::{ON_EXIT, ON_SIGNAL};
use watcher_core::{Pid, ProcId, StartTicks};
use watcher_tests::bpf_time::spent;

use crate::{Scale, floor::Floor, quantile};

/// Watched pids begin here: real processes of the bench have smaller ones.
const FIRST_WATCHED: u32 = 1_000_000;

const ROUNDS: usize = 5;

pub(crate) fn run(scale: Scale) {
    let _statistics = enable_stats(Stats::RunTime).expect("root, and Linux 5.8");
    table(&Strangers {
        what: "exit",
        times: scale.exits,
        happen: churn,
        tracepoint: c"sched_process_exit",
        program: ON_EXIT,
    });
    let times = scale.exits * 10;
    table(&Strangers { what: "signal", times, happen: signals, tracepoint: c"signal_generate", program: ON_SIGNAL });
}

/// What happens to strangers, how often, and who looks at it.
struct Strangers {
    what: &'static str,
    times: usize,
    happen: fn(usize),
    tracepoint: &'static CStr,
    program: &'static str,
}

fn table(strangers: &Strangers) {
    let Strangers { what, times, program, .. } = strangers;
    println!("## Kernel time of an unrelated {what}: nanoseconds, median of {ROUNDS} × {times}\n");
    println!("| watched | empty program | {program} | above empty (goal: at most 60) |\n| ---: | ---: | ---: | ---: |");
    for watched in [0, 1, 1_000, 100_000] {
        let mut rounds: Vec<_> = (0..ROUNDS).map(|_| round(watched, strangers)).collect();
        rounds.sort_by_key(|(empty, ours)| ours.saturating_sub(*empty));
        let median = |pick: fn(&(u64, u64)) -> u64| {
            let mut values: Vec<_> = rounds.iter().map(pick).collect();
            values.sort_unstable();
            quantile(&values, 0.5)
        };
        let (empty, ours) = (median(|round| round.0), median(|round| round.1));
        let above = ours as i64 - empty as i64;
        println!("| {watched} | {empty} | {ours} | {above} |");
    }
    println!();
}

/// Mean nanoseconds of the empty program and of ours, one after the other, each alone.
fn round(watched: u32, strangers: &Strangers) -> (u64, u64) {
    let Strangers { what: _, times, happen, tracepoint, program } = *strangers;
    let empty = {
        let floor = Floor::attach(tracepoint);
        happen(times);
        mean(floor.spent())
    };
    let Handles { ring, mut interest, programs, starts: _, ports: _ } =
        Handles::load(Sizes::for_processes(watched as usize), Exactness::AsOffered).expect("root, and eBPF");
    for pid in FIRST_WATCHED..FIRST_WATCHED + watched {
        let pid = Pid::new(pid).expect("a pid");
        interest.watch(ProcId { pid, start: StartTicks(1) }, 0).expect("room");
    }
    let (_, program) = programs.iter().find(|(name, _)| *name == program).expect("the program");
    let program = program.fd().expect("it is loaded");
    let before = spent(program);
    happen(times);
    let after = spent(program);
    drop(ring);
    (empty, mean((after.0 - before.0, after.1 - before.1)))
}

fn mean((nanoseconds, runs): (u64, u64)) -> u64 {
    nanoseconds / runs.max(1)
}

/// Processes that come and go, and concern nobody.
pub(crate) fn churn(exits: usize) {
    for _ in 0..exits {
        // SAFETY: the child does nothing but end; no memory is involved.
        unsafe {
            match libc::fork() {
                0 => libc::_exit(0),
                child => libc::waitpid(child, ptr::null_mut(), 0),
            };
        }
    }
}

/// Signals that might end a process which nobody watches: this one, which holds them back.
fn signals(times: usize) {
    // SAFETY: an empty set is filled in before it is used; what is held back is taken before it could be delivered.
    unsafe {
        let (mut held, mut taken) = (mem::zeroed(), 0);
        libc::sigemptyset(&raw mut held);
        libc::sigaddset(&raw mut held, libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const held, ptr::null_mut());
        for _ in 0..times {
            libc::pthread_kill(libc::pthread_self(), libc::SIGUSR1);
        }
        libc::sigwait(&raw const held, &raw mut taken);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const held, ptr::null_mut());
    }
}
