//! The handle on watched ports: when the programs are attached, how much room there is, what is lost; and what concerns a
//! network namespace as a whole.

use std::{
    net::{SocketAddr, TcpStream},
    os::fd::AsFd as _,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use watcher::{
    kernel::{Exactness, Sizes},
    sys::sock_diag::SockDiag,
};
use watcher_abi::{alarm, name};
use watcher_core::{Band, NetNs, PortKey, SocketAlarm, Thresholds};
use watcher_tests::{memory::Pinch, netns::in_a_new_one, victim::Victim, wait};

use crate::{
    net::{LOOPBACK, NEVER, Namespace, listener, next, watch},
    probe::Probe,
};

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
fn a_namespace_in_which_tcp_gets_no_memory_is_told_once() {
    let Some(pinch) = Pinch::make("kernel") else { return };
    let mut probe = Probe::load();
    let namespace = Namespace::make();
    let key = PortKey::whole(namespace.netns());
    probe.ports.watch(key, NEVER).unwrap();
    let connections = namespace.inside(|| pinch.connections());
    let (alarm, is_raised, pages, limit) = next(&mut probe, key);
    assert_eq!((alarm, is_raised), (alarm::MEMORY, true));
    let limits = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_mem").unwrap();
    assert_eq!(Some(limit), limits.split_whitespace().nth(2).and_then(|limit| limit.parse().ok()));
    // Each processor keeps some for itself, which are not counted: there may be none.
    assert!(pages < limit, "it is the group that has no more: {pages}");
    wait::until("it is refused again", || probe.ports.shortages(key).unwrap().1 > 1);
    assert_eq!((probe.record_by_now(), probe.ports.shortages(key).unwrap().0), (None, 0), "once in ten seconds");
    drop(connections);
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

#[test]
fn a_program_that_counts_wrong_is_switched_off_with_a_reason() {
    let key = PortKey { netns: SockDiag::here().unwrap().netns(), port: 7 };
    // This process is said to be in one namespace, and the connection that is tried is in another.
    in_a_new_one(|| {
        let mut probe = Probe::load();
        let why = probe.ports.watch(key, Thresholds::default()).unwrap_err().to_string();
        let expected = "the program loaded, but its self-test failed: a connection that was made was not counted rightly: \
                        1 listening, 0 in ESTABLISHED, 0 in CLOSE_WAIT";
        assert_eq!(why, expected);
        assert_eq!((probe.links(name::ON_STATE), probe.links(name::ON_SYNACK), probe.ports.watched().len()), (0, 0, 0));
        assert_eq!(probe.ports.watch(key, Thresholds::default()).unwrap_err().to_string(), expected, "for good");
        assert_eq!(probe.ports.counts(key), None);
    });
}

/// Whoever is there before the connection of the self-test is counted with it.
#[test]
fn strangers_that_connect_to_the_self_test_prove_nothing() {
    // As many as it listens for, and one.
    const ROOM: u32 = 8;
    let (enough, visits) = (AtomicBool::new(false), AtomicUsize::new(0));
    let stranger = || {
        let (mut diag, mut open) = (SockDiag::here().unwrap(), Vec::new());
        while !enough.load(Ordering::Relaxed) {
            let listeners = diag.listeners(None).unwrap();
            for found in
                listeners.iter().filter(|found| found.limit == Some(ROOM) && found.address.ip() == LOOPBACK.ip())
            {
                if let Ok(stream) = TcpStream::connect(found.address) {
                    visits.fetch_add(1, Ordering::Relaxed);
                    open.push(stream);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(stranger)));
        let mut proven = Vec::new();
        wait::until("some have come in time", || {
            let mut probe = Probe::load();
            proven.push(probe.ports.prove().map_err(|why| why.to_string()));
            visits.load(Ordering::Relaxed) >= 5
        });
        enough.store(true, Ordering::Relaxed);
        assert!(proven.iter().all(Result::is_ok), "{proven:?}");
    });
}

#[test]
fn the_self_test_is_made_once_and_tells_nobody() {
    let mut probe = Probe::load();
    probe.ports.prove().unwrap();
    assert_eq!((probe.links(name::ON_STATE), probe.ports.watched().len()), (0, 0));
    assert_eq!((probe.record_by_now(), probe.is_readable()), (None, false));
}

#[test]
fn without_loopback_nothing_is_known_and_the_program_is_used() {
    let inside = || {
        // SAFETY: no memory is involved; other threads stay where they are.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "it takes root");
        let mut probe = Probe::load();
        probe.ports.prove().unwrap();
        probe.ports.watch(PortKey { netns: NetNs(1), port: 7 }, NEVER).unwrap();
        assert_eq!(probe.links(name::ON_STATE), 1);
    };
    std::thread::scope(|scope| scope.spawn(inside).join().unwrap());
}
