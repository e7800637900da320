//! How often pcheck is woken by healthy connections to a watched port, and whether what was counted meanwhile is right.

use std::{
    net::{Ipv4Addr, TcpStream},
    thread,
    time::Duration,
};

use watcher_core::{Pid, PortCounts};
use watcher_tests::{
    cost::{cpu_ticks, wake_ups},
    counted::Counted,
    host::{Tier, signal},
    load::visits,
    server::free_port,
    wait::until,
};

use crate::{Scale, scene::Scene};

const A_SECOND: u32 = 10_000;

/// Connections that are left open at the end, and those that only the client has closed.
const OPEN: usize = 12;
const HALF_CLOSED: usize = 5;

pub(crate) fn run(Scale { seconds, .. }: Scale) {
    println!(
        "## pcheck: wake-ups by {A_SECOND} healthy connections a second to a watched port, or as many as there can be\n"
    );
    println!(
        "| tier | wake-ups in {seconds} s idle | CPU ticks idle | connections in {seconds} s | a second | wake-ups (goal on tier ebpf: 0) | CPU ticks | told |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let port = free_port();
    let mut scene = Scene::set(&format!("port={port}"), port);
    let mut comparison = None;
    for tier in [Tier::Ebpf, Tier::Poll] {
        let mut pcheck = scene.pcheck(tier);
        // What is to be done after a start has been, by then.
        thread::sleep(Duration::from_secs(1));
        let span = Duration::from_secs(seconds);
        let ((), idle) = costs(pcheck.pid(), || thread::sleep(span));
        let (load, busy) = costs(pcheck.pid(), || visits(port, A_SECOND, span, b"HTTP/1.0 200 OK"));
        if tier == Tier::Ebpf {
            comparison = Some(compare(&mut scene, &Counted::by(pcheck.pid())));
        }
        let told = pcheck.during(Duration::ZERO).len();
        println!(
            "| {} | {} | {} | {} | {:.0} | {} | {} | {told} |",
            tier.name(),
            idle.0,
            idle.1,
            load.connections,
            load.rate(),
            busy.0,
            busy.1
        );
        pcheck.stop();
    }
    let Some((counted, found, missed)) = comparison else { return };
    println!("\n## After that, {OPEN} connections that are open and {HALF_CLOSED} that only their client has closed\n");
    println!("| | listeners | ESTABLISHED | CLOSE_WAIT |\n| --- | ---: | ---: | ---: |");
    for (who, counts) in [("the counters of the kernel programs", counted), ("sock_diag", Some(found))] {
        match counts {
            Some(PortCounts { listeners, established, close_wait }) => {
                println!("| {who} | {listeners} | {established} | {close_wait} |");
            }
            None => println!("| {who} | ? | ? | ? |"),
        }
    }
    let verdict = if counted == Some(found) { "They agree" } else { "They do not agree" };
    println!("\n{verdict}; changes of state that the programs missed: {missed}.\n");
}

/// Wake-ups and ticks of a process while something happens.
fn costs<T>(pid: Pid, happens: impl FnOnce() -> T) -> (T, (u64, u64)) {
    let costs = || (wake_ups(pid.number()), cpu_ticks(pid.number()));
    let before = costs();
    let happened = happens();
    let after = costs();
    (happened, (after.0 - before.0, after.1 - before.1))
}

/// What was counted, and what sock_diag says.
fn compare(scene: &mut Scene, counted: &Counted) -> (Option<PortCounts>, PortCounts, u64) {
    let key = scene.key;
    // Connections wait to be accepted by a service that is stopped.
    signal(scene.service.pid, libc::SIGSTOP);
    let mut clients: Vec<_> = (0..OPEN + HALF_CLOSED)
        .map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, key.port)).expect("there is room in its queue"))
        .collect();
    clients.truncate(OPEN);
    let mut found = PortCounts::default();
    until("all connections are as they will be", || {
        found = scene.diag.port(key.port).expect("sock_diag").counts();
        found.close_wait == HALF_CLOSED as u64
    });
    let counts = counted.port(key);
    signal(scene.service.pid, libc::SIGCONT);
    (counts, found, counted.missed().unwrap_or_default())
}
