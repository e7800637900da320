//! Which time counts for a stall, and which does not: what nobody could ask in, what was not the service's fault, and what
//! was before.

use watcher_core::{
    Action, Ending, Finish, Note, Order, Reason, Signal, Span,
    fleet::StallStatus,
    pfile::{EntryNumber, RetryOver},
    probe::{Fault, Step},
};

use crate::{
    stalls::{entry, refused, until, up},
    world::{SECOND, Service, World, rules},
};

fn web(interval: u32, retry_over: u32) -> String {
    entry("web", "continue", 80, interval, retry_over, ("0", 1))
}

fn stalls(world: &World) -> usize {
    world.told.iter().filter(|(_, told)| matches!(told.note, Note::Stall { .. })).count()
}

#[test]
fn one_check_is_no_stall_however_long_it_takes() {
    // Its own limit is longer than the retry-over time.
    let mut world = up(&(web(10, 10) + "#@ timeout=60\n"), &["web"]);
    world.services.insert(80, Service::Silent);
    world.pass(Span::of_seconds(100));
    assert_eq!((stalls(&world), world.asked_at.len()), (0, 2), "the first one has failed");
    world.pass(Span::of_seconds(30));
    assert_eq!(stalls(&world), 1, "and the second");
}

#[test]
fn a_sleep_between_two_checks_of_a_service_that_stays_silent_does_not_count() {
    let mut world = up(&web(10, 60), &["web"]);
    world.services.insert(80, refused());
    world.pass(Span::of_seconds(15));
    assert_eq!((world.asked_at.len(), stalls(&world)), (2, 0));
    let before = world.now;
    world.sleep_through(Span::of_seconds(3_600));
    assert_eq!(stalls(&world), 0);
    let found = until(&mut world, "Find Web Server Stall");
    // Less what had passed before the sleep.
    let awake = found.since(before).0 - Span::of_seconds(3_600).0;
    assert!((Span::of_seconds(45).0..=Span::of_seconds(70).0).contains(&awake), "{awake}");
}

#[test]
fn a_sleep_while_a_check_is_under_way_does_not_count_either() {
    let mut world = up(&web(20, 60), &["web"]);
    world.services.insert(80, Service::Silent);
    world.pass(Span::of_seconds(15));
    assert_eq!(world.asked_at.len(), 1);
    // In the second check, of which nothing is known but that it was too late.
    world.pass(Span::of_seconds(8));
    assert_eq!((world.asked_at.len(), world.asking.len()), (2, 1));
    let before = world.now;
    world.sleep_through(Span::of_seconds(3_600));
    world.pass(Span::of_millis(500));
    assert_eq!(stalls(&world), 0);
    assert_eq!(world.asked_at.len(), 2, "not in a circle");
    world.pass(SECOND);
    assert_eq!(world.asked_at.len(), 3, "but soon");
    let found = until(&mut world, "Find Web Server Stall");
    let awake = found.since(before).0 - Span::of_seconds(3_600).0;
    assert!((Span::of_seconds(30).0..=Span::of_seconds(70).0).contains(&awake), "{awake}");
}

#[test]
fn time_in_which_nothing_could_be_known_does_not_count() {
    let ours = || Service::Fails(Fault::Silent { step: Step::Resolve, got: 0 });
    let mut world = up(&web(10, 60), &["web"]);
    world.pass(Span::of_seconds(5));
    world.services.insert(80, refused());
    world.pass(Span::of_seconds(20));
    world.services.insert(80, ours());
    world.pass(Span::of_seconds(600));
    assert_eq!(world.view(1).stall_checks[0].status, StallStatus::Unavail);
    world.services.insert(80, refused());
    let again = world.now;
    let found = until(&mut world, "Find Web Server Stall");
    assert!(found.since(again) >= Span::of_seconds(30), "the ten minutes in between tell nothing: {:#?}", world.log);
    assert!(found.since(again) <= Span::of_seconds(70), "but what was before does: {:#?}", world.log);
}

