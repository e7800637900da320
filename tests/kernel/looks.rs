//! What looks at a watched port do about counters that are wrong: programs may miss what happens, and then numbers drift.

use std::{
    fs,
    net::TcpStream,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use watcher::{executor::ports::PortWatch, sys::netns::of};
use watcher_core::{Band, Event, Mono, PortCounts, PortKey, PortReport, PortWatchId, Thresholds, pfile::Port};
use watcher_tests::{netns, victim::Victim, wait};

use crate::{
    net::{LOOPBACK, NEVER, listener},
    probe::Probe,
};

const WATCH: PortWatchId = PortWatchId(7);

/// A watched port with one connection, looked at once.
struct Scene {
    probe: Probe,
    watch: PortWatch,
    key: PortKey,
    _process: Victim,
}

impl Scene {
    fn set(probe: Probe, port: u16) -> Self {
        let watch = PortWatch::default();
        let band = |raise| Some(Band { raise, clear: raise / 2 });
        let thresholds = Thresholds { close_wait: band(64), established: band(500), ..NEVER };
        // It is in the namespace of this thread.
        let process = Victim::start("vforks");
        let (proc, key) = (process.id(), PortKey { netns: of(process.id().pid).unwrap(), port });
        let mut scene = Self { probe, watch, key, _process: process };
        let (mut events, ports) = (Vec::new(), Some(&mut scene.probe.ports));
        scene.watch.begin((WATCH, proc, Port::new(port.into()).unwrap()), thresholds, ports, &mut events);
        assert!(matches!(events.as_slice(), [Event::PortWatched { .. }]), "{events:?}");
        scene.look();
        scene
    }

    /// What a look finds, and what is told beside it: whether an alarm is raised.
    fn look(&mut self) -> (PortReport, Vec<bool>) {
        let mut events = Vec::new();
        self.watch.look(WATCH, Some(&mut self.probe.ports), &mut events);
        let told = |event: &Event| if let Event::Socket(news) = event { Some(news.raised) } else { None };
        let news = events.iter().filter_map(told).collect();
        match events.pop() {
            Some(Event::PortLooked { report: Some(report), .. }) => (report, news),
            last => panic!("{last:?}"),
        }
    }

    /// As if so many changes had been missed. Whether the kernel side would tell of that.
    fn count_as(&mut self, counts: PortCounts) -> bool {
        let before = self.probe.ports.deltas(self.key).unwrap();
        let (news, _) = self.probe.ports.rebase(self.key, before, counts, Mono(1));
        news.iter().any(|news| news.raised)
    }
}

/// Segments come by interrupts, as from a network card: loopback hands each over to the other processor.
fn by_interrupts() {
    netns::enter_new();
    // SAFETY: all names are text that ends; other threads keep the mounts that they see.
    unsafe {
        assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0, "it takes root");
        let (none, alone) = (ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
        assert_eq!(libc::mount(none, c"/".as_ptr(), none, alone, ptr::null()), 0);
        // That of this network namespace.
        let sysfs = c"sysfs".as_ptr();
        assert_eq!(libc::mount(sysfs, c"/sys".as_ptr(), sysfs, 0, ptr::null()), 0);
    }
    fs::write("/sys/class/net/lo/queues/rx-0/rps_cpus", "3").unwrap();
}

#[test]
fn whoever_looks_because_of_a_number_counts_anew() {
    let (server, port) = listener(LOOPBACK);
    let _client = TcpStream::connect((LOOPBACK.ip(), port)).unwrap();
    let _accepted = server.accept().unwrap();
    let right = PortCounts { listeners: 1, established: 1, close_wait: 0 };
    let mut scene = Scene::set(Probe::load(), port);
    assert_eq!(scene.probe.ports.counts(scene.key), Some(right));
    for wrong in [
        PortCounts { close_wait: 64, ..right },
        PortCounts { established: 500, ..right },
        PortCounts { listeners: 0, ..right },
    ] {
        assert!(scene.count_as(wrong), "{wrong:?} is an alarm");
        let (report, news) = scene.look();
        let found = (report.listeners, report.established, report.close_wait);
        assert_eq!(found, (1, Some(1), Some(0)), "counted as {wrong:?}");
        assert_eq!(news, [false], "it is over: {wrong:?}");
        assert_eq!(scene.probe.ports.counts(scene.key), Some(right));
        assert_eq!(scene.probe.ports.alarms(scene.key), []);
    }
}

/// What was missed may have been of this port: a number that is too low raises no alarm. (The kernel does not run a program that
/// it finds at work on this processor when an interrupt brings the next change.)
#[test]
fn whoever_looks_after_something_was_missed_counts_anew() {
    let mut probe = Probe::load();
    probe.ports.prove().unwrap();
    by_interrupts();
    let ((server, port), (stranger, other)) = (listener(LOOPBACK), listener(LOOPBACK));
    let _client = TcpStream::connect((LOOPBACK.ip(), port)).unwrap();
    let _accepted = server.accept().unwrap();
    let right = PortCounts { listeners: 1, established: 1, close_wait: 0 };
    let mut scene = Scene::set(probe, port);
    assert!(!scene.count_as(PortCounts { established: 0, ..right }));
    let (before, enough) = (scene.probe.ports.missed(), AtomicBool::new(false));
    thread::scope(|scope| {
        let visits = || {
            while !enough.load(Ordering::Relaxed) {
                drop(TcpStream::connect((LOOPBACK.ip(), other)).unwrap());
            }
        };
        let serves = || {
            while !enough.load(Ordering::Relaxed) {
                drop(stranger.accept().unwrap());
            }
        };
        let visitors = [(); 3].map(|()| scope.spawn(visits));
        (0..2).for_each(|_| drop(scope.spawn(serves)));
        wait::until("something is missed, for which it takes two processors", || scene.probe.ports.missed() > before);
        enough.store(true, Ordering::Relaxed);
        visitors.into_iter().for_each(|visitor| visitor.join().unwrap());
        // Whoever waits to accept one shall see that it is enough.
        drop([(); 2].map(|()| TcpStream::connect((LOOPBACK.ip(), other)).unwrap()));
    });
    // At most once in some seconds.
    wait::until("it is counted anew", || scene.look().0.established == Some(1));
    assert_eq!(scene.probe.ports.counts(scene.key), Some(right));
}
