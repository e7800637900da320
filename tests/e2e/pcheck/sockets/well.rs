//! Services that are well, however much comes and goes.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream},
    thread,
    time::Duration,
};

use watcher_tests::{
    block::Block,
    host::{Tier, kill, signal},
    netns,
    server::free_port,
    wait::until,
};

use super::{Scene, clients, listens, stop};

/// A queue that clients which come and go cannot fill.
pub(super) const SHORT_QUEUE: &str = "backlog=64";

/// Enough to be told, with room for the checks that are made meanwhile: nobody is turned away.
pub(super) const NEARLY_FULL: usize = 54;

/// A client that asks, and is answered.
fn visit(address: IpAddr, port: u16) {
    let mut stream = TcpStream::connect((address, port)).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK"), "{answer}");
}

/// With checks, and the looks that come with them, every ten seconds on all tiers.
pub(super) fn many_healthy_connections(tier: Tier) {
    let extensions = "close_wait=20 socket_stall=2";
    let mut scene = Scene::set_every(Block::SHORTEST, tier, SHORT_QUEUE, extensions);
    let port = scene.port;
    thread::scope(|scope| {
        for _ in 0..4 {
            // A thread is where the one that starts it is.
            scope.spawn(move || (0..5_000).for_each(|_| visit(Ipv4Addr::LOCALHOST.into(), port)));
        }
    });
    // It was watched all the time: this is the first that is told.
    stop(scene.pid());
    let silent = clients(port, NEARLY_FULL);
    let (before, _) = scene.told("Socket Backlog Nearly Full");
    assert_eq!(before, [] as [String; 0]);
    signal(scene.pid(), libc::SIGCONT);
    drop(silent);
    scene.is_over("Socket Backlog Nearly Full");
    scene.leave_in_peace();
}

/// Its port is late, and gone only when it has been there.
pub(super) fn nobody_listens_yet(tier: Tier) {
    netns::enter_new();
    let port = free_port();
    let every = if tier == Tier::Ebpf { 600 } else { Block::SHORTEST };
    let mut scene = Scene::begin((every, port), tier, "late closes", "socket_stall=2", |_| {});
    let lines = scene.during(Duration::from_secs(Block::SHORTEST as u64 + 5));
    assert!(!lines.iter().any(|line| line.contains("Socket")), "{lines:#?}");
    signal(scene.pid(), libc::SIGUSR1);
    listens(scene.pid(), port);
    if tier != Tier::Ebpf {
        // Nothing but the look that comes with a check has seen it.
        scene.host.stall_chk(1, "AVAIL");
    }
    signal(scene.pid(), libc::SIGUSR1);
    let (before, _) = scene.told("Socket Listener Gone");
    assert!(!before.iter().any(|line| line.contains("Socket")), "{before:#?}");
    scene.told("Find Socket Service Stall");
}

/// Only the last of them is missed.
pub(super) fn workers_that_share_a_port(tier: Tier) {
    netns::enter_new();
    let port = free_port();
    let every = if tier == Tier::Ebpf { 600 } else { Block::SHORTEST };
    let mut scene = Scene::set_here((every, port), tier, "shared closes", "");
    let second = scene.host.start_as("svc", &format!("port={port} shared second"));
    listens(second.pid, port);
    let listeners = || watcher::sys::sock_diag::SockDiag::of(scene.pid()).unwrap().listeners(Some(port)).unwrap().len();
    until("both listen", || listeners() == 2);
    kill(second.pid);
    second.end();
    until("one listens", || listeners() == 1);
    visit(Ipv4Addr::LOCALHOST.into(), port);
    assert_eq!(scene.during(Duration::from_secs(Block::SHORTEST as u64 + 2)), [] as [String; 0]);
    signal(scene.pid(), libc::SIGUSR1);
    scene.told("Socket Listener Gone");
}

/// What comes by either counts, and nothing is wrong with it.
pub(super) fn both_families_on_one_port(tier: Tier) {
    let mut scene = Scene::set(tier, "dual keeps", "close_wait=20");
    let port = scene.port;
    let six = |count| clients_by_ipv6(port, count);
    // Nobody forgets these.
    let _open = (clients(port, 30), six(30));
    drop((clients(port, 6), six(6)));
    assert_eq!(scene.during(Duration::from_secs(Block::SHORTEST as u64 + 2)), [] as [String; 0]);
    drop((clients(port, 8), six(8)));
    scene.told("Socket CLOSE_WAIT Leak");
    signal(scene.pid(), libc::SIGUSR1);
    scene.is_over("Socket CLOSE_WAIT Leak");
    scene.leave_in_peace();
}

/// Nobody listens by IPv4, which its check tries first.
pub(super) fn ipv6_alone(tier: Tier) {
    let mut scene = Scene::set(tier, "six keeps", "close_wait=20");
    let port = scene.port;
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    let _open = clients_by_ipv6(port, 60);
    drop(clients_by_ipv6(port, 12));
    assert_eq!(scene.during(Duration::from_secs(Block::SHORTEST as u64 + 2)), [] as [String; 0]);
    drop(clients_by_ipv6(port, 16));
    scene.told("Socket CLOSE_WAIT Leak");
    signal(scene.pid(), libc::SIGUSR1);
    scene.is_over("Socket CLOSE_WAIT Leak");
    scene.leave_in_peace();
}

fn clients_by_ipv6(port: u16, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap()).collect()
}
