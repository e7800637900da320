//! Clients that begin connections and do not go on with them: many at once are told, a few are not.

use std::{
    thread,
    time::{Duration, Instant},
};

use watcher::{kernel::Ports, sys::sock_diag::SockDiag};
use watcher_abi::{FLOOD_EVERY_NS, alarm, flood_from, name};
use watcher_core::{PortKey, SocketAlarm, Thresholds};
use watcher_tests::{
    flood::{Flood, STRANGERS, ip, send_answers_again},
    wait,
};

use crate::{
    net::{LOOPBACK, NEVER, Namespace, listener, told, watch},
    probe::Probe,
};

const BACKLOG: i32 = 160;

/// A listener in a namespace from which no answer reaches a stranger.
struct Scene {
    namespace: Namespace,
    diag: SockDiag,
    port: u16,
    _server: std::net::TcpListener,
}

impl Scene {
    fn set(retries: u8) -> Self {
        let namespace = Namespace::make();
        let (server, port) = namespace.inside(|| {
            send_answers_again(retries);
            ip(&format!("route add {STRANGERS} dev lo"));
            let (server, port) = listener(LOOPBACK);
            rustix::net::listen(&server, BACKLOG).unwrap();
            (server, port)
        });
        Self { diag: namespace.diag(), namespace, port, _server: server }
    }

    fn begin(&mut self, connections: u64) {
        let port = self.port;
        self.namespace.inside(|| {
            let mut flood = Flood::to(std::net::Ipv4Addr::LOCALHOST, port);
            (0..connections).for_each(|_| flood.send());
        });
        // A thread of the kernel may do that later.
        wait::until("all of them are half open", || self.half_open() == connections);
    }

    fn half_open(&mut self) -> u64 {
        self.diag.states(self.port).unwrap().syn_recv
    }

    /// Waits until so many answers have been sent again.
    fn sent_again(ports: &Ports, key: PortKey, count: u64) {
        let (sent, end) = (|| ports.sent_again(key).unwrap(), Instant::now() + *wait::DEADLINE);
        while sent() < count {
            assert!(Instant::now() < end, "in vain: waited until {count} answers were sent again, and not {}", sent());
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_flood_is_told_once_until_somebody_has_looked() {
    let (mut probe, mut scene) = (Probe::load(), Scene::set(2));
    let key = watch(&mut probe.ports, &mut scene.diag, scene.port, Thresholds::default());
    scene.begin(60);
    let first = probe.socket();
    let many = flood_from(BACKLOG as u64);
    assert_eq!(told(&first, key), (alarm::HALF_OPEN, true, many, many));
    assert_eq!(probe.ports.alarms(key), [SocketAlarm::HalfOpen]);
    Scene::sent_again(&probe.ports, key, 60);
    assert_eq!(probe.record_by_now(), None, "told once");
    // Two seconds later they are sent once more.
    probe.ports.settle(key, SocketAlarm::HalfOpen);
    Scene::sent_again(&probe.ports, key, 120);
    assert_eq!(probe.record_by_now(), None, "it was told a moment ago");
    wait::until("they are forgotten", || scene.half_open() == 0);
    assert_eq!(probe.ports.sent_again(key), Some(120), "each twice");
    scene.begin(30);
    Scene::sent_again(&probe.ports, key, 120 + many);
    let second = probe.socket();
    assert_eq!(told(&second, key), (alarm::HALF_OPEN, true, many, many));
    assert!(second.stamp_ns >= first.stamp_ns + FLOOD_EVERY_NS);
}

#[test]
fn a_few_lost_segments_are_no_flood() {
    let (mut probe, mut scene) = (Probe::load(), Scene::set(2));
    let few = flood_from(BACKLOG as u64) - 1;
    let key = watch(&mut probe.ports, &mut scene.diag, scene.port, Thresholds::default());
    scene.begin(few);
    Scene::sent_again(&probe.ports, key, few);
    // They are sent again two seconds later, which is another second.
    Scene::sent_again(&probe.ports, key, 2 * few);
    assert_eq!((probe.record_by_now(), probe.is_readable()), (None, false));
    assert_eq!(probe.ports.alarms(key), []);
}

#[test]
fn nobody_hears_of_a_flood_on_a_port_that_is_not_watched_or_where_it_is_not_wanted() {
    let (mut probe, mut scene) = (Probe::load(), Scene::set(1));
    let other = PortKey { netns: scene.diag.netns(), port: 1 };
    probe.ports.watch(other, Thresholds::default()).unwrap();
    scene.begin(60);
    wait::until("they are forgotten", || scene.half_open() == 0);
    assert_eq!((probe.record_by_now(), probe.ports.sent_again(other)), (None, Some(0)));
    let key = watch(&mut probe.ports, &mut scene.diag, scene.port, NEVER);
    scene.begin(60);
    Scene::sent_again(&probe.ports, key, 60);
    assert_eq!((probe.record_by_now(), probe.is_readable()), (None, false));
}

#[test]
fn the_program_is_attached_only_while_a_port_is_watched() {
    let mut probe = Probe::load();
    let key = |port| PortKey { netns: watcher_core::NetNs(1), port };
    probe.ports.watch(key(0), NEVER).unwrap();
    assert_eq!(probe.links(name::ON_SYNACK), 0);
    probe.ports.watch(key(7), NEVER).unwrap();
    assert_eq!((probe.links(name::ON_SYNACK), probe.ports.sent_again(key(7))), (1, Some(0)));
    probe.ports.unwatch(key(7));
    assert_eq!((probe.links(name::ON_SYNACK), probe.ports.sent_again(key(7))), (0, None));
}
