//! The daemon's own cost: wake-ups while strangers come and go, and memory.

use std::{
    fs,
    os::fd::AsFd as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use watcher_tests::{
    program::{Running, built, watcher},
    victim::Victim,
};

use crate::{Scale, cost::churn, peers::Connector};

pub(crate) fn run(scale: Scale) {
    println!("## watcher watch: wake-ups and memory\n");
    println!(
        "| watched | RSS, MiB | wake-ups in {0} s idle | CPU ticks idle | wake-ups in {0} s at 1,000 unrelated exits a second |",
        scale.seconds
    );
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for count in [1, 10_000] {
        let mut herd = Victim::run(Command::new(built("herd")).arg(count.to_string()));
        let pids = herd.next_word();
        let mut arguments = vec!["watch"];
        arguments.extend(pids.split(' '));
        let mut running = Running::start(watcher(arguments).stdin(Stdio::null()));
        assert!(running.talk().starts_with("watcher: watching"), "it watches");
        let (rss, idle, ticks) = {
            let (before, ticks) = (wake_ups(&running.child), cpu_ticks(&running.child));
            thread::sleep(Duration::from_secs(scale.seconds));
            (rss_mib(&running.child), wake_ups(&running.child) - before, cpu_ticks(&running.child) - ticks)
        };
        let before = wake_ups(&running.child);
        churn_paced(scale.seconds);
        let noise = wake_ups(&running.child) - before;
        println!("| {count} | {rss:.1} | {idle} | {ticks} | {noise} |");
    }
    println!(
        "\nThe process connector, without a filter, had {} messages in {} s of the same.",
        connector_noise(scale.seconds),
        scale.seconds
    );
}

pub(crate) fn churn_paced(seconds: u64) {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut next = Instant::now();
    while Instant::now() < end {
        churn(10);
        next += Duration::from_millis(10);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn connector_noise(seconds: u64) -> u64 {
    let mut connector = Connector::subscribe();
    let churner = thread::spawn(move || churn_paced(seconds));
    let descriptor = connector.as_fd().try_clone_to_owned().expect("a descriptor");
    while !churner.is_finished() {
        let limit = rustix::time::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let mut polled = [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut polled, Some(&limit)).expect("a descriptor");
        connector.take();
    }
    connector.messages
}

/// Voluntary context switches: each is one time that it went to sleep, having been woken.
pub(crate) fn wake_ups(child: &Child) -> u64 {
    field(child, "voluntary_ctxt_switches:")
}

pub(crate) fn rss_mib(child: &Child) -> f64 {
    field(child, "VmRSS:") as f64 / 1024.0
}

fn field(child: &Child, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the field is there");
    line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}

fn cpu_ticks(child: &Child) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it runs");
    let after_name = stat.rsplit(')').next().expect("a name");
    after_name.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum()
}
