//! Watched ports: what becomes of their sockets is counted, and told when it crosses a threshold; nobody else's is.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    thread,
};

use rustix::net::listen;
use watcher::{
    kernel::{Exactness, Record, Sizes},
    sys::sock_diag::SockDiag,
};
use watcher_abi::{SocketRecord, alarm, name};
use watcher_core::{Band, Mono, NetNs, PortCounts, PortKey, SocketAlarm, Thresholds};
use watcher_tests::{victim::Victim, wait};

use crate::{
    net::{LOOPBACK, Namespace, agree, connect_to, listener, rebase, sharing, watch},
    probe::Probe,
};

const NEVER: Thresholds = Thresholds { queue_percent: None, close_wait: None, established: None };

/// What a record tells: which alarm, whether it is raised, what was found, by what it was measured.
fn told(record: &SocketRecord, key: PortKey) -> (u32, bool, u64, u64) {
    assert_eq!((NetNs(record.key.netns), record.key.port), (key.netns, key.port.into()), "put down to another port");
    assert!(record.stamp_ns <= watcher::sys::clock::now().0);
    (record.alarm, record.raised == 1, record.value, record.limit)
}

fn next(probe: &mut Probe, key: PortKey) -> (u32, bool, u64, u64) {
    let record = probe.socket();
    told(&record, key)
}

#[test]
fn an_accept_queue_is_told_before_the_first_connection_is_turned_away() {
    let (mut probe, mut diag) = (Probe::load(), SockDiag::here().unwrap());
    let (server, port) = listener(LOOPBACK);
    // One more than this gets in.
    listen(&server, 9).unwrap();
    let key = watch(&mut probe.ports, &mut diag, port, Thresholds::default());
    let mut clients: Vec<_> = (1..=7).map(|queued| connect_to(&mut diag, port, queued)).collect();
    assert_eq!(probe.record_by_now(), None, "7 of 10 is less than 80 %");
    clients.push(connect_to(&mut diag, port, 8));
    assert_eq!(next(&mut probe, key), (alarm::ACCEPT_QUEUE, true, 8, 10));
    clients.extend([9, 10].map(|queued| connect_to(&mut diag, port, queued)));
    assert_eq!(next(&mut probe, key), (alarm::ACCEPT_FULL, true, 10, 10));
    let facts = diag.listeners(Some(port)).unwrap();
    assert_eq!((facts[0].queue, facts[0].limit, facts[0].drops), (10, Some(10), Some(0)), "told before the first drop");
    assert_eq!(probe.ports.alarms(key), [SocketAlarm::AcceptFull, SocketAlarm::AcceptQueue]);
    let late = thread::spawn(move || TcpStream::connect((LOOPBACK.ip(), port)));
    wait::until("one is turned away", || diag.listeners(Some(port)).unwrap()[0].drops > Some(0));
    assert_eq!(probe.record_by_now(), None, "told once");

    // It recovers: half of it must be free, and the last trouble be a second ago.
    let _accepted: Vec<_> = (0..11).map(|_| server.accept().unwrap()).collect();
    late.join().unwrap().unwrap();
    let cleared = loop {
        let _client = TcpStream::connect((LOOPBACK.ip(), port)).unwrap();
        let _accepted = server.accept().unwrap();
        if let Some(Record::Socket(record)) = probe.record_by_now() {
            break record;
        }
        thread::yield_now();
    };
    assert_eq!(told(&cleared, key), (alarm::ACCEPT_FULL, false, 1, 10));
    assert_eq!(next(&mut probe, key), (alarm::ACCEPT_QUEUE, false, 1, 10));
    assert_eq!(probe.ports.alarms(key), []);
    let queue = probe.ports.queue(key).unwrap();
    assert_eq!((queue.limit, queue.highest), (10, 10));
}

