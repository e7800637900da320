//! What pcheck itself costs: until it watches, memory, and wake-ups.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use watcher::sys::proc_table;
use watcher_tests::cost::{cpu_ticks, rss_mib, wake_ups};

use crate::ground::{Ground, Watching};

pub(crate) fn run(quick: bool) {
    let seconds = if quick { 1 } else { 10 };
    println!("## pcheck, tier ebpf: start, memory and wake-ups\n");
    println!(
        "| entries and processes | start until all are up, ms | one bare look at /proc, ms | RSS, MiB | wake-ups in {seconds} s idle | CPU ticks idle |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    let counts: &[usize] = if quick { &[1, 100] } else { &[1, 1_000, 10_000] };
    for count in counts {
        row(*count, seconds);
    }
    println!();
}

fn row(count: usize, seconds: u64) {
    let ground = Ground::new();
    let mut herd = Command::new(ground.at("program"));
    let _herd = Watching::start(herd.arg("herd").arg(count.to_string()), "");
    let lives = || proc_table::processes().expect("/proc").iter().filter(|process| is_of(&ground, process)).count();
    // The herd's parent is one more.
    while lives() <= count {
        thread::sleep(Duration::from_millis(10));
    }
    let begun = Instant::now();
    proc_table::processes().expect("/proc");
    let look = begun.elapsed();
    let mut pcheck = Command::new(watcher_tests::program::built("watcher"));
    pcheck.arg("pcheck").arg("-f").arg(ground.pfile(count)).arg("--run-dir").arg(ground.at("run"));
    let begun = Instant::now();
    let mut pcheck = Watching::start(pcheck.args(["--log", "stderr", "--tier", "ebpf"]), ") Up");
    (0..count).for_each(|_| pcheck.await_restarted());
    let start = begun.elapsed();
    // What is to be given back has been, by then.
    thread::sleep(Duration::from_secs(1));
    let (woken, ticks) = (wake_ups(pcheck.pid), cpu_ticks(pcheck.pid));
    thread::sleep(Duration::from_secs(seconds));
    let woken = wake_ups(pcheck.pid) - woken;
    let ticks = cpu_ticks(pcheck.pid) - ticks;
    let rss = rss_mib(pcheck.pid);
    let [start, look] = [start, look].map(|time| time.as_secs_f64() * 1e3);
    println!("| {count} | {start:.0} | {look:.0} | {rss:.1} | {woken} | {ticks} |");
}

fn is_of(ground: &Ground, process: &watcher_core::pfile::select::Process) -> bool {
    process.name.as_slice() == ground.at("program").as_os_str().as_encoded_bytes()
}
