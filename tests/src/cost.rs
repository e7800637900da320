//! What a process has cost so far, as `/proc` tells it.

use std::fs;

/// Voluntary context switches: each is one time that it went to sleep, having been woken.
pub fn wake_ups(pid: u32) -> u64 {
    status(pid, "voluntary_ctxt_switches:")
}

/// Memory, MiB.
pub fn rss_mib(pid: u32) -> f64 {
    status(pid, "VmRSS:") as f64 / 1024.0
}

/// Processor time, in ticks of 10 ms.
pub fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let after_name = stat.rsplit(')').next().expect("a name");
    after_name.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum()
}

fn status(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the field is there");
    line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}
