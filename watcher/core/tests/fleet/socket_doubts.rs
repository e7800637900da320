//! Services that are healthy, however they look for a moment: they start late, or close late. And those that do not.

use watcher_core::{PortReport, SocketAlarm, Span};

use crate::{
    sockets::{WELL, stall, web},
    stalls::{entry, refused},
    world::{SECOND, World},
};

/// Connections that are not closed: how many, the age of the oldest, and that of as many as are a leak.
fn open(count: u64, oldest: Span, many: Option<Span>) -> PortReport {
    PortReport { close_wait: Some(count), close_wait_oldest: Some(oldest), close_wait_many: many, ..WELL }
}

/// A service that is there, and not watched yet.
fn starting(text: &str) -> World {
    let mut world = World::new(text);
    world.start("/usr/sbin/web");
    world
}

/// How often a listener was told to be gone.
fn gone(world: &World) -> usize {
    world.log.iter().filter(|line| line.contains("Socket Listener Gone: ")).count()
}

#[test]
fn a_leak_is_told_when_it_lasts_and_with_its_age() {
    let mut world = web("");
    let looks = world.ports.looks;
    world.ports.reports.insert(80, open(70, Span::of_seconds(7_300), Some(Span::of_seconds(3))));
    world.kernel_tells(80, SocketAlarm::CloseWait, true, 64, 64);
    world.pass(Span::of_millis(2_900));
    assert_eq!(
        (world.lines(), world.ports.looks - looks),
        (Vec::new(), 0),
        "a healthy service closes them in a moment"
    );
    world.pass(Span::of_millis(200));
    let told = "Socket CLOSE_WAIT Leak: pid = 101 : port = 80 : 70 connections that the service does not close";
    assert_eq!(world.lines(), [format!("{told}, the oldest for {}", Span::of_seconds(7_300))]);
    world.kernel_tells(80, SocketAlarm::CloseWait, false, 32, 64);
    assert_eq!(world.lines().len(), 1);
    // One that was over before anybody looked.
    let looks = world.ports.looks;
    world.kernel_tells(80, SocketAlarm::CloseWait, true, 64, 64);
    world.pass(SECOND);
    world.kernel_tells(80, SocketAlarm::CloseWait, false, 32, 64);
    world.pass(Span::of_seconds(5));
    assert_eq!((world.lines(), world.ports.looks - looks), (Vec::new(), 0));
}

#[test]
fn connections_that_are_closed_late_are_no_leak() {
    let mut world = web("");
    let young = |millis| open(90, Span::of_seconds(100), Some(Span::of_millis(millis)));
    world.ports.reports.insert(80, young(8));
    world.kernel_tells(80, SocketAlarm::CloseWait, true, 64, 64);
    let looks = world.ports.looks;
    world.pass(Span::of_seconds(30));
    assert_eq!(world.lines(), [""; 0], "others come, and these are closed");
    assert!((9..=10).contains(&(world.ports.looks - looks)), "{} looks", world.ports.looks - looks);
    // As soon as they can be old enough, but once in a second.
    world.ports.reports.insert(80, young(2_900));
    world.pass(Span::of_seconds(3));
    let looks = world.ports.looks;
    world.pass(Span::of_seconds(10));
    assert!((10..=11).contains(&(world.ports.looks - looks)), "{} looks", world.ports.looks - looks);
    assert_eq!(world.lines(), [""; 0]);
    world.ports.reports.insert(80, young(3_000));
    world.pass(SECOND);
    assert_eq!(world.lines().len(), 1);
}

#[test]
fn connections_that_nobody_has_accepted_are_no_leak_before_somebody_has() {
    let mut world = web("");
    world.kernel_tells(80, SocketAlarm::CloseWait, true, 96, 64);
    // For the kernel they are 96.
    world.ports.reports.insert(80, open(20, Span::of_seconds(100), None));
    let looks = world.ports.looks;
    world.pass(Span::of_seconds(60));
    assert_eq!(world.lines(), [""; 0]);
    assert!((5..=8).contains(&(world.ports.looks - looks)), "{} looks", world.ports.looks - looks);
    world.ports.reports.insert(80, open(96, Span::of_seconds(100), Some(Span::of_seconds(60))));
    world.pass(Span::of_seconds(10));
    assert_eq!(world.lines().len(), 1, "it has");
}

