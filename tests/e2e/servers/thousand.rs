//! A thousand processes killed at once: each comes back once, whatever the tier, and pcheck answers meanwhile.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink};

use watcher_core::Pid;
use watcher_tests::wait::until;

use super::{
    kept::{Kept, kill},
    site::Site,
};

const COUNT: usize = 1_000;

/// Scripts that may run at once.
const AT_ONCE: usize = 4;

#[test]
fn on_tier_ebpf() {
    // Nothing is told by intervals; this is how long a process may take to appear.
    all_come_back("ebpf", 60);
}

#[test]
fn on_tier_poll() {
    all_come_back("poll", 5);
}

fn all_come_back(tier: &str, interval: u32) {
    let site = Site::new();
    symlink("/usr/bin/sleep", site.path("sleep")).unwrap();
    let (sleep, runs) = (site.at("sleep"), site.at("runs"));
    let start = |number: &str| format!("{sleep} infinity {number}s </dev/null >/dev/null 2>&1 &");
    let all = format!(
        "#!/bin/sh\nnumber=0\nwhile [ $number -lt {COUNT} ]; do\nnumber=$((number + 1))\n{}\ndone\n",
        start("${number}")
    );
    let all = site.script("all.sh", &all);
    let one = start("${PS_PENT_ID}");
    let one = format!("#!/bin/sh\necho \"+ $PS_PENT_ID\" >>{runs}\n{one}\necho \"- $PS_PENT_ID\" >>{runs}\n");
    let one = site.script("one.sh", &one);
    let entry = |number| format!("{sleep}:{one}:86400:3:exit:include_strings=infinity {number}s\n");
    let entries: String = (1..=COUNT).map(entry).collect();
    let mut pcheck =
        Kept::start_every(interval, &all, &site, &entries, &["--tier", tier, "--scripts", &AT_ONCE.to_string()]);

    let before: Vec<_> = (0..COUNT).map(|_| pcheck.up()).collect();
    before.iter().copied().for_each(kill);
    // It answers while they die and come back.
    let all_are_up = || {
        let entries = pcheck.entries();
        entries.len() == COUNT
            && entries.iter().all(|entry| entry["proc_sts"] == "AVAIL" && entry["restart_count"] == 1)
    };
    until("all are up again", all_are_up);

    let after: Vec<_> =
        pcheck.entries().iter().map(|entry| Pid::new(entry["pid"].as_u64().unwrap() as u32).unwrap()).collect();
    assert!(after.iter().all(|pid| !before.contains(pid)), "a dead one is shown as up");
    let (mut restarts, mut running) = (BTreeMap::new(), 0);
    for line in fs::read_to_string(runs).unwrap().lines() {
        let (what, number) = line.split_once(' ').unwrap();
        running += if what == "+" { 1 } else { -1 };
        *restarts.entry(number.to_owned()).or_insert(0) += usize::from(what == "+");
        assert!(running <= AT_ONCE as i32, "too many scripts at once");
    }
    assert_eq!((restarts.len(), restarts.values().max()), (COUNT, Some(&1)));
    pcheck.expect_in_all(") Up", 2 * COUNT);
    let story = pcheck.story();
    let told = |what: &str| story.iter().filter(|line| line.contains(what)).count();
    // A folder may have any name, also one with such a word in it.
    let counts = [") Up", "] Down", "Try to restart (", "Set pid fail ("].map(told);
    assert_eq!(counts, [2 * COUNT, COUNT, COUNT, 0], "{}", pcheck.told());
}
