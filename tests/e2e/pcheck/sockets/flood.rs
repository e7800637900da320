//! A flood of SYNs.

use std::{
    fs,
    net::Ipv4Addr,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use watcher::sys::netns;
use watcher_core::Pid;
use watcher_tests::{
    flood::{Flood, STRANGERS, ip, send_answers_again},
    host::Tier,
    program::built,
    victim::Victim,
};

use super::{Scene, queue_of, turned_away};

const HERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

/// From 80 % of the backlog on it is told.
pub(super) fn from_another_namespace(tier: Tier) {
    is_told_apart(tier, 200, 160);
}

/// It has no room for many.
pub(super) fn on_a_short_queue(tier: Tier) {
    is_told_apart(tier, 16, 13);
}

fn is_told_apart(tier: Tier, backlog: u64, least: u64) {
    // On tier `ebpf` the next look comes with the next check, in ten minutes.
    let mut scene = Scene::set(tier, &format!("dual backlog={backlog}"), "socket_stall=2");
    let foreigner = Victim::run(Command::new("unshare").arg("--net").arg("--").arg(built("vforks")));
    connect_with(foreigner.pid());
    let (port, told) = (scene.port, AtomicBool::new(false));
    let measure = thread::scope(|scope| {
        let (from, told) = (foreigner.pid(), &told);
        let flood = || {
            Flood::to(HERE, port).until(told);
            Ok(())
        };
        scope.spawn(move || netns::inside(from, flood).unwrap());
        let _ends_the_flood = EndOf(told);
        let (before, measure) = scene.told("Socket SYN Backlog");
        assert_eq!(before, [] as [String; 0], "nothing else is wrong");
        measure
    });
    let count = measure.strip_prefix(" : ").and_then(|rest| rest.strip_suffix(" connections half open")?.parse().ok());
    assert!(count.is_some_and(|count: u64| count >= least && count <= backlog + 1), "{measure}");
    assert_eq!(queue_of(scene.pid(), port).0, 0);
    scene.is_over("Socket SYN Backlog");
    scene.leave_in_peace();
}

/// It turns nobody away: the half-open connections that it makes are the only sign of it.
pub(super) fn that_does_not_fill_the_backlog(tier: Tier) {
    let mut scene = Scene::set(tier, "dual backlog=100", "");
    let foreigner = Victim::run(Command::new("unshare").arg("--net").arg("--").arg(built("vforks")));
    connect_with(foreigner.pid());
    let port = scene.port;
    // They stay for a while.
    send_answers_again(5);
    let flood = || {
        let mut flood = Flood::to(HERE, port);
        (0..90).for_each(|_| flood.send());
        Ok(())
    };
    netns::inside(foreigner.pid(), flood).unwrap();
    let (before, measure) = scene.told("Socket SYN Backlog");
    assert_eq!((before, measure.as_str()), (Vec::new(), " : 90 connections half open"));
    assert_eq!((queue_of(scene.pid(), port).0, turned_away(scene.pid())), (0, 0), "nobody was turned away");
    scene.leave_in_peace();
}

struct EndOf<'a>(&'a AtomicBool);

impl Drop for EndOf<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A cable from the namespace of this thread to that of another process. Answers to strangers go there, and get lost.
fn connect_with(foreigner: Pid) {
    // Otherwise the kernel waits for a minute for connections that are half open.
    send_answers_again(1);
    ip(&format!("link add here type veth peer name there netns {foreigner}"));
    ip(&format!("address add {HERE}/24 dev here"));
    ip("link set here up");
    let other_end = || {
        ip(&format!("address add {THERE}/24 dev there"));
        ip("link set there up");
        fs::write("/proc/sys/net/ipv4/ip_forward", "0")
    };
    netns::inside(foreigner, other_end).unwrap();
    ip(&format!("route add {STRANGERS} via {THERE}"));
}