#[test]
fn what_looks_alone_have_found_is_forgotten_by_looks() {
    let mut world = web("");
    // Nobody tells their age.
    for count in [64, 63, 64, 63] {
        world.ports.reports.insert(80, PortReport { close_wait: Some(count), ..WELL });
        let looks = world.ports.looks;
        while world.ports.looks == looks {
            world.pass(Span::of_millis(100));
        }
    }
    let looks = world.ports.looks;
    world.pass(Span::of_seconds(50));
    assert_eq!((world.lines(), world.ports.looks - looks), (Vec::new(), 0), "only with the checks");
}

#[test]
fn one_connection_that_is_not_closed_for_long_is_a_leak_where_the_rule_says_so() {
    let leak = |seconds| PortReport { close_wait: Some(1), close_wait_oldest: Some(Span::of_seconds(seconds)), ..WELL };
    for (extensions, is_told) in [("", false), ("#@ close_wait_age=600\n", true)] {
        let mut world = web(extensions);
        world.ports.reports.insert(80, leak(599));
        world.pass(Span::of_seconds(61));
        assert_eq!(world.lines(), [""; 0]);
        world.ports.reports.insert(80, leak(600));
        world.pass(Span::of_seconds(61));
        assert_eq!(world.lines().len(), usize::from(is_told), "{extensions}");
        // It is closed, and a new one comes.
        world.ports.reports.insert(80, leak(3));
        world.pass(Span::of_seconds(61));
        assert_eq!(world.lines().len(), usize::from(is_told), "{extensions}");
    }
}

#[test]
fn a_port_that_was_never_open_is_not_gone() {
    let closed = PortReport { listeners: 0, room: None, ..WELL };
    let text = entry("web", "continue", 80, 60, 600, ("0", 1)) + "#@ socket_stall=10\n";
    let mut world = starting(&text);
    world.services.insert(80, refused());
    world.ports.reports.insert(80, closed);
    world.begin();
    world.pass(SECOND);
    // What the first look, which counts, makes the kernel say.
    world.kernel_tells(80, SocketAlarm::ListenerGone, true, 0, 1);
    world.pass(Span::of_seconds(200));
    assert_eq!((stall(&world), gone(&world)), (None, 0), "it is still starting");
    world.services.remove(&80);
    world.ports.reports.insert(80, WELL);
    world.kernel_tells(80, SocketAlarm::ListenerGone, false, 1, 1);
    world.pass(Span::of_seconds(100));
    assert_eq!((stall(&world), gone(&world)), (None, 0));
    world.ports.reports.insert(80, closed);
    world.kernel_tells(80, SocketAlarm::ListenerGone, true, 0, 1);
    world.pass(Span::of_seconds(11));
    assert!(stall(&world).is_some(), "now it is: {:#?}", world.log);
    assert_eq!(gone(&world), 1);
    // The one that is started now has not been seen either.
    world.pass(Span::of_seconds(1));
    world.kernel_tells(80, SocketAlarm::ListenerGone, true, 0, 1);
    world.pass(Span::of_seconds(30));
    assert_eq!(gone(&world), 1);
}

#[test]
fn a_port_that_is_closed_during_the_first_look_is_looked_at_again() {
    let mut world = starting(&entry("web", "continue", 80, 60, 600, ("0", 1)));
    world.ports.reports.insert(80, WELL);
    world.ports.meanwhile = Some((SocketAlarm::ListenerGone, true));
    world.begin();
    while world.ports.meanwhile.is_some() {
        world.pass(Span::of_millis(100));
    }
    assert_eq!((world.ports.looks, gone(&world)), (2, 0), "{:#?}", world.log);
}