#[test]
fn a_queue_that_somebody_has_seen_drained_may_be_told_anew() {
    let (mut probe, mut diag) = (Probe::load(), SockDiag::here().unwrap());
    let (server, port) = listener(LOOPBACK);
    listen(&server, 1).unwrap();
    let key = watch(&mut probe.ports, &mut diag, port, Thresholds::default());
    for _ in 0..2 {
        let _clients = [1, 2].map(|queued| connect_to(&mut diag, port, queued));
        assert_eq!(next(&mut probe, key), (alarm::ACCEPT_QUEUE, true, 2, 2));
        assert_eq!(next(&mut probe, key), (alarm::ACCEPT_FULL, true, 2, 2));
        let _accepted = [(); 2].map(|()| server.accept().unwrap());
        probe.ports.settle(key, SocketAlarm::AcceptQueue);
        probe.ports.settle(key, SocketAlarm::AcceptFull);
    }
    assert_eq!(probe.record_by_now(), None);
}

#[test]
fn connections_that_a_service_forgets_to_close_are_told_at_the_threshold_and_at_half() {
    let (mut probe, mut diag) = (Probe::load(), SockDiag::here().unwrap());
    let (server, port) = listener(LOOPBACK);
    let thresholds = Thresholds { close_wait: Some(Band { raise: 20, clear: 10 }), ..NEVER };
    let key = watch(&mut probe.ports, &mut diag, port, thresholds);
    let mut leaked = Vec::new();
    let mut leak = |diag: &mut SockDiag, count: u64| {
        for _ in 0..count {
            drop(TcpStream::connect((LOOPBACK.ip(), port)).unwrap());
            leaked.push(server.accept().unwrap());
        }
        let expected = leaked.len() as u64;
        wait::until("the peers have closed", || diag.states(port).unwrap().close_wait == expected);
    };
    leak(&mut diag, 19);
    assert_eq!(probe.record_by_now(), None);
    leak(&mut diag, 11);
    assert_eq!(next(&mut probe, key), (alarm::CLOSE_WAIT, true, 20, 20));
    assert_eq!(agree(&probe.ports, &mut diag, key), PortCounts { listeners: 1, established: 0, close_wait: 30 });
    leaked.truncate(11);
    agree(&probe.ports, &mut diag, key);
    assert_eq!(probe.record_by_now(), None, "between the thresholds nothing is told");
    leaked.clear();
    assert_eq!(next(&mut probe, key), (alarm::CLOSE_WAIT, false, 10, 20));
    assert_eq!(agree(&probe.ports, &mut diag, key), PortCounts { listeners: 1, established: 0, close_wait: 0 });
    assert_eq!(probe.record_by_now(), None);
}

#[test]
fn what_was_there_before_counts_as_well() {
    let (mut probe, mut diag) = (Probe::load(), SockDiag::here().unwrap());
    let (server, port) = listener(LOOPBACK);
    let mut leaked: Vec<_> = (0..8)
        .map(|_| {
            drop(TcpStream::connect((LOOPBACK.ip(), port)).unwrap());
            server.accept().unwrap()
        })
        .collect();
    wait::until("the peers have closed", || diag.states(port).unwrap().close_wait == 8);
    let key = PortKey { netns: diag.netns(), port };
    probe.ports.watch(key, Thresholds { close_wait: Some(Band { raise: 6, clear: 3 }), ..NEVER }).unwrap();
    assert_eq!(probe.ports.counts(key), None, "nobody has said how many there were");
    leaked.pop();
    wait::until("one is closed", || diag.states(port).unwrap().close_wait == 7);
    assert_eq!(probe.record_by_now(), None, "numbers are not judged before that");
    let before = probe.ports.deltas(key).unwrap();
    let (news, is_exact) = probe.ports.rebase(key, before, diag.port(port).unwrap().counts(), Mono(5));
    assert!(is_exact);
    assert_eq!(news.len(), 1);
    assert_eq!((news[0].alarm, news[0].raised, news[0].value), (SocketAlarm::CloseWait, true, 7));
    leaked.clear();
    assert_eq!(next(&mut probe, key), (alarm::CLOSE_WAIT, false, 3, 6));
    assert_eq!(agree(&probe.ports, &mut diag, key), PortCounts { listeners: 1, established: 0, close_wait: 0 });
}

