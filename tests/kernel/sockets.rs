//! Watched ports: what becomes of their sockets is counted, and told when it crosses a threshold; nobody else's is.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    thread,
};

use rustix::net::listen;
use watcher::{kernel::Record, sys::sock_diag::SockDiag};
use watcher_abi::{alarm, name};
use watcher_core::{Band, Mono, PortCounts, PortKey, SocketAlarm, Thresholds};
use watcher_tests::wait;

use crate::{
    net::{
        LOOPBACK, NEVER, Namespace, agree, connect_in_vain_or_not, connect_to, listener, next, rebase, sharing, told,
        watch,
    },
    probe::Probe,
};

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
    // A child of another test may have the others for a moment.
    wait::until("one is left", || agree(&probe.ports, &mut diag, key).listeners == 1);
    assert_eq!(probe.record_by_now(), None);
    drop(third);
    assert_eq!(next(&mut probe, key), (alarm::LISTENER_GONE, true, 0, 1));
}

#[test]
fn one_that_is_well_beside_a_stuck_one_does_not_clear_its_alarm_at_once() {
    let (mut probe, mut diag) = (Probe::load(), SockDiag::here().unwrap());
    let (stuck, port) = sharing(0);
    listen(&stuck, 1).unwrap();
    let key = watch(&mut probe.ports, &mut diag, port, Thresholds::default());
    let _waiting = [1, 2].map(|queued| connect_to(&mut diag, port, queued));
    let at = probe.socket();
    assert_eq!(told(&at, key), (alarm::ACCEPT_QUEUE, true, 2, 2));
    assert_eq!(next(&mut probe, key), (alarm::ACCEPT_FULL, true, 2, 2));
    let (well, _) = sharing(port);
    well.set_nonblocking(true).unwrap();
    // Which of them a connection goes to is the kernel's choice: those to the stuck one do not come through.
    let cleared = loop {
        let _client = connect_in_vain_or_not(port);
        while well.accept().is_ok() {}
        if let Some(Record::Socket(record)) = probe.record_by_now() {
            break record;
        }
    };
    assert_eq!((cleared.alarm, cleared.raised), (alarm::ACCEPT_FULL, 0));
    assert!(cleared.stamp_ns >= at.stamp_ns + watcher_abi::QUEUE_HOLD_NS, "a second of patience");
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

/// Since Linux 7.0 the kernel skips the program in the middle of itself, and before where an interrupt brings that about. It
/// counts that, and looks correct it.
pub(crate) fn corrected(probe: &mut Probe, diag: &mut SockDiag, key: PortKey) -> bool {
    let skips = probe.skipped(name::ON_STATE) > 0;
    if skips {
        rebase(&mut probe.ports, diag, key);
    }
    skips
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
    let idle = PortCounts { listeners: 1, established: 0, close_wait: 0 };
    wait::until("all have gone", || diag.port(port).unwrap().counts() == idle);
    let skips = corrected(&mut probe, &mut diag, key);
    assert_eq!(agree(&probe.ports, &mut diag, key), idle);
    assert!(!probe.is_readable(), "user space was woken");
    assert_eq!(probe.record_by_now(), None, "a false alarm");
    assert_eq!(probe.counters(), before);
    if !skips {
        let deltas = probe.ports.deltas(key).unwrap();
        assert_eq!(
            format!("{deltas:?}"),
            "PortDeltas { listeners: 0, established: 0, close_wait: 0 }",
            "nothing leaks"
        );
    }
}

#[test]
fn after_much_coming_and_going_the_counters_agree_with_sock_diag() {
    let (mut probe, mut diag) = (Probe::load(), SockDiag::here().unwrap());
    let (server, port) = listener(LOOPBACK);
    let key = watch(&mut probe.ports, &mut diag, port, NEVER);
    let (server, connections) = (&server, 0..900_usize);
    // Of each 30 connections the client leaves 2 open, and the service 3.
    let kept = thread::scope(|scope| {
        let service = connections.clone().map(|_| server.accept().unwrap().0).enumerate();
        let service = scope.spawn(move || service.filter(|(number, _)| number % 10 == 0).collect::<Vec<_>>());
        let clients = connections.map(|_| TcpStream::connect((LOOPBACK.ip(), port)).unwrap()).enumerate();
        let clients: Vec<_> = clients.filter(|(number, _)| number % 15 == 0).collect();
        (service.join().unwrap(), clients)
    });
    corrected(&mut probe, &mut diag, key);
    let counts = agree(&probe.ports, &mut diag, key);
    assert_eq!(
        (counts.listeners, counts.established, counts.close_wait),
        (1, 30, 60),
        "multiples of 30, and of 10 alone"
    );
    assert_eq!((kept.0.len(), kept.1.len()), (90, 60));
    drop(kept);
    wait::until("all have gone", || diag.port(port).unwrap().counts().close_wait == 0);
    corrected(&mut probe, &mut diag, key);
    assert_eq!(agree(&probe.ports, &mut diag, key).close_wait, 0);
    assert_eq!((probe.record_by_now(), probe.is_readable()), (None, false));
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
    // A child of another test may have it for a moment.
    wait::until("the listener has gone", || diag.listeners(Some(port)).unwrap().is_empty());
    assert_eq!(probe.record_by_now(), None, "no longer watched");
}
