//! `cargo xtask bench restart`: from a kill to a restart script that runs, beside a bare loop over pidfds that spawns the
//! same script, in one run. Ratios count, not absolute times: virtual machines are noisy.

mod floor;
mod footprint;
mod ground;

use std::{env, thread, time::Duration};

use watcher::sys::clock;

use self::ground::{Ground, Watching};

/// Between two deaths: long enough that they do not meet.
const PACE: Duration = Duration::from_millis(20);

/// `MONITOR_INTERVAL` in seconds: two restarts of one entry are at least so far apart.
const INTERVAL: u64 = 1;

fn main() {
    let mut arguments = env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(floor::OPTION) {
        return floor::run(arguments);
    }
    let quick = first.as_deref() == Some("--quick");
    latency(if quick { 10 } else { 200 });
    footprint::run(quick);
}

fn latency(rounds: usize) {
    println!("## From a kill to its restart script: {rounds} deaths each, one at a time, in turn; microseconds\n");
    let kinds = ["bare pidfd loop + bare posix_spawn", "pcheck, tier ebpf", "pcheck, tier pidfd"];
    let grounds = [0; 3].map(|_| Ground::new());
    let [floor, ebpf, pidfd] = &grounds;
    let mut watching = [Watching::floor(floor, rounds), ebpf.pcheck(rounds, "ebpf"), pidfd.pcheck(rounds, "pidfd")];
    // They have started everything just now.
    thread::sleep(Duration::from_secs(INTERVAL) + PACE);
    let mut latencies = [const { Vec::new() }; 3];
    for entry in 1..=rounds {
        for ((ground, watching), latencies) in grounds.iter().zip(&mut watching).zip(&mut latencies) {
            let victim = ground.victim(entry);
            let killed = clock::now();
            ground::kill(victim);
            let (stamp, of) = ground.stamp();
            assert_eq!(of, entry, "one death at a time");
            latencies.push(stamp.since(killed).0);
            watching.await_restarted();
            thread::sleep(PACE);
        }
    }
    println!("| | p50 | p99 | max |\n| --- | ---: | ---: | ---: |");
    for (kind, latencies) in kinds.iter().zip(&mut latencies) {
        latencies.sort_unstable();
        let micros = |share| quantile(latencies, share) / 1e3;
        println!("| {kind} | {:.0} | {:.0} | {:.0} |", micros(0.5), micros(0.99), micros(1.0));
    }
    let [floor, ebpf, pidfd] = latencies.map(|latencies| quantile(&latencies, 0.5));
    println!("\np50, of the bare loop: ebpf {:.2}, pidfd {:.2} (goal: at most 1.30)\n", ebpf / floor, pidfd / floor);
}

/// The value at this share of a sorted list.
fn quantile(sorted: &[u64], share: f64) -> f64 {
    let index = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(index).copied().unwrap_or(0) as f64
}
