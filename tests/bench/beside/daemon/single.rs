//! One pcheck with one pfile: memory, start, idle, reload, padmin.

use std::{
    thread,
    time::{Duration, Instant},
};

use watcher::sys::proc_table;
use watcher_tests::family::{Cost, Memory};

use super::{
    scene::{Scene, middle_and_longest},
    spoken, table,
};
use crate::noise::Noise;

const PADMINS: usize = 50;

pub(super) fn run(sizes: &[usize], idle: u64, quick: bool) {
    let mut memory = Vec::new();
    for size in sizes {
        let scene = Scene::of(*size);
        let (pcheck, _) = scene.pcheck();
        thread::sleep(Duration::from_secs(1));
        let Memory { rss, pss, peak } = Memory::of(pcheck.pid());
        let entries = if *size == 1 { "entry" } else { "entries" };
        table(
            &format!("memory, {} {entries}", spoken(*size)),
            &[("RSS, MiB", rss), ("PSS, MiB", pss), ("peak, MiB", peak)],
        );
        memory.push((*size, rss));
    }
    if let [(few, least), .., (many, most)] = *memory {
        let each = (most - least) * 1024.0 / (many - few) as f64;
        table("memory per entry", &[("RSS, KiB, its pfile's text and its log included", each)]);
    }
    let Some(most) = sizes.last() else { return };
    let scene = Scene::of(*most);
    starts(&scene, if quick { 1 } else { 5 });
    let (pcheck, _) = scene.pcheck();
    still(pcheck.pid(), idle);
    let reloads: Vec<_> = (0..if quick { 1 } else { 5 }).map(|_| scene.padmin("pfile", &["reload"])).collect();
    let (reload, longest) = middle_and_longest(reloads);
    table(
        &format!("reload, {} entries that have not changed", spoken(*most)),
        &[("padmin -c reload, median, ms", reload), ("longest, ms", longest)],
    );
    padmins(&scene);
}

fn starts(scene: &Scene, rounds: usize) {
    let (mut scans, mut readies) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begun = Instant::now();
        proc_table::processes().expect("/proc");
        scans.push(begun.elapsed());
        readies.push(scene.pcheck().1);
    }
    table(
        &format!("ready after start, {} entries and processes, median of {rounds}", spoken(scene.ground.size)),
        &[
            ("scan: one bare look at /proc, ms", middle_and_longest(scans).0),
            ("ready: all are said to be up, ms", middle_and_longest(readies).0),
        ],
    );
}

fn still(pid: u32, seconds: u64) {
    // What is to be given back has been, by then.
    thread::sleep(Duration::from_secs(2));
    let before = Cost::of_family(pid);
    thread::sleep(Duration::from_secs(seconds));
    let cost = Cost::of_family(pid).since(&before);
    table(
        "idle",
        &[
            (&format!("wake-ups in {seconds} s"), cost.wake_ups as f64),
            (&format!("CPU in {seconds} s, ms"), cost.cpu as f64 / 1e6),
        ],
    );
}

fn padmins(scene: &Scene) {
    let ask = || (0..PADMINS).map(|_| scene.padmin("pfile", &["show", "pent", "1"])).collect();
    let (quiet, quiet_longest) = middle_and_longest(ask());
    let noise = Noise::make(&scene.ground, 1_000, &scene.send).expect("strangers");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (loaded, longest) = thread::scope(|scope| {
        let ground = &scene.ground;
        // And fifty deaths a second, all of which are to be restarted.
        scope.spawn(move || {
            let mut workers = ground.workers().cycle();
            while stopped.recv_timeout(Duration::from_millis(20)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                ground.kill(workers.next().expect("a worker"));
            }
        });
        let asked = middle_and_longest(ask());
        drop(stop);
        asked
    });
    drop(noise);
    table(
        &format!("padmin -c show pent 1, {PADMINS} times, the start of padmin included"),
        &[
            ("quiet: median, ms", quiet),
            ("quiet: longest, ms", quiet_longest),
            ("with 50 deaths and restarts and 1,000 strangers a second: median, ms", loaded),
            ("the same: longest, ms", longest),
        ],
    );
}
