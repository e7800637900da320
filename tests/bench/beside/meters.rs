//! What a tool costs in a window of time: it and all that it has started but the workers.

use std::time::{Duration, Instant};

use aya::sys::{Stats, enable_stats};
use serde_json::{Value, json};
use watcher_tests::{
    bpf_time::Programs,
    family::{Cost, Memory, family},
};

use crate::ground::Ground;

/// Measures what happens during an action.
pub(crate) fn window(ground: &Ground, pid: u32, programs: &Programs, action: impl FnOnce()) -> Value {
    // As long as this is held, and only for those who have programs: it costs each run of any program some time.
    let _statistics = (!programs.is_empty()).then(|| enable_stats(Stats::RunTime).expect("root, and Linux 5.8"));
    let (kernel, before) = (programs.spent(), Reading::take(ground, pid));
    action();
    let (after, kernel_after) = (Reading::take(ground, pid), programs.spent());
    let cost = after.cost.since(&before.cost);
    let seconds = after.at.duration_since(before.at).as_secs_f64();
    json!({
        "seconds": seconds,
        "cpu_ns": cost.cpu,
        "wake_ups": cost.wake_ups,
        "kernel_ns": kernel_after - kernel,
    })
}

/// Memory of it, MiB, and of how many processes it is.
pub(crate) fn memory(ground: &Ground, pid: u32) -> Value {
    let members = members(ground, pid);
    let Memory { rss, pss, peak: _ } = Memory::of_all(&members);
    json!({ "rss_mib": rss, "pss_mib": pss, "processes": members.len() })
}

struct Reading {
    at: Instant,
    cost: Cost,
}

impl Reading {
    fn take(ground: &Ground, pid: u32) -> Self {
        let members = members(ground, pid);
        // Reading thousands of processes takes its time: the middle of it stands for all.
        let begun = Instant::now();
        let cost = Cost::of_all(&members);
        let took: Duration = begun.elapsed();
        Self { at: begun + took / 2, cost }
    }
}

fn members(ground: &Ground, pid: u32) -> Vec<u32> {
    family(pid).into_iter().filter(|pid| !ground.is_worker(*pid)).collect()
}
