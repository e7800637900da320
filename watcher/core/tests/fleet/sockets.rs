//! Sockets that run out: what the kernel tells, what looks find, and what becomes of it.

use watcher_core::{Event, Mono, Order, PortReport, SocketAlarm, Span, fleet::StallStatus};

use crate::{
    stalls::{entry, refused, up},
    world::{SECOND, World},
};

pub(crate) const WELL: PortReport = PortReport {
    listeners: 1,
    queue: 0,
    room: Some(129),
    drops: Some(0),
    established: Some(5),
    close_wait: Some(0),
    close_wait_oldest: None,
    close_wait_many: None,
    half_open: Some(0),
    descriptors: Some((20, 1_024)),
    of_child: None,
};

pub(crate) fn web(extensions: &str) -> World {
    let mut world = up(&(entry("web", "continue", 80, 60, 600, ("0", 1)) + extensions), &["web"]);
    world.pass(Span::of_seconds(100));
    world.lines();
    world
}

/// When a stall was found, if it was.
pub(crate) fn stall(world: &World) -> Option<Mono> {
    let is_one = |line: Vec<u8>| line.starts_with(b"Find ");
    let found = world.told.iter().find(|(_, told)| told.line().is_some_and(|(_, line)| is_one(line)));
    found.map(|(at, _)| *at)
}

#[test]
fn each_alarm_is_told_once_and_so_is_its_end() {
    for (report, line, end) in [
        (
            PortReport { queue: 104, ..WELL },
            "Socket Backlog Nearly Full: pid = 101 : port = 80 : 104 of 129 wait to be accepted",
            "Socket Backlog Nearly Full is over: pid = 101 : port = 80 : after ",
        ),
        (
            PortReport { close_wait: Some(64), ..WELL },
            "Socket CLOSE_WAIT Leak: pid = 101 : port = 80 : 64 connections that the service does not close",
            "Socket CLOSE_WAIT Leak is over",
        ),
        (
            PortReport { descriptors: Some((922, 1_024)), ..WELL },
            "Socket Descriptor Shortage: pid = 101 : port = 80 : 922 of 1024 descriptors",
            "Socket Descriptor Shortage is over",
        ),
        (
            PortReport { half_open: Some(200), ..WELL },
            "Socket SYN Backlog: pid = 101 : port = 80 : 200 connections half open",
            "Socket SYN Backlog is over",
        ),
        (
            PortReport { listeners: 0, room: None, ..WELL },
            "Socket Listener Gone: pid = 101 : port = 80",
            "Socket Listener Gone is over",
        ),
    ] {
        let mut world = web("");
        world.ports.reports.insert(80, report);
        world.pass(Span::of_seconds(300));
        assert_eq!(world.lines(), [line]);
        world.ports.reports.insert(80, WELL);
        world.pass(Span::of_seconds(60));
        let lines = world.lines();
        assert!(lines.len() == 1 && lines[0].starts_with(end), "{lines:?}");
    }
}

#[test]
fn a_full_queue_is_told_beside_a_nearly_full_one() {
    let mut world = web("");
    world.kernel_tells(80, SocketAlarm::AcceptQueue, true, 104, 129);
    world.kernel_tells(80, SocketAlarm::AcceptQueue, true, 110, 129);
    world.kernel_tells(80, SocketAlarm::AcceptFull, true, 129, 129);
    let alarms = world.view(1).stall_checks.remove(0).alarms;
    assert_eq!(
        world.lines(),
        [
            "Socket Backlog Nearly Full: pid = 101 : port = 80 : 104 of 129 wait to be accepted",
            "Socket Backlog Full: pid = 101 : port = 80 : 129 of 129 wait to be accepted",
        ]
    );
    assert_eq!(alarms, [SocketAlarm::AcceptFull, SocketAlarm::AcceptQueue]);
}

