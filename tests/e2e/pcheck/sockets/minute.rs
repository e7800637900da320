//! Ten thousand healthy connections a second, or as many as the machine gives: nobody is told anything, and afterwards the
//! counters of the kernel programs are right.

use std::time::Duration;

use watcher::sys::sock_diag::SockDiag;
use watcher_core::PortKey;
use watcher_tests::{
    block::Block,
    counted::Counted,
    host::{Host, Tier, signal},
    is_long,
    load::visits,
    pcheck::Pcheck,
    wait::until,
};

use super::{
    Scene, clients, stop,
    well::{NEARLY_FULL, SHORT_QUEUE},
};

const A_SECOND: u32 = 10_000;

/// These clients do not fill its queue.
#[test]
fn ten_thousand_healthy_connections_a_second() {
    let span = Duration::from_secs(if is_long() { 60 } else { 6 });
    let mut scene = Scene::set_every(Block::SHORTEST, Tier::Ebpf, SHORT_QUEUE, "close_wait=20 socket_stall=2");
    let (pid, port, svc) = (scene.pid(), scene.port, scene.host.svc());
    // Beside it one that knows nothing but what it asks.
    let host = Host::new();
    host.write("pfile", &scene.host.read("pfile").replace(&scene.host.path("dump"), &host.path("dump")));
    let mut asking = Pcheck::started(&mut host.pcheck(Tier::Poll));
    assert_eq!(asking.up(&svc), pid);
    host.stall_chk(1, "AVAIL");

    let counted = Counted::by(scene.pcheck.pid());
    let mut diag = SockDiag::of(pid).unwrap();
    let key = PortKey { netns: diag.netns(), port };
    let load = visits(port, A_SECOND, span, b"HTTP/1.0 200 OK");
    assert!(load.connections > 0);
    let mut found = diag.port(port).unwrap().counts();
    until("the counters agree with sock_diag", || {
        found = diag.port(port).unwrap().counts();
        counted.port(key) == Some(found)
    });
    assert_eq!((found.listeners, found.close_wait), (1, 0));
    println!(
        "{} connections, {:.0} a second; {found:?} by both; {:?} missed",
        load.connections,
        load.rate(),
        counted.missed()
    );

    // Both have looked since.
    let looked = Duration::from_secs(Block::SHORTEST as u64 + 2);
    assert_eq!(asking.during(looked), [] as [String; 0]);
    assert_eq!(asking.stop(), [] as [String; 0]);
    // It was watched all the time: this is the first that is told.
    stop(pid);
    let silent = clients(port, NEARLY_FULL);
    let (before, _) = scene.told("Socket Backlog Nearly Full");
    assert_eq!(before, [] as [String; 0]);
    signal(pid, libc::SIGCONT);
    drop(silent);
    scene.is_over("Socket Backlog Nearly Full");
    scene.leave_in_peace();
}