#[test]
fn those_who_wait_for_their_turn_are_not_accused_for_it() {
    // All 256 places are taken by others for a minute.
    let others: Vec<_> = (0..256).map(|number| format!("hung{number}")).collect();
    let slow = |(port, name): (u16, &String)| entry(name, "continue", port, 60, 86_400, ("0", 1)) + "#@ timeout=59\n";
    let text = (1_000..).zip(&others).map(slow).collect::<String>() + &web(10, 60);
    let mut names: Vec<_> = others.iter().map(String::as_str).collect();
    names.push("web");
    let mut world = up(&format!("#@ stall_guard=off\n{text}"), &names);
    world.pass(Span::of_seconds(100));
    world.services.extend((1_000..1_256).map(|port| (port, Service::Silent)));
    world.services.insert(80, refused());
    let began = world.now;
    let found = until(&mut world, "port = 80");
    let asked = world.asked_at.iter().filter(|(at, port)| *port == 80 && *at >= began).count();
    assert!(asked >= 3, "it was asked {asked} times within {}", found.since(began));
}

#[test]
fn what_was_known_of_a_process_is_forgotten_with_it() {
    let mut world = up(&web(10, 30), &["web"]);
    world.pass(Span::of_seconds(15));
    world.services.insert(80, refused());
    world.pass(Span::of_seconds(22));
    assert_eq!(world.view(1).stall_checks[0].failures, 2);
    let proc = *world.watched.first().unwrap();
    world.lines();
    world.kill(proc);
    let restarted = until(&mut world, "Up");
    let view = world.view(1).stall_checks[0].clone();
    assert_eq!((view.failures, view.failing_since, view.fault), (0, None, None));
    assert_eq!(view.status, StallStatus::Init, "that the one before has answered says nothing of this one");
    world.lines();
    world.pass(Span::of_seconds(5));
    assert!(world.lines().is_empty(), "it may take its time to listen");
    let found = until(&mut world, "Find Web Server Stall");
    assert!(found.since(restarted) >= Span::of_seconds(30));
}

#[test]
fn an_order_to_go_on_forgets_a_stall_that_was_detected() {
    let mut world = up(&web(10, 30), &["web"]);
    world.services.insert(80, refused());
    until(&mut world, "(/usr/sbin/web ,pid=103) Up");
    assert_eq!(world.view(1).stall_checks[0].status, StallStatus::Detect);
    world.order(Order::Resume(None));
    assert_eq!(world.view(1).stall_checks[0].status, StallStatus::Init);
}

#[test]
fn a_check_that_has_ended_for_good_asks_no_more_even_if_the_process_stays() {
    // EXEC error 1: one stall is enough; and it cannot be ended.
    for exec in ["1", "0"] {
        let mut world = up(&entry("web", "continue", 80, 10, 30, (exec, 0)), &["web"]);
        world.stuck.insert(*world.watched.first().unwrap());
        world.services.insert(80, Service::Silent);
        until(&mut world, "Find Web Server Stall");
        if exec == "1" {
            let asked = world.asked_at.len();
            world.pass(Span::of_seconds(4));
            assert_eq!((world.asked_at.len(), world.asking.len()), (asked, 0));
        }
        until(&mut world, "Can not killed Process");
        assert!(world.asking.is_empty(), "nobody waits for what is not wanted");
        let asked = world.asked_at.len();
        world.pass(Span::of_seconds(1_000));
        assert_eq!((world.asked_at.len(), stalls(&world)), (asked, 1));
        // Known to the next pcheck, too, and for what it is.
        let saved: Vec<_> = world.saved.values().cloned().collect();
        let mut next = World::with_saved(&entry("web", "continue", 80, 10, 30, (exec, 0)), &saved);
        next.start("/usr/sbin/web");
        next.begin();
        assert_eq!(next.view(1).stall_checks[0].status, StallStatus::Unavail);
    }
}

