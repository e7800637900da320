//! nginx under wrk, with and without a pcheck that watches its port, in turns.

use std::{fs, path::Path, process::Command, thread};

use aya::sys::{Stats, enable_stats};
use tempfile::TempDir;
use watcher_tests::{counted::Counted, host::Tier, server::free_port};

use crate::{
    Scale,
    kept::Kept,
    scene::Scene,
    wrk::{CONNECTIONS, Connections, Run},
};

pub(crate) fn run(scale: Scale, peers: &Path) {
    let Scale { pairs, wrk_seconds, .. } = scale;
    let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
    let _nginx = start(&folder, port);
    let scene = Scene::set("", port);
    println!(
        "## nginx, one worker, under wrk, one thread with {CONNECTIONS} connections: {pairs} pairs of runs of {wrk_seconds} s\n"
    );
    println!(
        "| | requests a second without watcher | with | difference | between two alike | p99 without, ms | with | difference | between two alike |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for connections in [Connections::Each, Connections::Kept] {
        let one = || Run::of(peers, port, connections, wrk_seconds);
        let watched = || {
            let pcheck = scene.pcheck(Tier::Ebpf);
            let run = one();
            pcheck.stop();
            run
        };
        // It gets warm.
        one();
        let mut runs = Vec::new();
        for number in 0..pairs {
            // A B, B A, A B …: what changes slowly on this host falls on both.
            runs.push(if number % 2 == 0 {
                let without = one();
                [without, watched()]
            } else {
                let with = watched();
                [one(), with]
            });
        }
        row(connections, &runs);
    }
    println!(
        "\nDifference: what watcher adds, median of the pairs, and in brackets its quartiles. Between two alike: the same"
    );
    println!(
        "of neighbouring runs that are both with it, or both without: noise. Goal: nothing that can be measured, at most 1 %.\n"
    );
    share(&scene, peers, port, wrk_seconds);
}

fn row(connections: Connections, runs: &[[Run; 2]]) {
    let cells = [|run: &Run| run.rate, |run: &Run| run.p99].map(|pick: fn(&Run) -> f64| {
        let of = |which: usize| quartiles(runs.iter().map(|pair| pick(&pair[which])).collect())[1];
        let percent = |from: f64, to: f64| (to / from - 1.0) * 100.0;
        let differences = runs.iter().map(|[without, with]| percent(pick(without), pick(with))).collect();
        // Of B A, A B the runs in the middle are alike, and of A B, B A, too.
        let alike = runs.windows(2).enumerate().map(|(number, pairs)| {
            let which = usize::from(number % 2 == 0);
            percent(pick(&pairs[0][which]), pick(&pairs[1][which]))
        });
        let shown = |values: Vec<f64>| {
            let [low, median, high] = quartiles(values);
            format!("{median:+.1} % ({low:+.1} to {high:+.1})")
        };
        (of(0), of(1), shown(differences), shown(alike.collect()))
    });
    let [(rate, rate_with, rate_difference, rate_alike), (p99, p99_with, p99_difference, p99_alike)] = cells;
    println!(
        "| {} | {rate:.0} | {rate_with:.0} | {rate_difference} | {rate_alike} | {p99:.2} | {p99_with:.2} | {p99_difference} | {p99_alike} |",
        connections.name()
    );
}

/// The lower quartile, the median, and the upper quartile.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values.get(((values.len() as f64 - 1.0) * share).round() as usize).copied();
    [0.25, 0.5, 0.75].map(|share| at(share).unwrap_or(f64::NAN))
}

/// The part of the program on changes of state, by the kernel's statistics: far below what can be seen from outside.
fn share(scene: &Scene, peers: &Path, port: u16, seconds: u64) {
    let pcheck = scene.pcheck(Tier::Ebpf);
    let counted = Counted::by(pcheck.pid());
    let _statistics = enable_stats(Stats::RunTime).expect("root, and Linux 5.8");
    let processors = thread::available_parallelism().map_or(1, usize::from) as f64;
    for connections in [Connections::Each, Connections::Kept] {
        let before = counted.spent();
        let Run { rate, .. } = Run::of(peers, port, connections, seconds);
        let after = counted.spent();
        let requests = rate * seconds as f64;
        let (nanoseconds, runs) = ((after.0 - before.0) as f64 / requests, (after.1 - before.1) as f64 / requests);
        println!(
            "By the kernel's statistics, {}: the program runs {runs:.1} times a request, for {nanoseconds:.0} ns together: {:.2} % of\n\
             the time of {processors} processors.",
            connections.name(),
            nanoseconds * rate / processors / 1e7
        );
    }
    println!();
    pcheck.stop();
}

fn start(folder: &TempDir, port: u16) -> Kept {
    let at = |name: &str| folder.path().join(name).display().to_string();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {};", at(name))).concat();
    let text = format!(
        "daemon off; worker_processes 1; pid {}; events {{ worker_connections 1024; }}\n\
         http {{ access_log off; {temporary} keepalive_requests 1000000000;\n\
         server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"It works\\n\"; }} }} }}\n",
        at("nginx.pid")
    );
    fs::write(folder.path().join("nginx.conf"), text).expect("room");
    let mut command = Command::new("/usr/sbin/nginx");
    command.args(["-c", &at("nginx.conf"), "-e", &at("error.log")]);
    Kept::start(&command, &folder.path().join("nginx.said"))
}