#[test]
fn a_queue_is_nearly_full_before_it_is_full_and_after() {
    let mut world = web("");
    world.ports.reports.insert(80, PortReport { queue: 129, ..WELL });
    world.pass(Span::of_seconds(61));
    world.ports.reports.insert(80, WELL);
    world.pass(Span::of_seconds(2));
    // The kernel may tell of the end of one alone.
    world.kernel_tells(80, SocketAlarm::AcceptQueue, true, 104, 129);
    world.kernel_tells(80, SocketAlarm::AcceptFull, true, 129, 129);
    world.kernel_tells(80, SocketAlarm::AcceptQueue, false, 3, 129);
    let titles: Vec<_> = world.lines().iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    let once = [
        "Socket Backlog Nearly Full",
        "Socket Backlog Full",
        "Socket Backlog Full is over",
        "Socket Backlog Nearly Full is over",
    ];
    assert_eq!(titles, [once, once].concat());
}

#[test]
fn a_sign_leads_to_a_look_and_to_nothing_else() {
    for (alarm, report, line) in [
        (
            SocketAlarm::HalfOpen,
            PortReport { half_open: Some(120), ..WELL },
            "Socket SYN Backlog: pid = 101 : port = 80 : 120 connections half open",
        ),
        (
            SocketAlarm::Descriptors,
            PortReport { descriptors: Some((930, 1_024)), ..WELL },
            "Socket Descriptor Shortage: pid = 101 : port = 80 : 930 of 1024 descriptors",
        ),
    ] {
        let mut world = web("");
        let before = world.ports.looks;
        world.kernel_tells(80, alarm, true, 8, 8);
        world.pass(Span::of_millis(1));
        assert_eq!((world.ports.looks - before, world.lines()), (1, Vec::new()), "{alarm:?}: all is well");
        world.ports.reports.insert(80, report);
        world.kernel_tells(80, alarm, true, 8, 8);
        world.pass(Span::of_millis(1));
        assert_eq!(world.lines(), [line]);
        world.kernel_tells(80, alarm, true, 8, 8);
        world.pass(Span::of_millis(1));
        assert_eq!(world.lines(), [""; 0], "told once");
    }
}

#[test]
fn a_suspicion_asks_the_service_at_once() {
    let mut world = web("");
    world.pass(Span::of_seconds(40));
    let told = world.now;
    let asked = |world: &World| world.asked_at.iter().filter(|(at, _)| *at >= told).count();
    world.services.insert(80, refused());
    world.ports.reports.insert(80, PortReport { queue: 129, ..WELL });
    world.kernel_tells(80, SocketAlarm::AcceptQueue, true, 104, 129);
    world.pass(SECOND);
    assert_eq!(asked(&world), 1, "not only at its next turn");
    world.kernel_tells(80, SocketAlarm::Drops, true, 1, 0);
    world.pass(SECOND);
    assert_eq!(asked(&world), 1, "but not in a circle");
    // The verdict is by the rule of the block, only sooner.
    world.pass(Span::of_seconds(700));
    let found = stall(&world).expect("a stall").since(told);
    assert!(found <= Span::of_seconds(601), "{found}");
}

#[test]
fn a_drained_queue_is_seen_although_nobody_tells() {
    let mut world = web("");
    world.ports.reports.insert(80, PortReport { queue: 129, ..WELL });
    world.kernel_tells(80, SocketAlarm::AcceptFull, true, 129, 129);
    world.pass(Span::of_seconds(5));
    let before = world.ports.looks;
    world.pass(Span::of_seconds(10));
    assert!((10..=12).contains(&(world.ports.looks - before)), "a look a second");
    world.ports.reports.insert(80, WELL);
    world.pass(Span::of_seconds(2));
    assert!(world.view(1).stall_checks[0].alarms.is_empty());
    let before = world.ports.looks;
    world.pass(Span::of_seconds(50));
    assert!(world.ports.looks - before <= 1, "then only with the checks");
}