#[test]
fn two_checks_of_an_entry_end_its_process_once_and_the_rule_of_the_one_that_found_it_counts() {
    let second = entry("web", "exit", 81, 10, 30, ("0", 0)).split_once('\n').unwrap().1.to_owned();
    for (failing, finish) in [(80_u16, Some(Finish::RetryOver(RetryOver::Exit))), (81, None)] {
        let mut world = up(&(entry("web", "exit", 80, 10, 30, ("0", 1)) + &second), &["web"]);
        world.stuck.insert(*world.watched.first().unwrap());
        world.services.insert(failing, refused());
        until(&mut world, "Find Web Server Stall");
        // Now the other one, too: there is nothing more to do about it.
        world.services.extend([(80, refused()), (81, refused())]);
        world.pass(Span::of_seconds(300));
        assert_eq!((stalls(&world), world.finish), (1, finish), "{:#?}", world.log);
        let ended = world.view(1).stall_checks.iter().all(|check| check.status == StallStatus::Unavail);
        assert!(ended || finish.is_some(), "both have ended");
    }
    let mut world = up(&(entry("web", "exit", 80, 10, 30, ("0", 1)) + &second), &["web"]);
    world.services.extend([(80, refused()), (81, refused())]);
    until(&mut world, "(/usr/sbin/web ,pid=103) Up");
    assert_eq!((stalls(&world), world.ran.len()), (1, 1), "{:#?}", world.log);
}

#[test]
fn a_stall_that_is_found_while_its_group_is_busy_waits_until_that_is_done() {
    let member = |name: &str, port| {
        entry(name, "continue", port, 10, 30, ("0", 1)).replacen(":continue", ":continue:grp_tag=g", 1)
    };
    let mut world = World::new(&(member("front", 80) + &member("back", 81)));
    world.start_stubborn("/usr/sbin/front");
    world.start("/usr/sbin/back");
    world.begin();
    world.pass(Span::of_seconds(5));
    world.services.insert(80, refused());
    world.pass(Span::of_seconds(15));
    let since = world.view(1).stall_checks[0].failing_since.unwrap();
    world.pass(Span::of_seconds(25).minus(world.now.since(since)).unwrap());
    // Now `back` dies, and its script takes long; `front` does not heed the request to end.
    world.default_script = crate::world::Script::Restarts(60_000);
    let back = *world.watched.last().unwrap();
    world.kill(back);
    world.pass(Span::of_seconds(50));
    assert_eq!(stalls(&world), 0, "{:#?}", world.log);
}

#[test]
fn paused_in_the_moment_of_its_forced_end_it_is_left_alone_from_then_on() {
    let mut world = up(&entry("web", "shutdown", 80, 10, 30, ("0", 1)), &["web"]);
    world.stuck.insert(*world.watched.first().unwrap());
    world.services.insert(80, refused());
    until(&mut world, "Find Web Server Stall");
    world.order(Order::Pause(Some(EntryNumber::of_index(0))));
    world.pass(Span::of_seconds(100));
    assert_eq!(world.finish, None, "no retry-over action for what nobody watches");
    assert!(!world.log.iter().any(|line| line.contains("Can not")), "{:#?}", world.log);
}

#[test]
fn failures_of_another_kind_are_told_each() {
    let mut world = up(&web(10, 600), &["web"]);
    world.pass(Span::of_seconds(5));
    world.lines();
    for (service, lines) in [(refused(), 1), (Service::Silent, 1), (Service::Silent, 0), (refused(), 1)] {
        world.services.insert(80, service);
        world.pass(Span::of_seconds(20));
        assert_eq!(world.lines().len(), lines);
    }
}

