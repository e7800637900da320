//! Many services: when they are asked, and when they fail together.

use std::collections::BTreeSet;

use watcher_core::{
    Span,
    fleet::{Fleet, StallStatus},
    probe::Fault,
};

use crate::{
    stalls::{entry, refused, up},
    world::{SECOND, Service, World, rules},
};

#[test]
fn many_that_fail_together_are_not_killed() {
    let names: Vec<_> = (0..10).map(|number| format!("web{number}")).collect();
    let entries = |guard: &str| {
        let each = (80_u16..).zip(&names).map(|(port, name)| entry(name, "continue", port, 10, 30, ("0", 1)));
        format!("{guard}{}", each.collect::<String>())
    };
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    for (guard, failing, killed) in
        [("", 6, 0), ("", 5, 5), ("#@ stall_guard=off\n", 10, 10), ("#@ stall_guard=90\n", 9, 9)]
    {
        let mut world = up(&entries(guard), &names);
        world.pass(Span::of_seconds(10));
        world.services.extend((80..80 + failing).map(|port| (port, refused())));
        world.pass(Span::of_seconds(55));
        let stalls = world.log.iter().filter(|line| line.contains("Find Web Server Stall")).count();
        assert_eq!(stalls, killed, "{guard}{failing} fail: {:#?}", world.log);
        let held = format!("{failing} of 10 services do not answer: no stall is acted on while so many fail together");
        let told = world.log.iter().filter(|line| line.starts_with(&held)).count();
        assert_eq!(told, usize::from(killed == 0), "{:#?}", world.log);
        let held = world.fleet.views().iter().filter(|view| view.stall_checks[0].held).count();
        assert_eq!(held, if killed == 0 { usize::from(failing) } else { 0 });
        if killed == 0 {
            assert_eq!(world.view(1).stall_checks[0].status, StallStatus::Detect);
            // One that recovers sets the verdicts on the others free, but they are given time to follow it.
            let stalls = |world: &World| world.log.iter().filter(|line| line.contains("Find Web Server Stall")).count();
            world.services.remove(&80);
            world.pass(Span::of_seconds(11));
            assert!(world.log.iter().any(|line| line == "Stalls are acted on again"));
            world.services.remove(&81);
            world.pass(Span::of_seconds(19));
            assert_eq!(stalls(&world), 0, "{:#?}", world.log);
            world.pass(Span::of_seconds(25));
            assert_eq!(stalls(&world), 4, "{:#?}", world.log);
        }
    }
}

#[test]
fn who_cannot_be_asked_is_not_among_those_that_are() {
    let names: Vec<_> = (0..12).map(|number| format!("web{number}")).collect();
    let each = (80_u16..).zip(&names).map(|(port, name)| entry(name, "continue", port, 10, 30, ("0", 1)));
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut world = up(&each.collect::<String>(), &names);
    world.pass(Span::of_seconds(10));
    world.services.extend((80..87).map(|port| (port, Service::Fails(Fault::Socket { errno: 24 }))));
    world.services.extend((87..92).map(|port| (port, refused())));
    world.pass(Span::of_seconds(60));
    assert!(world.log.iter().any(|line| line.starts_with("5 of 5 services do not answer")), "{:#?}", world.log);
}

#[test]
fn checks_are_spread_and_stay_so() {
    let count = 600_u16;
    let names: Vec<_> = (0..count).map(|number| format!("web{number}")).collect();
    let text = (1..).zip(&names).map(|(port, name)| entry(name, "continue", port, 60, 600, ("0", 1)));
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut world = up(&text.collect::<String>(), &names);
    let began = world.now;
    world.pass(Span::of_seconds(600));
    let mut second = vec![0; 600];
    for (at, _) in &world.asked_at {
        second[usize::try_from(at.since(began).0 / SECOND.0).unwrap()] += 1;
    }
    assert!(second[60..].iter().all(|asked| (8..=12).contains(asked)), "ten in each second: {second:?}");
    assert!(second[..60].iter().all(|asked| *asked <= 30), "not in step at the beginning: {second:?}");
}

#[test]
fn after_a_sleep_checks_do_not_stay_in_step() {
    let names: Vec<_> = (0..100).map(|number| format!("web{number}")).collect();
    let text = (1..).zip(&names).map(|(port, name)| entry(name, "continue", port, 60, 600, ("0", 1)));
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut world = up(&text.collect::<String>(), &names);
    world.pass(Span::of_seconds(100));
    world.sleep_through(Span::of_seconds(1_000));
    world.pass(Span::of_seconds(1));
    let before = world.asked_at.len();
    for _ in 0..60 {
        let before = world.asked_at.len();
        world.pass(SECOND);
        assert!(world.asked_at.len() - before <= 4, "in step");
    }
    assert_eq!(world.asked_at.len() - before, 100, "each once in an interval");
}

#[test]
fn no_two_of_many_checks_of_an_entry_and_its_neighbours_come_together() {
    let names: Vec<_> = (0..10).map(|number| format!("web{number}")).collect();
    let text = (0_u16..).zip(&names).map(|(number, name)| {
        let one = |place: u16| entry(name, "continue", number * 10 + place, 10, 600, ("0", 1));
        let block = |place| one(place).split_once('\n').unwrap().1.to_owned();
        one(1) + &(2..=10).map(block).collect::<String>()
    });
    let text: String = text.collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut world = up(&text, &names);
    world.pass(Span::of_seconds(10));
    let times: BTreeSet<_> = world.asked_at.iter().map(|(at, _)| *at).collect();
    assert_eq!((times.len(), world.asked_at.len()), (100, 100));
}

#[test]
fn not_too_many_are_asked_at_once() {
    for (count, at_once, expected) in [(1_000, usize::MAX, 256), (30, 7, 7)] {
        let names: Vec<_> = (0..count).map(|number| format!("web{number}")).collect();
        let text = (1..).zip(&names).map(|(port, name)| entry(name, "continue", port, 10, 600, ("0", 1)));
        let text: String = text.collect();
        let mut world = World::new(&text);
        world.fleet = Fleet::new(rules(&text), 2, &[]).asking_at_most(at_once);
        for name in &names {
            world.start(&format!("/usr/sbin/{name}"));
        }
        world.begin();
        world.services.extend((1..=count).map(|port| (port, Service::Silent)));
        let mut most = 0;
        for _ in 0..60 {
            world.pass(SECOND);
            most = most.max(world.asking.len());
        }
        assert_eq!(most, expected);
        let asked: BTreeSet<_> = world.asked_at.iter().map(|(_, port)| *port).collect();
        assert_eq!(asked.len(), usize::from(count), "each has its turn");
    }
}
