//! `cargo xtask bench tiers`: what each tier costs while nothing happens, and how soon it knows of a death.

use std::{
    fs, io,
    process::{Child, Command, Stdio},
    ptr, thread,
    time::Duration,
};

use watcher::{
    engine::{Engine, Pace, Told},
    sources::os_signals::OsSignals,
    start,
    sys::clock,
};
use watcher_core::{Tier, Vigil};
use watcher_tests::{
    cost::{rss_mib, wake_ups},
    program::{Running, built, watcher},
    senses::NEVER,
    victim::Victim,
};

use crate::{Scale, footprint::churn_paced, herd::Herd, quantile};

/// Processes that are looked at are looked at this often, in seconds.
const INTERVAL: &str = "1";

/// The deaths of one herd are enough for a figure.
const DEATHS: usize = 1_000;

/// Each of them is waited for until the next look.
const DEATHS_BY_LOOKS: usize = 100;

pub(crate) fn run(scale: Scale) {
    let counts: &[usize] = if scale.seconds == 1 { &[100, 1_000] } else { &[100, 1_000, 10_000] };
    costs(scale, counts);
    latencies(scale, counts);
}

fn costs(scale: Scale, counts: &[usize]) {
    let seconds = scale.seconds;
    println!("## What `watcher watch --interval {INTERVAL}` costs, by tier, in {seconds} s\n");
    println!(
        "| tier | watched | RSS, MiB | idle: wake-ups | CPU, ms | with 1,000 unrelated processes a second: wake-ups | CPU, ms |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for tier in Tier::ALL {
        for &count in counts {
            cost(tier, count, seconds);
        }
    }
    println!();
}

fn cost(tier: Tier, count: usize, seconds: u64) {
    let mut herd = Victim::run(Command::new(built("herd")).arg(count.to_string()));
    let pids = herd.next_word();
    let mut arguments = vec!["watch", "--tier", tier.name(), "--interval", INTERVAL];
    arguments.extend(pids.split(' '));
    let mut running = Running::start(watcher(arguments).stdin(Stdio::null()));
    let said = running.talk();
    if !said.starts_with("watcher: watching") {
        println!("| {tier} | {count} | does not work here: {said} |");
        return;
    }
    let measure = |action: &dyn Fn()| {
        let before = (wake_ups(running.child.id()), cpu_ns(&running.child));
        action();
        (wake_ups(running.child.id()) - before.0, (cpu_ns(&running.child) - before.1) as f64 / 1e6)
    };
    let idle = measure(&|| thread::sleep(Duration::from_secs(seconds)));
    let noise = measure(&|| churn_paced(seconds));
    let rss = rss_mib(running.child.id());
    println!("| {tier} | {count} | {rss:.1} | {} | {:.2} | {} | {:.2} |", idle.0, idle.1, noise.0, noise.1);
}

/// Time on a processor. The first thread does everything.
fn cpu_ns(child: &Child) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/schedstat", child.id())).expect("it runs");
    text.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}

fn latencies(scale: Scale, counts: &[usize]) {
    println!("## From death to knowing it, by tier: microseconds (one death at a time)\n");
    println!(
        "| tier | watched | deaths | p50 | p99 | max | with 1,000 unrelated processes a second: p50 | p99 | max |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for tier in Tier::ALL {
        let deaths = scale.deaths.min(if tier == Tier::Poll { DEATHS_BY_LOOKS } else { DEATHS });
        for &count in counts {
            let deaths = deaths.min(count);
            let row = |nanoseconds: Vec<u64>| {
                let micros = |share| quantile(&nanoseconds, share) as f64 / 1e3;
                format!("{:.1} | {:.1} | {:.1}", micros(0.5), micros(0.99), micros(1.0))
            };
            match latency(tier, count, deaths) {
                Ok(quiet) => {
                    let noisy = among_strangers(|| latency(tier, count, deaths)).expect("it has worked before");
                    println!("| {tier} | {count} | {deaths} | {} | {} |", row(quiet), row(noisy));
                }
                Err(reason) => println!("| {tier} | {count} | does not work here: {reason} |"),
            }
        }
    }
    println!(
        "\nTier poll looks every {INTERVAL} s here, and every `MONITOR_INTERVAL` in pcheck: a death is known at the next look.\n"
    );
}

/// Does it while processes come and go. A process of its own makes them: a fork of this one would copy what it measures with.
fn among_strangers<T>(action: impl FnOnce() -> T) -> T {
    // SAFETY: one thread so far; the child makes processes until it is ended, and dies with this one.
    let maker = unsafe { libc::fork() };
    if maker == 0 {
        // SAFETY: no memory is involved.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        loop {
            churn_paced(1);
        }
    }
    let done = action();
    // SAFETY: no memory is involved; it is our child.
    unsafe {
        libc::kill(maker, libc::SIGKILL);
        libc::waitpid(maker, ptr::null_mut(), 0);
    }
    done
}

/// The engine as it ships, from what tells it to its report.
fn latency(tier: Tier, count: usize, deaths: usize) -> Result<Vec<u64>, String> {
    let herd = Herd::gather_of_whom_die(count, deaths);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let choice = start::tier(Some(tier), count)
            .map_err(|tried| tried.into_iter().map(|over| over.reason).collect::<Vec<_>>().join("; "))?;
        let signals = OsSignals::listen().expect("signals");
        let interval = Duration::from_secs(INTERVAL.parse().expect("seconds"));
        let vigil = Vigil::new(herd.members().iter().copied());
        let pace = Pace { looks: interval, ..NEVER };
        let engine = Engine::begin(vigil, choice.started, signals, pace);
        herd.let_die();
        let mut known = Vec::with_capacity(deaths);
        let outcome = engine.run(|told| {
            let Told::Death(death, _) = told else { return Err(io::Error::other(format!("{told:?}"))) };
            known.push((death.proc, clock::now()));
            // Ends the engine: the others live on.
            if known.len() == deaths { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        });
        let ended = outcome.await.err().map(|error| error.kind());
        assert!(ended == Some(io::ErrorKind::Interrupted) || deaths == count, "it ended early: {ended:?}");
        let mut latencies: Vec<_> = known.iter().map(|(proc, at)| at.since(herd.died_at(*proc)).0).collect();
        latencies.sort_unstable();
        Ok(latencies)
    })
}
