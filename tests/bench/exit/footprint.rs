//! The daemon's own cost: wake-ups while strangers come and go, and memory.

use std::{
    os::fd::AsFd as _,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use watcher_tests::{
    cost::{cpu_ticks, rss_mib, wake_ups},
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
        let pid = running.child.id();
        let (rss, idle, ticks) = {
            let (before, ticks) = (wake_ups(pid), cpu_ticks(pid));
            thread::sleep(Duration::from_secs(scale.seconds));
            (rss_mib(pid), wake_ups(pid) - before, cpu_ticks(pid) - ticks)
        };
        let before = wake_ups(pid);
        churn_paced(scale.seconds);
        let noise = wake_ups(pid) - before;
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
