//! Several watches of one port: the kernel has one threshold of each kind for it.

use std::net::{TcpListener, TcpStream};

use watcher::executor::ports::PortWatch;
use watcher_abi::alarm;
use watcher_core::{Band, Event, PortKey, PortWatchId, Thresholds, pfile::Port};
use watcher_tests::{victim::Victim, wait};

use crate::{
    net::{LOOPBACK, NEVER, listener, next},
    probe::Probe,
};

const FEW: Thresholds = Thresholds { established: Some(Band { raise: 3, clear: 2 }), ..NEVER };
const MANY: Thresholds = Thresholds { established: Some(Band { raise: 6, clear: 5 }), ..NEVER };

struct Scene {
    probe: Probe,
    watch: PortWatch,
    key: PortKey,
    server: TcpListener,
    open: Vec<(TcpStream, TcpStream)>,
    process: Victim,
}

impl Scene {
    fn set(thresholds: &[Thresholds]) -> Self {
        let (server, port) = listener(LOOPBACK);
        let process = Victim::start("vforks");
        let netns = watcher::sys::netns::of(process.id().pid).unwrap();
        let (probe, watch, key) = (Probe::load(), PortWatch::default(), PortKey { netns, port });
        let mut scene = Self { probe, watch, key, server, open: Vec::new(), process };
        (0..).zip(thresholds).for_each(|(number, thresholds)| scene.begin(PortWatchId(number), *thresholds));
        scene
    }

    fn begin(&mut self, watch: PortWatchId, thresholds: Thresholds) {
        let what = (watch, self.process.id(), Port::new(self.key.port.into()).unwrap());
        let mut events = Vec::new();
        self.watch.begin(what, thresholds, Some(&mut self.probe.ports), &mut events);
        assert!(matches!(events.as_slice(), [Event::PortWatched { .. }]), "{events:?}");
        self.look(watch);
    }

    fn look(&mut self, watch: PortWatchId) {
        self.watch.look(watch, Some(&mut self.probe.ports), &mut Vec::new());
    }

    /// So many connections, and the counters know it.
    fn connections(&mut self, count: usize) {
        self.open.truncate(count);
        while self.open.len() < count {
            let client = TcpStream::connect((LOOPBACK.ip(), self.key.port)).unwrap();
            self.open.push((client, self.server.accept().unwrap().0));
        }
        wait::until("they are counted", || self.probe.ports.counts(self.key).unwrap().established == count as u64);
    }

    /// What is told next. What is counted may be told a moment later.
    fn told(&mut self) -> (u32, bool, u64, u64) {
        next(&mut self.probe, self.key)
    }

    fn is_told(&mut self) -> Option<(u32, bool, u64, u64)> {
        self.probe.is_readable().then(|| next(&mut self.probe, self.key))
    }
}

#[test]
fn all_thresholds_of_a_port_are_told_whoever_came_first() {
    for thresholds in [[FEW, MANY], [MANY, FEW]] {
        let mut scene = Scene::set(&thresholds);
        scene.connections(2);
        assert_eq!(scene.is_told(), None);
        scene.connections(4);
        assert_eq!(scene.told(), (alarm::ESTABLISHED, true, 3, 3), "{thresholds:?}");
        // Whose threshold it is not looks, and is told of his own.
        scene.look(PortWatchId(0));
        scene.connections(6);
        assert_eq!(scene.told(), (alarm::ESTABLISHED, true, 6, 6), "{thresholds:?}");
        scene.look(PortWatchId(1));
        scene.connections(0);
        // By the one whose alarm is still raised.
        scene.look(PortWatchId(0));
        while scene.is_told().is_some() {}
        scene.connections(3);
        assert_eq!(scene.told(), (alarm::ESTABLISHED, true, 3, 3), "{thresholds:?}");
    }
}

#[test]
fn who_ends_takes_his_threshold_along() {
    let mut scene = Scene::set(&[FEW, MANY]);
    scene.watch.end(PortWatchId(0), Some(&mut scene.probe.ports));
    scene.connections(5);
    assert_eq!(scene.is_told(), None);
    scene.connections(6);
    assert_eq!(scene.told(), (alarm::ESTABLISHED, true, 6, 6));
    scene.connections(0);
    while scene.is_told().is_some() {}
    scene.begin(PortWatchId(2), FEW);
    scene.connections(3);
    assert_eq!(scene.told(), (alarm::ESTABLISHED, true, 3, 3));
}
