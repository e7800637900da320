//! Services that are not to blame: time in which nobody asked, or could ask, is not held against them.

use std::{thread, time::Duration};

use watcher_tests::{
    block::Block,
    host::{Host, Tier, signal},
    pcheck::Pcheck,
    server::{Manner, Server, free_port},
    wait::until,
};

use super::{entry, listens, until_told};

/// Longer than interval and retry-over time. What is to be seen is that nothing comes of it, and nobody tells of that.
const LONG: Duration = Duration::from_secs(Block::SHORTEST as u64 + 2);

/// One entry, which asks this server, and waits for so many seconds.
fn watched(host: &Host, tier: Tier, server: &Server, timeout: u32) -> Pcheck {
    let rule = format!("#@ timeout={timeout}\n{}", Block::web(server.port));
    host.rules(&(entry(host, "svc", "again", "exit") + &rule));
    let service = host.start("");
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    assert_eq!(pcheck.up(&host.svc()), service.pid);
    pcheck
}

pub(super) fn pcheck_is_stopped(tier: Tier) {
    let host = Host::new();
    let server = Server::start(Manner::HangsUp);
    let pcheck = watched(&host, tier, &server, 5);
    until("a check has failed", || host.stall_check(1)["failures"] == 1);
    // The next one is under way when pcheck stops. It is answered in time, when nobody listens.
    server.now(Manner::Slow(500));
    server.is_asked(1);
    pcheck.signal(libc::SIGSTOP);
    thread::sleep(LONG);
    let before = server.count();
    pcheck.signal(libc::SIGCONT);
    host.stall_chk(1, "AVAIL");
    until("it is asked again", || server.count() > before);
    assert_eq!(host.stall_check(1)["failures"], 0);
    assert_eq!(pcheck.stop(), [] as [String; 0]);
}

pub(super) fn both_are_stopped(tier: Tier) {
    let host = Host::new();
    let (svc, port) = (host.svc(), free_port());
    let words = format!("port={port} slow=500 tells");
    host.rules(&(entry(&host, "svc", &words, "exit") + "#@ timeout=5\n" + &Block::web(port).to_string()));
    let service = host.start(&words);
    listens(port);
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    assert_eq!(pcheck.up(&svc), service.pid);
    host.stall_chk(1, "AVAIL");
    // As when the host is suspended in the middle of a check.
    let asked = || host.read("asked").lines().count();
    until("it is asked again", || asked() == 2);
    signal(service.pid, libc::SIGSTOP);
    pcheck.signal(libc::SIGSTOP);
    thread::sleep(LONG);
    pcheck.signal(libc::SIGCONT);
    signal(service.pid, libc::SIGCONT);
    until("it is asked once more", || asked() > 2);
    assert_eq!((host.pid_of(1), host.stall_check(1)["failures"].as_u64()), (service.pid, Some(0)));
    assert_eq!(pcheck.stop(), [] as [String; 0]);
}

pub(super) fn a_pause(tier: Tier) {
    let host = Host::new();
    let svc = host.svc();
    let other = host.install("other");
    let (server, clock) = (Server::start(Manner::Answers), Server::start(Manner::Answers));
    let entries = [("svc", &server), ("other", &clock)]
        .map(|(name, server)| entry(&host, name, "", "exit") + &Block::web(server.port).to_string());
    host.rules(&entries.concat());
    let (first, second) = (host.start(""), host.start_as("other", ""));
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    assert_eq!([pcheck.up(&svc), pcheck.up(&other)], [first.pid, second.pid]);
    host.stall_chk(1, "AVAIL");
    server.now(Manner::HangsUp);
    assert_eq!(host.padmin("stop 1").code, Some(0));
    host.stall_chk(1, "UNKNOWN");
    let before = server.count();
    // Between two checks of the other entry, this one would have been asked, too.
    clock.is_asked(2);
    assert_eq!(server.count(), before, "it is asked in its pause");
    assert_eq!(host.stall_check(1)["status"], "UNKNOWN");
    server.now(Manner::Answers);
    assert_eq!(host.padmin("start 1").code, Some(0));
    until("it is asked", || server.count() > before);
    host.stall_chk(1, "AVAIL");
    assert_eq!(pcheck.stop(), [] as [String; 0]);
}

pub(super) fn kill_9_of_pcheck(tier: Tier) {
    let host = Host::new();
    let (svc, server) = (host.svc(), Server::start(Manner::Silent));
    let pcheck = watched(&host, tier, &server, 2);
    until("a check has failed", || host.stall_check(1)["failures"] == 1);
    let pid = host.pid_of(1);
    pcheck.kill();
    // As long as a failure takes to become a stall.
    thread::sleep(LONG);
    let before = server.count();
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    assert_eq!(pcheck.up(&svc), pid);
    let lines = until_told(&mut pcheck, "Find Web Server Stall");
    assert_eq!(lines, [format!("Find Web Server Stall: pid = {pid} : port = {}", server.port)]);
    let arrivals = server.arrivals().split_off(before);
    assert_eq!(arrivals.len(), 2, "of its own");
    let after = pcheck.last.duration_since(arrivals[0]).as_secs();
    assert!(after >= Block::SHORTEST.into(), "found {after} s after its first check");
}
