//! What a change of state of a TCP socket costs, by the kernel's own statistics.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use aya::sys::{Stats, enable_stats};
use watcher::{
    kernel::{Exactness, Handles, Sizes},
    sys::{netns, sock_diag::SockDiag},
};
use watcher_abi::name::ON_STATE;
use watcher_core::{Mono, PortKey, Thresholds};
use watcher_tests::bpf_time::spent;

use crate::{Scale, floor::Floor};

/// Which ports are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watching {
    /// Another one, which nobody uses.
    Another,
    /// Many others, and the want of ports and memory in this namespace.
    Many,
    /// That to which everybody connects.
    This,
}

pub(crate) fn run(Scale { rounds, connections, .. }: Scale) {
    let _statistics = enable_stats(Stats::RunTime).expect("root, and Linux 5.8");
    println!("## Kernel time of a state change: nanoseconds, median of {rounds} × {connections} connections\n");
    println!("| watched | empty program | on_state | above empty | state changes a connection |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let mut above = Vec::new();
    for (what, watching) in [
        ("another port", Watching::Another),
        ("1,000 others", Watching::Many),
        ("this port: both ends of each connection", Watching::This),
    ] {
        let measured: Vec<_> = (0..rounds).map(|_| round(watching, connections)).collect();
        let median = |pick: fn(&Round) -> f64| {
            let mut values: Vec<_> = measured.iter().map(pick).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let (empty, ours) = (median(|round| round.empty), median(|round| round.ours));
        let difference = median(|round| round.ours - round.empty);
        println!("| {what} | {empty:.0} | {ours:.0} | {difference:.0} | {:.1} |", median(|round| round.changes));
        above.push(difference);
    }
    if let [another, _, this] = above.as_slice() {
        // Half of the changes are those of clients, whose ports are not watched.
        println!("\nA change of state of a watched port alone: {:.0} ns above empty.\n", 2.0 * this - another);
    }
}

struct Round {
    empty: f64,
    ours: f64,
    changes: f64,
}

/// Mean nanoseconds of the empty program and of ours, one after the other, each alone.
fn round(watching: Watching, connections: usize) -> Round {
    let server = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("loopback");
    let port = server.local_addr().expect("bound").port();
    let empty = {
        let floor = Floor::attach(c"inet_sock_set_state");
        connect(&server, port, connections);
        mean(floor.spent())
    };
    let handles = Handles::load(Sizes::for_processes(1), Exactness::AsOffered);
    let Handles { mut ports, programs, ring, .. } = handles.expect("root, and eBPF");
    let here = netns::own().expect("/proc");
    let watched = match watching {
        Watching::Another => 1..=1,
        Watching::Many => 0..=1_000,
        Watching::This => port..=port,
    };
    for port in watched {
        let key = PortKey { netns: here, port };
        ports.watch(key, Thresholds::default()).expect("room");
        let before = ports.deltas(key).expect("watched");
        let counted = SockDiag::here().and_then(|mut diag| diag.port(port)).expect("sock_diag").counts();
        ports.rebase(key, before, counted, Mono(0));
    }
    let (_, program) = programs.iter().find(|(name, _)| *name == ON_STATE).expect("the program");
    let program = program.fd().expect("it is loaded");
    let before = spent(program);
    connect(&server, port, connections);
    let after = spent(program);
    assert_eq!(ring.counters().lost_sockets, 0);
    let (nanoseconds, runs) = (after.0 - before.0, after.1 - before.1);
    Round { empty, ours: mean((nanoseconds, runs)), changes: runs as f64 / connections as f64 }
}

fn mean((nanoseconds, runs): (u64, u64)) -> f64 {
    nanoseconds as f64 / runs.max(1) as f64
}

/// Short connections, which the client ends. Each goes to another address: no pair of ports is used twice.
fn connect(server: &TcpListener, port: u16, connections: usize) {
    for number in 0..connections {
        let address = Ipv4Addr::new(127, 0, (number / 250) as u8, (number % 250) as u8 + 1);
        let client = TcpStream::connect((address, port)).expect("loopback");
        let (accepted, _) = server.accept().expect("loopback");
        drop(client);
        drop(accepted);
    }
}