#[test]
fn what_the_kernel_tells_during_a_look_is_newer_than_what_the_look_finds() {
    let leak = PortReport { close_wait: Some(104), ..WELL };
    let queue = PortReport { queue: 104, ..WELL };
    let gone = PortReport { listeners: 0, room: None, ..WELL };
    for (alarm, bad) in
        [(SocketAlarm::CloseWait, leak), (SocketAlarm::AcceptQueue, queue), (SocketAlarm::ListenerGone, gone)]
    {
        let mut world = web("");
        // It has begun since.
        world.ports.meanwhile = Some((alarm, true));
        while world.ports.meanwhile.is_some() {
            world.pass(Span::of_millis(100));
        }
        world.ports.reports.insert(80, bad);
        world.pass(Span::of_seconds(4));
        let lines = world.lines();
        assert!(lines.len() == 1 && !lines[0].contains("is over"), "{lines:?}");
        // It is over since.
        world.ports.meanwhile = Some((alarm, false));
        world.pass(Span::of_seconds(10));
        world.ports.reports.insert(80, WELL);
        world.pass(Span::of_seconds(60));
        let lines = world.lines();
        assert!(lines.len() == 1 && lines[0].contains("is over"), "{lines:?}");
    }
}

#[test]
fn drops_are_those_since_the_last_look() {
    let mut world = web("");
    world.ports.reports.insert(80, PortReport { drops: Some(1_000), ..WELL });
    world.pass(Span::of_seconds(60));
    assert_eq!(world.lines(), [""; 0], "they were before this watch");
    world.ports.reports.insert(80, PortReport { drops: Some(1_001), ..WELL });
    world.pass(Span::of_seconds(60));
    assert_eq!(world.lines(), [""; 0], "there is room: somebody defers his accepts");
    world.ports.reports.insert(80, PortReport { drops: Some(1_008), queue: 70, ..WELL });
    world.pass(Span::of_seconds(120));
    let lines = world.lines();
    assert_eq!(lines[0], "Socket Connection Drop: pid = 101 : port = 80 : 7 connections turned away");
    assert!(lines[1].starts_with("Socket Connection Drop is over"), "{lines:?}");
}

#[test]
fn a_tiny_queue_says_nothing() {
    let mut world = web("");
    world.kernel_tells(80, SocketAlarm::AcceptFull, true, 1, 1);
    world.ports.reports.insert(80, PortReport { queue: 1, room: Some(1), ..WELL });
    world.pass(Span::of_seconds(120));
    assert_eq!(world.lines(), [""; 0]);
}

#[test]
fn many_half_open_connections_are_most_of_those_that_there_is_room_for() {
    for (room, half_open, is_told) in [
        (Some(17), 12, false),
        (Some(17), 13, true),
        (Some(1_025), 819, false),
        (Some(1_025), 820, true),
        (Some(65_536), 1_023, false),
        (Some(65_536), 1_024, true),
        (Some(2), 127, false),
        (None, 127, false),
        (None, 128, true),
    ] {
        let mut world = web("");
        world.ports.reports.insert(80, PortReport { room, half_open: Some(half_open), ..WELL });
        world.pass(Span::of_seconds(120));
        assert_eq!(!world.lines().is_empty(), is_told, "{half_open} with room for {room:?}");
    }
}

