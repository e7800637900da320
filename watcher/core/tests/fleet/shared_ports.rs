//! Thresholds of sockets at their lowest, and of two entries that ask the same port.

use watcher_core::{PortReport, SocketAlarm, Span};

use crate::{
    stalls::{entry, up},
    world::{SECOND, World},
};

const WELL: PortReport = PortReport {
    listeners: 1,
    queue: 0,
    room: Some(129),
    drops: Some(0),
    established: Some(0),
    close_wait: Some(0),
    close_wait_oldest: None,
    close_wait_many: None,
    half_open: Some(0),
    descriptors: Some((5, 1_024)),
    of_child: None,
};

#[test]
fn the_lowest_threshold_is_crossed_and_left_like_any_other() {
    for (extension, bad) in [
        ("backlog=1", PortReport { queue: 2, ..WELL }),
        ("backlog=1", PortReport { queue: 1, room: Some(8), ..WELL }),
        ("connections=1", PortReport { established: Some(1), ..WELL }),
        ("close_wait=1", PortReport { close_wait: Some(1), ..WELL }),
        ("descriptors=1", PortReport { descriptors: Some((10, 1_024)), ..WELL }),
        ("descriptors=2", PortReport { descriptors: Some((20, 1_024)), ..WELL }),
    ] {
        let text = entry("web", "continue", 80, 60, 600, ("0", 1)) + &format!("#@ {extension}\n");
        let mut world = up(&text, &["web"]);
        world.ports.reports.insert(80, WELL);
        world.pass(Span::of_seconds(100));
        assert_eq!(world.lines(), [""; 0], "{extension}");
        for _ in 0..2 {
            world.ports.reports.insert(80, bad);
            world.pass(Span::of_seconds(61));
            let lines = world.lines();
            assert!(lines.len() == 1 && !lines[0].contains("is over"), "{extension}: {lines:?}");
            world.ports.reports.insert(80, WELL);
            world.pass(Span::of_seconds(61));
            let lines = world.lines();
            assert!(lines.len() == 1 && lines[0].contains("is over"), "{extension}: {lines:?}");
        }
    }
}

/// Two entries that ask one port, in this order.
fn two(first: &str, second: &str) -> World {
    let text = ["web", "api"].map(|name| entry(name, "continue", 80, 60, 600, ("0", 1)));
    let mut world = up(&format!("{}#@ {first}\n{}#@ {second}\n", text[0], text[1]), &["web", "api"]);
    world.ports.reports.insert(80, WELL);
    world.pass(Span::of_seconds(100));
    world.lines();
    world
}

#[test]
fn of_two_entries_on_one_port_each_goes_by_its_own_thresholds() {
    for (first, second, few) in
        [("connections=3", "connections=1000", "pid = 101"), ("connections=1000", "connections=3", "pid = 102")]
    {
        let mut world = two(first, second);
        let looks = world.ports.looks;
        world.ports.reports.insert(80, PortReport { established: Some(6), ..WELL });
        world.kernel_tells(80, SocketAlarm::Established, true, 3, 3);
        world.pass(SECOND);
        let lines = world.lines();
        assert!(lines.len() == 1 && lines[0].contains(few), "{first}, {second}: {lines:?}");
        assert_eq!(world.ports.looks - looks, 1, "the other one looks, for the kernel to be told what it waits for");
        world.ports.reports.insert(80, PortReport { established: Some(1_000), ..WELL });
        world.kernel_tells(80, SocketAlarm::Established, true, 1_000, 1_000);
        world.pass(SECOND);
        let lines = world.lines();
        assert!(lines.len() == 1 && !lines[0].contains(few), "{first}, {second}: {lines:?}");
        // Of the higher one only.
        world.ports.reports.insert(80, PortReport { established: Some(900), ..WELL });
        world.kernel_tells(80, SocketAlarm::Established, false, 900, 1_000);
        let lines = world.lines();
        assert!(lines.len() == 1 && !lines[0].contains(few), "{first}, {second}: {lines:?}");
        world.ports.reports.insert(80, WELL);
        world.pass(Span::of_seconds(11));
        let lines = world.lines();
        assert!(lines.len() == 1 && lines[0].contains(few) && lines[0].contains("is over"), "{lines:?}");
    }
}

#[test]
fn who_did_not_ask_for_an_alarm_is_not_told() {
    let mut world = two("connections=3", "backlog=10");
    world.ports.reports.insert(80, PortReport { established: Some(6), queue: 20, ..WELL });
    world.kernel_tells(80, SocketAlarm::Established, true, 3, 3);
    world.kernel_tells(80, SocketAlarm::AcceptQueue, true, 20, 129);
    let lines = world.lines();
    assert!(lines.len() == 2 && lines[0].contains("pid = 101") && lines[1].contains("pid = 102"), "{lines:?}");
}