#[test]
fn a_listener_that_goes_is_told_and_so_is_the_next_one() {
    let (mut probe, mut diag) = (Probe::load(), SockDiag::here().unwrap());
    let (server, port) = sharing(0);
    let key = watch(&mut probe.ports, &mut diag, port, Thresholds::default());
    drop(server);
    assert_eq!(next(&mut probe, key), (alarm::LISTENER_GONE, true, 0, 1));
    let again = sharing(port);
    assert_eq!(next(&mut probe, key), (alarm::LISTENER_GONE, false, 1, 1));
    rebase(&mut probe.ports, &mut diag, key);
    drop(again);
    assert_eq!(next(&mut probe, key), (alarm::LISTENER_GONE, true, 0, 1));
}

#[test]
fn of_several_that_share_a_port_only_the_last_is_missed() {
    let (mut probe, mut diag) = (Probe::load(), SockDiag::here().unwrap());
    let (first, port) = sharing(0);
    let (second, _) = sharing(port);
    let key = watch(&mut probe.ports, &mut diag, port, Thresholds::default());
    // As in a graceful restart: the next one is there before the last one goes.
    drop(first);
    let (third, _) = sharing(port);
    drop(second);
    assert_eq!(agree(&probe.ports, &mut diag, key).listeners, 1);
    assert_eq!(probe.record_by_now(), None);
    drop(third);
    assert_eq!(next(&mut probe, key), (alarm::LISTENER_GONE, true, 0, 1));
}

#[test]
fn the_same_port_in_two_namespaces_is_two_ports() {
    let mut probe = Probe::load();
    let (namespace, mut here) = (Namespace::make(), SockDiag::here().unwrap());
    let mut there = namespace.diag();
    assert_ne!(here.netns(), there.netns());
    let (server, port) = listener(LOOPBACK);
    let inner = namespace.inside(|| TcpListener::bind((LOOPBACK.ip(), port)).unwrap());
    let thresholds = Thresholds { established: Some(Band { raise: 3, clear: 1 }), ..Thresholds::default() };
    let outer_key = watch(&mut probe.ports, &mut here, port, thresholds);
    let inner_key = watch(&mut probe.ports, &mut there, port, thresholds);
    let clients = namespace.inside(|| [(); 3].map(|()| TcpStream::connect((LOOPBACK.ip(), port)).unwrap()));
    assert_eq!(next(&mut probe, inner_key), (alarm::ESTABLISHED, true, 3, 3));
    assert_eq!(agree(&probe.ports, &mut there, inner_key).established, 3);
    assert_eq!(agree(&probe.ports, &mut here, outer_key).established, 0);
    drop(inner);
    // Connections that nobody has accepted go with the listener, before or after it.
    let mut news = [next(&mut probe, inner_key), next(&mut probe, inner_key)];
    news.sort_unstable();
    assert_eq!(news, [(alarm::ESTABLISHED, false, 1, 3), (alarm::LISTENER_GONE, true, 0, 1)]);
    assert_eq!(probe.record_by_now(), None, "nothing has happened to the other one");
    drop((server, clients));
    assert_eq!(next(&mut probe, outer_key), (alarm::LISTENER_GONE, true, 0, 1));
}

#[test]
fn both_families_count_on_a_dual_stack_port() {
    let (mut probe, mut diag) = (Probe::load(), SockDiag::here().unwrap());
    let (server, port) = listener(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0));
    let key = watch(&mut probe.ports, &mut diag, port, Thresholds::default());
    let clients = (
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap(),
        TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap(),
    );
    let accepted = [server.accept().unwrap(), server.accept().unwrap()];
    assert_eq!(agree(&probe.ports, &mut diag, key), PortCounts { listeners: 1, established: 2, close_wait: 0 });
    drop(clients);
    wait::until("both are half closed", || diag.states(port).unwrap().close_wait == 2);
    assert_eq!(agree(&probe.ports, &mut diag, key), PortCounts { listeners: 1, established: 0, close_wait: 2 });
    drop((accepted, server));
    assert_eq!(next(&mut probe, key), (alarm::LISTENER_GONE, true, 0, 1));
}

