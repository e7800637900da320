//! Many pfiles: one daemon over all of them, beside a pcheck for each.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use aya::sys::{Stats, enable_stats};
use watcher_tests::{
    bpf_time::Programs,
    family::{Cost, Memory, busy},
};

use super::{
    scene::{Scene, middle_and_longest},
    spoken,
};
use crate::{
    kept::Kept,
    news::News,
    noise::Noise,
    tools::watcher::{OPTIONS, RUN_DIR, pfile, watcher},
};

/// Deaths, one at a time.
const DEATHS: usize = 50;

pub(super) fn run(pfiles: usize, entries: usize, quick: bool) {
    let scene = Scene::of(pfiles * entries);
    let rules = scene.ground.at("rules.d");
    fs::create_dir(&rules).expect("a folder");
    for number in 1..=pfiles {
        let workers = (number - 1) * entries + 1..=number * entries;
        let text = pfile(&scene.ground, workers, number);
        fs::write(rules.join(format!("{number:03}.pfile")), text).expect("room");
    }
    println!(
        "## {} entries in {pfiles} pfiles\n\n\
         | | processes | ready after, s | RSS, MiB | PSS, MiB | wake-ups idle in {2} s | CPU idle in {2} s, ms | kernel, ns a stranger | all CPU of the host, µs a stranger | kill to script: median, ms | longest, ms |\n\
         | --- |{1}",
        spoken(pfiles * entries),
        " ---: |".repeat(10),
        seconds(quick)
    );
    row("one `watcher run -d`", &scene, quick, || {
        let mut command = watcher(&scene.ground);
        command.arg("run").arg("-d").arg(&rules).args(["--tier", "ebpf"]);
        let (daemon, ready) = scene.start(&mut command);
        (vec![daemon], ready)
    });
    row(&format!("{pfiles} × `pcheck`"), &scene, quick, || {
        let begun = Instant::now();
        let start = |number| {
            let mut command = watcher(&scene.ground);
            command.arg("pcheck").arg("-f").arg(rules.join(format!("{number:03}.pfile"))).args(["--tier", "ebpf"]);
            command.args(OPTIONS).arg(scene.ground.at(RUN_DIR));
            Kept::start(&mut command, &scene.send).expect("it starts")
        };
        let all: Vec<_> = (1..=pfiles).map(start).collect();
        scene.await_up(scene.ground.size);
        (all, begun.elapsed())
    });
    println!("\nPeers have one configuration, and are in the tables above.\n");
}

const fn seconds(quick: bool) -> u64 {
    if quick { 2 } else { 15 }
}

fn row(name: &str, scene: &Scene, quick: bool, start: impl FnOnce() -> (Vec<Kept>, Duration)) {
    let (daemons, ready) = start();
    let pids: Vec<_> = daemons.iter().map(Kept::pid).collect();
    let programs = Programs::held_by(&pids);
    thread::sleep(Duration::from_secs(2));
    let Memory { rss, pss, peak: _ } = Memory::of_all(&pids);
    let before = Cost::of_all(&pids);
    thread::sleep(Duration::from_secs(seconds(quick)));
    let idle = Cost::of_all(&pids).since(&before);
    let (kernel, host) = strangers(scene, &programs, quick);
    scene.news.try_iter().for_each(drop);
    let (median, longest) = middle_and_longest((0..DEATHS).filter_map(|number| death(scene, number)).collect());
    println!(
        "| {name} | {} | {:.2} | {rss:.1} | {pss:.1} | {} | {:.2} | {kernel:.0} | {host:.0} | {median:.2} | {longest:.2} |",
        pids.len(),
        ready.as_secs_f64(),
        idle.wake_ups,
        idle.cpu as f64 / 1e6,
    );
}

/// What a stranger costs: of the programs in the kernel, nanoseconds; of all processors, his own work included, microseconds.
fn strangers(scene: &Scene, programs: &Programs, quick: bool) -> (f64, f64) {
    let noise = Noise::make(&scene.ground, 1_000, &scene.send).expect("strangers");
    thread::sleep(Duration::from_secs(1));
    let ((first, _), busy_before) = (noise.so_far(), busy());
    thread::sleep(Duration::from_secs(seconds(quick)));
    let host = (busy() - busy_before) as f64 / 1e3 / (noise.so_far().0 - first).max(1) as f64;
    let _statistics = enable_stats(Stats::RunTime).expect("root, and Linux 5.8");
    let (first, spent) = (noise.so_far().0, programs.spent());
    thread::sleep(Duration::from_secs(seconds(quick)));
    let (last, spent) = (noise.so_far().0, programs.spent() - spent);
    (spent as f64 / (last - first).max(1) as f64, host)
}

/// From a kill to its script.
fn death(scene: &Scene, number: usize) -> Option<Duration> {
    // Far apart, so that each concerns another pfile.
    let worker = number * scene.ground.size / DEATHS + 1;
    let killed = watcher::sys::clock::now();
    scene.ground.kill(worker);
    let end = Instant::now() + Duration::from_secs(10);
    while let Ok(news) = scene.news.recv_timeout(end.saturating_duration_since(Instant::now())) {
        match news {
            News::Began(at, began) if began == worker => {
                thread::sleep(Duration::from_millis(20));
                return Some(Duration::from_nanos(at.since(killed).0));
            }
            News::Began(..) | News::Said(..) => {}
        }
    }
    None
}
