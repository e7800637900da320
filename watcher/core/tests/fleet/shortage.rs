//! Services that run out of descriptors.

use watcher_core::{Pid, PortReport, SocketAlarm, Span};

use crate::{
    sockets::{WELL, web},
    world::SECOND,
};

#[test]
fn connections_that_will_take_the_last_descriptors_are_waited_for() {
    let mut world = web("");
    world.ports.reports.insert(80, PortReport { descriptors: Some((36, 1_024)), queue: 10, ..WELL });
    world.kernel_tells(80, SocketAlarm::Descriptors, true, 900, 900);
    world.pass(Span::of_seconds(5));
    let looks = world.ports.looks;
    world.ports.reports.insert(80, PortReport { descriptors: Some((915, 1_024)), queue: 10, ..WELL });
    world.kernel_tells(80, SocketAlarm::Descriptors, true, 900, 900);
    world.pass(Span::of_seconds(5));
    assert_eq!((world.ports.looks - looks, world.lines()), (6, Vec::new()), "a look a second");
    world.ports.reports.insert(80, PortReport { descriptors: Some((922, 1_024)), queue: 3, ..WELL });
    world.pass(SECOND);
    assert_eq!(world.lines(), ["Socket Descriptor Shortage: pid = 101 : port = 80 : 922 of 1024 descriptors"]);
}

#[test]
fn a_worker_that_runs_out_of_descriptors_is_named() {
    let mut world = web("");
    let of_a_worker = PortReport { descriptors: Some((41, 40)), of_child: Pid::new(7), ..WELL };
    world.ports.reports.insert(80, of_a_worker);
    world.pass(Span::of_seconds(100));
    let line = "Socket Descriptor Shortage: pid = 101 : port = 80 : 41 of 40 descriptors of its child 7";
    assert_eq!(world.lines(), [line]);
    world.ports.reports.insert(80, WELL);
    world.pass(Span::of_seconds(60));
    assert!(world.lines()[0].starts_with("Socket Descriptor Shortage is over: pid = 101 : port = 80 : after "));
}