/// Serves short connections, each of which says a byte and hears one.
fn serve(server: &TcpListener, connections: usize) {
    for _ in 0..connections {
        let (mut stream, _) = server.accept().unwrap();
        let mut byte = [0];
        if stream.read_exact(&mut byte).is_ok() {
            stream.write_all(&byte).unwrap();
        }
    }
}

fn visit(port: u16, connections: usize) {
    for _ in 0..connections {
        let mut stream = TcpStream::connect((LOOPBACK.ip(), port)).unwrap();
        let mut byte = [7];
        stream.write_all(&byte).unwrap();
        stream.read_exact(&mut byte).unwrap();
        // Nobody is left in TIME_WAIT on our side: the ports of the host are not ours.
        rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).unwrap();
    }
}

#[test]
fn healthy_connections_are_counted_and_wake_nobody() {
    let (mut probe, mut diag) = (Probe::load(), SockDiag::here().unwrap());
    let (server, port) = listener(LOOPBACK);
    let key = watch(&mut probe.ports, &mut diag, port, Thresholds::default());
    let before = probe.counters();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| serve(&server, 10_000));
            scope.spawn(|| visit(port, 10_000));
        }
    });
    assert_eq!(agree(&probe.ports, &mut diag, key), PortCounts { listeners: 1, established: 0, close_wait: 0 });
    assert!(!probe.is_readable(), "user space was woken");
    assert_eq!(probe.record_by_now(), None, "a false alarm");
    assert_eq!(probe.counters(), before);
    let deltas = probe.ports.deltas(key).unwrap();
    assert_eq!(format!("{deltas:?}"), "PortDeltas { listeners: 0, established: 0, close_wait: 0 }", "nothing leaks");
}

#[test]
fn a_port_that_is_not_watched_is_not_told_of() {
    let (mut probe, mut diag) = (Probe::load(), SockDiag::here().unwrap());
    let ((watched, port), (_stranger, other)) = (listener(LOOPBACK), listener(LOOPBACK));
    let thresholds = Thresholds { established: Some(Band { raise: 1, clear: 0 }), ..Thresholds::default() };
    let key = watch(&mut probe.ports, &mut diag, port, thresholds);
    let before = probe.counters();
    let _client = TcpStream::connect((LOOPBACK.ip(), other)).unwrap();
    wait::until("it is there", || diag.states(other).unwrap().established == 1);
    assert_eq!((probe.record_by_now(), probe.counters()), (None, before));
    probe.ports.unwatch(key);
    drop(watched);
    assert_eq!(diag.listeners(Some(port)).unwrap(), []);
    assert_eq!(probe.record_by_now(), None, "no longer watched");
}

#[test]
fn the_program_is_attached_only_while_a_port_is_watched() {
    let mut probe = Probe::load();
    let key = |port| PortKey { netns: NetNs(1), port };
    assert_eq!(probe.links(name::ON_STATE), 0);
    for port in [1, 2, 1] {
        probe.ports.watch(key(port), NEVER).unwrap();
        assert_eq!(probe.links(name::ON_STATE), 1);
    }
    assert_eq!(probe.links(name::ON_MEMORY), 0);
    probe.ports.watch(key(0), NEVER).unwrap();
    assert_eq!(probe.links(name::ON_MEMORY), 1);
    probe.ports.unwatch(key(0));
    assert_eq!(probe.links(name::ON_MEMORY), 0);
    probe.ports.unwatch(key(1));
    assert_eq!((probe.links(name::ON_STATE), probe.ports.watched().len()), (1, 1));
    probe.ports.unwatch(key(2));
    assert_eq!(probe.links(name::ON_STATE), 0);
}