#[test]
fn a_grave_alarm_that_lasts_is_a_stall_where_the_rule_says_so() {
    for (report, is_grave) in [
        (PortReport { queue: 129, ..WELL }, true),
        (PortReport { close_wait: Some(100), close_wait_many: Some(Span::of_seconds(3)), ..WELL }, true),
        (PortReport { descriptors: Some((1_024, 1_024)), ..WELL }, true),
        (PortReport { listeners: 0, room: None, ..WELL }, true),
        (PortReport { half_open: Some(1_000), ..WELL }, false),
        (PortReport { queue: 110, ..WELL }, false),
    ] {
        let mut world = web("#@ socket_stall=30\n");
        world.ports.reports.insert(80, report);
        let since = world.now;
        world.pass(Span::of_seconds(61 + 29));
        world.ports.reports.insert(80, WELL);
        world.pass(Span::of_seconds(20));
        assert_eq!(stall(&world).is_some(), is_grave, "{report:?}: {:#?}", world.log);
        if let Some(at) = stall(&world) {
            assert!(at.since(since) >= Span::of_seconds(30));
            let lines = world.lines();
            assert!(lines.iter().any(|line| line == "Find Socket Service Stall: pid = 101 : port = 80"), "{lines:#?}");
            assert!(lines.iter().any(|line| line == "(/usr/sbin/web ,pid=103) Up"), "{lines:#?}");
        }
    }
}

#[test]
fn a_stall_that_cannot_be_acted_on_is_not_looked_at_in_a_circle() {
    for exec_error in ["0", "1"] {
        let text = entry("web", "continue", 80, 60, 600, (exec_error, 0)) + "#@ socket_stall=30\n";
        let mut world = up(&text, &["web"]);
        world.stuck.insert(*world.watched.first().unwrap());
        world.pass(Span::of_seconds(100));
        world.ports.reports.insert(80, PortReport { queue: 129, ..WELL });
        world.pass(Span::of_seconds(100));
        assert!(stall(&world).is_some());
        let looks = world.ports.looks;
        world.pass(Span::of_seconds(100));
        assert!(world.ports.looks - looks <= 110, "{} looks in 100 s", world.ports.looks - looks);
        let kills = world.log.iter().filter(|line| line.contains("Find Socket Service Stall")).count();
        assert_eq!(kills, 1, "its checks have ended: nobody tries again, {:#?}", world.log);
    }
}

#[test]
fn an_alarm_that_is_over_is_no_stall() {
    let mut world = web("#@ socket_stall=30\n");
    world.ports.reports.insert(80, PortReport { queue: 129, ..WELL });
    world.kernel_tells(80, SocketAlarm::AcceptFull, true, 129, 129);
    world.pass(Span::of_seconds(29));
    world.ports.reports.insert(80, WELL);
    world.pass(Span::of_seconds(300));
    assert_eq!(stall(&world), None, "{:#?}", world.log);
}

#[test]
fn who_is_not_there_has_no_ports() {
    let mut world = web("");
    assert_eq!(world.ports.watched.len(), 1);
    world.order(Order::Pause(None));
    assert_eq!(world.ports.watched.len(), 0);
    world.order(Order::Resume(None));
    world.pass(SECOND);
    assert_eq!(world.ports.watched.len(), 1);
    let proc = *world.watched.first().unwrap();
    world.kill(proc);
    world.pass(Span::of_seconds(5));
    assert_eq!(world.ports.watched.len(), 1, "of the new one");
    assert_eq!(world.view(1).stall_checks[0].status, StallStatus::Avail);
}

#[test]
fn lost_news_lead_to_a_look() {
    let mut world = web("");
    let before = world.ports.looks;
    world.event(Event::SocketsLost { records: 3 });
    assert_eq!(world.ports.looks - before, 1);
}

#[test]
fn what_a_whole_namespace_lacks_is_told_of_no_entry() {
    let mut world = web("");
    world.kernel_tells(0, SocketAlarm::Ephemeral, true, 17, 0);
    assert_eq!(world.lines(), ["Socket Local Port Shortage in net:[1] : 17 connections found no local port"]);
}

#[test]
fn thresholds_are_those_of_the_rules() {
    let mut world = web("#@ backlog=50 close_wait=10 connections=1000 descriptors=50\n");
    let (established, descriptors) = (Some(1_000), Some((512, 1_024)));
    world.ports.reports.insert(80, PortReport { queue: 65, close_wait: Some(10), established, descriptors, ..WELL });
    world.pass(Span::of_seconds(61));
    assert_eq!(world.lines().len(), 4);
}