#[test]
fn a_reload_takes_the_guard_of_the_new_file_and_what_it_drops_counts_no_more() {
    let names: Vec<_> = (0..12).map(|number| format!("web{number}")).collect();
    let each =
        |count| (80_u16..).zip(&names).take(count).map(|(port, name)| entry(name, "continue", port, 10, 30, ("0", 1)));
    let text = |guard: &str, count| format!("{guard}{}", each(count).collect::<String>());
    let named: Vec<_> = names.iter().map(String::as_str).collect();
    let begun = || {
        let mut world = up(&text("", 12), &named);
        world.pass(Span::of_seconds(15));
        world.services.extend((80..87).map(|port| (port, refused())));
        world.pass(Span::of_seconds(60));
        assert_eq!(stalls(&world), 0, "seven of twelve: {:#?}", world.log);
        world
    };
    let mut world = begun();
    world.rules = Ok(rules(&text("#@ stall_guard=off\n", 12)));
    world.order(Order::Reload);
    world.pass(Span::of_seconds(60));
    assert!(stalls(&world) >= 7, "{:#?}", world.log);
    // Of the first four, that fail, nothing is left: four do not.
    let mut world = begun();
    world.rules = Ok(rules(&text("", 4)));
    world.order(Order::Reload);
    world.pass(Span::of_seconds(60));
    assert!(stalls(&world) >= 4, "four are not many: {:#?}", world.log);
    let mut world = begun();
    // Those that die are not asked, and do not count as failing either.
    world.default_script = crate::world::Script::DoesNothing;
    let dying: Vec<_> = world.watched.iter().copied().take(4).collect();
    for proc in dying {
        world.kill(proc);
        world.settle();
    }
    world.pass(Span::of_seconds(60));
    assert!(stalls(&world) >= 3, "three of eight are left: {:#?}", world.log);
}

#[test]
fn a_second_check_that_fails_while_the_process_is_being_ended_changes_nothing() {
    let second = entry("web", "continue", 81, 10, 30, ("0", 1)).split_once('\n').unwrap().1.to_owned();
    let mut world = up(&(entry("web", "continue", 80, 10, 30, ("0", 1)) + &second), &["web"]);
    world.stuck.insert(*world.watched.first().unwrap());
    world.services.extend([(80, refused()), (81, refused())]);
    world.pass(Span::of_seconds(60));
    assert_eq!(stalls(&world), 1, "{:#?}", world.log);
    let killed = |action: &&Action| matches!(action, Action::Signal { signal: Signal::KILL, .. });
    assert_eq!(world.asked.iter().filter(killed).count(), 1);
}

#[test]
fn who_is_ended_is_traced_once_and_awaited() {
    let mut world = up(&format!("SHM_DUMP_FILE /tmp/x\nMONITOR_INTERVAL 60\n{}", web(10, 30)), &["web"]);
    let proc = *world.watched.first().unwrap();
    world.stuck.insert(proc);
    world.services.insert(80, refused());
    until(&mut world, "Find Web Server Stall");
    assert!(world.asked.contains(&Action::AwaitEnd(proc)));
    // It ends by itself, soon after it was found: still it was a stall, and nobody went to the background.
    world.end(proc, Ending::Exited { code: 0 });
    world.settle();
    assert!(world.log.iter().any(|line| line == "Killed Process: pid= 101"), "{:#?}", world.log);
    let traced = |action: &&Action| matches!(action, Action::Snapshot { proc: traced, .. } if *traced == proc);
    assert_eq!(world.asked.iter().filter(traced).count(), 1);
    world.pass(SECOND);
    assert_eq!(world.ran[0].1.reason, Reason::Stall);
}

#[test]
fn of_several_checks_the_one_that_has_ended_is_known_to_the_next_pcheck() {
    let second = entry("web", "continue", 81, 10, 30, ("1", 1)).split_once('\n').unwrap().1.to_owned();
    let text = entry("web", "continue", 80, 10, 30, ("0", 1)) + &second;
    let mut world = up(&text, &["web"]);
    world.services.insert(81, refused());
    until(&mut world, "(/usr/sbin/web ,pid=103) Up");
    let saved: Vec<_> = world.saved.values().cloned().collect();
    let mut next = World::with_saved(&text, &saved);
    next.start("/usr/sbin/web");
    next.begin();
    next.pass(Span::of_seconds(20));
    let statuses: Vec<_> = next.view(1).stall_checks.iter().map(|check| check.status).collect();
    assert_eq!(statuses, [StallStatus::Avail, StallStatus::Detect]);
}