#[test]
fn there_is_room_for_so_many_and_what_was_given_back_can_be_used_again() {
    let mut probe = Probe::load_as(Sizes { ports: 3, ..Sizes::for_processes(64) }, Exactness::AsOffered);
    let key = |port| PortKey { netns: NetNs(1), port };
    for port in 1..=3 {
        probe.ports.watch(key(port), NEVER).unwrap();
    }
    assert_eq!(
        probe.ports.watch(key(4), NEVER).unwrap_err().to_string(),
        "3 ports are watched, and there is room for no more"
    );
    probe.ports.unwatch(key(2));
    probe.ports.watch(key(4), NEVER).unwrap();
    assert_eq!(probe.ports.watched().collect::<Vec<_>>(), [key(1), key(3), key(4)]);
}

#[test]
fn records_that_do_not_fit_are_counted_apart_and_told_again() {
    let sizes = Sizes { ring_bytes: 4096, ..Sizes::for_processes(64) };
    let (mut probe, mut diag) = (Probe::load_as(sizes, Exactness::AsOffered), SockDiag::here().unwrap());
    let (server, port) = listener(LOOPBACK);
    let thresholds = Thresholds { established: Some(Band { raise: 1, clear: 0 }), ..NEVER };
    let key = watch(&mut probe.ports, &mut diag, port, thresholds);
    let before = probe.counters();
    let mut came = 0;
    wait::until("a record does not fit", || {
        drop(TcpStream::connect((LOOPBACK.ip(), port)).unwrap());
        drop(server.accept().unwrap());
        came += 1;
        probe.counters().lost_sockets > 0
    });
    assert!(came > 20, "a page holds more records than {came} connections make");
    let after = probe.counters();
    assert_eq!((after.claimed, after.lost, after.lost_execs), (before.claimed, before.lost, before.lost_execs));
    while probe.record_by_now().is_some() {}
    // Whatever was lost: what is so now is told as soon as something changes.
    let _client = TcpStream::connect((LOOPBACK.ip(), port)).unwrap();
    wait::until("it is told", || probe.ports.alarms(key) == [SocketAlarm::Established]);
    while probe.record_by_now().is_some() {}
    probe.ports.unwatch(key);
    let mut victim = Victim::start("vforks");
    probe.watch(victim.id());
    victim.kill();
    assert_eq!(probe.record().pid, victim.id().pid.number(), "deaths are told as before");
    assert_eq!((probe.counters().claimed, probe.counters().lost), (before.claimed + 1, before.lost));
}

#[test]
fn a_namespace_without_free_ports_is_told_once() {
    let mut probe = Probe::load();
    let namespace = Namespace::make();
    let key = PortKey::whole(namespace.netns());
    probe.ports.watch(key, NEVER).unwrap();
    let (fine, refused) = namespace.inside(|| {
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "50000 50003").unwrap();
        let (server, port) = listener(SocketAddr::new(LOOPBACK.ip(), 40_000));
        let connect = || TcpStream::connect((LOOPBACK.ip(), port));
        let fine: Vec<_> = std::iter::repeat_with(connect).map_while(Result::ok).collect();
        let refused: Vec<_> = (0..4).map(|_| connect().unwrap_err().raw_os_error()).collect();
        ((server, fine), refused)
    });
    assert_eq!(refused, [Some(libc::EADDRNOTAVAIL); 4]);
    assert!((1..=4).contains(&fine.1.len()));
    assert_eq!(next(&mut probe, key), (alarm::EPHEMERAL, true, 1, 0));
    assert_eq!(probe.ports.shortages(key), Some((5, 0)));
    assert_eq!(probe.record_by_now(), None, "once in ten seconds");
    let limits = watcher::sys::tcp_limits::of(namespace.pid()).unwrap();
    assert_eq!((limits.port_range, limits.ports()), (Some((50_000, 50_003)), Some(4)));
    assert_eq!(limits.in_use, 1 + 2 * fine.1.len() as u64);
}

#[test]
fn sock_diag_goes_on_to_answer_for_a_namespace_that_nobody_is_in() {
    let namespace = Namespace::make();
    let mut diag = namespace.diag();
    let (_server, port) = namespace.inside(|| listener(LOOPBACK));
    drop(namespace);
    assert_eq!(diag.listeners(Some(port)).unwrap().len(), 1);
    assert!(diag.as_fd().try_clone_to_owned().is_ok());
}
