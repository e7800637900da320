//! Services that are up but do not answer.

use watcher_core::{
    Finish, Mono, Order, Reason, Span,
    fleet::StallStatus,
    pfile::{EntryNumber, RetryOver},
    probe::{Fault, Step},
};

use crate::world::{SECOND, Script, Service, World};

/// An entry with a check of its own port.
pub(crate) fn entry(
    name: &str,
    action: &str,
    port: u16,
    interval: u32,
    retry_over: u32,
    (exec, act): (&str, u32),
) -> String {
    format!(
        "/usr/sbin/{name}:/s:86400:3:{action}\n_bi_webserv {{\n\
         PS_INIT DLL:/l/lib_bi_webserv.so:DIRECT:-:-:-:0\n\
         PS_EXEC DLL:/l/lib_bi_webserv.so:DIRECT:-:{interval}:{exec}:2:{retry_over}:{port}\n\
         PS_ACTION DLL:/l/lib_bi_webserv.so:DIRECT:-:-:{act}:0\n\
         PS_QUIT DLL:/l/lib_bi_webserv.so:DIRECT:-:-:-:0\n}}\n"
    )
}

fn web(action: &str, rules: (&str, u32)) -> String {
    entry("web", action, 80, 10, 30, rules)
}

/// A world with one process for each of these entries.
pub(crate) fn up(text: &str, names: &[&str]) -> World {
    let mut world = World::new(text);
    for name in names {
        world.start(&format!("/usr/sbin/{name}"));
    }
    world.begin();
    world.lines();
    world
}

pub(crate) fn refused() -> Service {
    Service::Fails(Fault::Connect { errno: 111 })
}

fn status(world: &World) -> StallStatus {
    world.view(1).stall_checks[0].status
}

/// Lets time pass until a line is told; when that was.
pub(crate) fn until(world: &mut World, line: &str) -> Mono {
    for _ in 0..100_000 {
        if world.log.iter().any(|told| told.contains(line)) {
            return world.now;
        }
        world.pass(Span::of_millis(10));
    }
    panic!("{line:?} is never told: {:#?}", world.log);
}

#[test]
fn from_silence_to_a_service_that_answers_again() {
    let mut world = up(&web("continue", ("0", 1)), &["web"]);
    assert_eq!(status(&world), StallStatus::Init);
    world.pass(Span::of_seconds(2));
    assert_eq!(status(&world), StallStatus::Avail, "the first check comes soon");
    world.services.insert(80, Service::Silent);
    let stopped = world.now;
    world.lines();
    let found = until(&mut world, "Find Web Server Stall");
    let first = world.asked_at.iter().find(|(at, _)| *at > stopped).unwrap().0;
    assert!(found.since(first) >= Span::of_seconds(30), "not before the retry-over time");
    assert!(found.since(first) <= Span::of_seconds(41), "and at most one interval after it");
    world.services.clear();
    world.pass(Span::of_seconds(20));
    assert_eq!(
        world.lines(),
        [
            "Process [/usr/sbin/web,pid=101] port 80: the service does not answer in time",
            "Find Web Server Stall: pid = 101 : port = 80",
            "Process [/usr/sbin/web,pid=101] port 80: the service does not answer in time; 3 checks failed within 30.00 s",
            "Killed Process: pid= 101",
            "Process [/usr/sbin/web,pid=101] Down",
            "Process [/usr/sbin/web,pid=101] killed by SIGKILL",
            "Try to restart (/usr/sbin/web)",
            "(/usr/sbin/web ,pid=103) Up",
        ]
    );
    assert_eq!(world.ran[0].1.reason, Reason::Stall);
    assert_eq!(status(&world), StallStatus::Avail);
}

#[test]
fn the_default_is_eleven_failures_in_a_row() {
    let mut world = up(&entry("web", "continue", 80, 60, 600, ("0", 1)), &["web"]);
    world.pass(Span::of_seconds(100));
    world.services.insert(80, refused());
    let before = world.asked_at.len();
    until(&mut world, "Find Web Server Stall");
    assert_eq!(world.asked_at.len() - before, 11);
}

#[test]
fn a_timer_that_goes_off_a_little_late_costs_no_interval() {
    let mut world = up(&web("continue", ("0", 1)), &["web"]);
    world.services.insert(80, refused());
    let due = world.fleet.next_deadline().unwrap();
    world.sleep_through(due.after(Span::of_millis(500)).since(world.now));
    assert_eq!(world.asked_at.len(), 1);
    // If the others were in time, they would be too soon after the first one.
    until(&mut world, "Find Web Server Stall");
    assert_eq!(world.asked_at.len(), 4, "30 s are four checks");
}

#[test]
fn a_success_in_between_begins_anew() {
    let mut world = up(&web("continue", ("0", 1)), &["web"]);
    world.pass(Span::of_seconds(5));
    for _ in 0..10 {
        world.services.insert(80, refused());
        world.pass(Span::of_seconds(29));
        assert_eq!(world.view(1).stall_checks[0].failures, 3);
        world.services.clear();
        world.pass(Span::of_seconds(11));
        assert_eq!(world.view(1).stall_checks[0].failures, 0);
    }
    let lines = world.lines();
    assert!(!lines.iter().any(|line| line.contains("Stall")), "{lines:#?}");
    let again = "port 80: the service answers again, after";
    assert_eq!(lines.iter().filter(|line| line.contains(again)).count(), 10, "{lines:#?}");
}

#[test]
fn a_service_may_take_its_time_to_listen() {
    let mut world = World::new(&web("continue", ("0", 1)));
    world.services.insert(80, refused());
    world.start("/usr/sbin/web");
    world.begin();
    world.pass(Span::of_seconds(5));
    world.services.clear();
    world.pass(Span::of_seconds(20));
    assert_eq!(world.lines(), ["(/usr/sbin/web ,pid=101) Up"], "one failure before it ever answered is none");
}

#[test]
fn who_is_not_there_is_not_asked() {
    let mut world = up(&web("continue", ("0", 1)), &["web"]);
    world.services.insert(80, Service::Silent);
    world.pass(Span::of_seconds(5));
    assert_eq!(world.asking.len(), 1);
    let proc = *world.watched.first().unwrap();
    world.default_script = Script::Hangs;
    world.kill(proc);
    world.pass(SECOND);
    assert_eq!((world.asking.len(), status(&world)), (0, StallStatus::Unknown), "nobody waits for its answer");
    let asked = world.asked_at.len();
    world.pass(Span::of_seconds(100));
    assert_eq!(world.asked_at.len(), asked);
}

#[test]
fn one_stall_is_enough_where_the_rule_says_so() {
    let mut world = up(&web("continue", ("1", 1)), &["web"]);
    world.services.insert(80, refused());
    until(&mut world, "(/usr/sbin/web ,pid=103) Up");
    assert!(world.view(1).stall_checks[0].ended);
    let ends =
        "Process [/usr/sbin/web] port 80: no more stalls are looked for (EXEC error 1); padmin start begins anew";
    assert!(world.log.iter().any(|line| line == ends), "{:#?}", world.log);
    assert_eq!(status(&world), StallStatus::Detect);
    let asked = world.asked_at.len();
    world.pass(Span::of_seconds(1_000));
    assert_eq!((world.asked_at.len(), status(&world)), (asked, StallStatus::Detect));
    let proc = *world.watched.last().unwrap();
    world.kill(proc);
    until(&mut world, "(/usr/sbin/web ,pid=105) Up");
    // Known after a kill -9 of pcheck, too.
    let saved: Vec<_> = world.saved.values().cloned().collect();
    let mut next = World::with_saved(&web("continue", ("1", 1)), &saved);
    next.start("/usr/sbin/web");
    next.begin();
    next.pass(Span::of_seconds(100));
    assert_eq!((next.asked_at.len(), status(&next)), (0, StallStatus::Detect));
    next.order(Order::Resume(None));
    next.pass(Span::of_seconds(10));
    assert_eq!(status(&next), StallStatus::Avail, "the operator lets it begin anew");
}

#[test]
fn the_second_stall_is_found_too() {
    let mut world = up(&web("continue", ("0", 1)), &["web"]);
    world.services.insert(80, refused());
    until(&mut world, "(/usr/sbin/web ,pid=103) Up");
    assert_eq!(status(&world), StallStatus::Detect, "until it answers");
    world.lines();
    until(&mut world, "Find Web Server Stall: pid = 103");
}

#[test]
fn retries_are_used_up_by_stalls_as_by_deaths() {
    let mut world = up(&web("exit", ("0", 1)), &["web"]);
    world.services.insert(80, refused());
    world.pass(Span::of_seconds(400));
    assert_eq!(world.finish, Some(Finish::RetryOver(RetryOver::Exit)));
    assert_eq!(world.ran.len(), 3);
}

#[test]
fn a_process_that_cannot_be_ended_is_asked_no_more() {
    for (act, finish) in [(0, None), (1, Some(Finish::RetryOver(RetryOver::Shutdown)))] {
        let mut world = up(&web("shutdown", ("0", act)), &["web"]);
        world.stuck.insert(*world.watched.first().unwrap());
        world.services.insert(80, refused());
        let found = until(&mut world, "Find Web Server Stall");
        let told = until(&mut world, "Can not killed Process: pid= 101");
        assert_eq!(told.since(found).0 / SECOND.0, 5);
        world.pass(Span::of_seconds(100));
        assert_eq!(world.finish, finish);
        assert!(world.ran.is_empty());
        if finish.is_none() {
            assert_eq!(status(&world), StallStatus::Unavail);
            assert!(world.asking.is_empty());
            // It may end after all: then it is a death like any other.
            let proc = *world.watched.first().unwrap();
            world.stuck.clear();
            world.kill(proc);
            until(&mut world, "(/usr/sbin/web ,pid=103) Up");
        }
    }
}

#[test]
fn a_pause_ends_the_asking() {
    let mut world = up(&web("continue", ("0", 1)), &["web"]);
    world.services.insert(80, Service::Silent);
    world.pass(Span::of_seconds(25));
    world.order(Order::Pause(Some(EntryNumber::of_index(0))));
    assert_eq!((status(&world), world.asking.len()), (StallStatus::Unknown, 0));
    world.pass(Span::of_seconds(1_000));
    world.order(Order::Resume(None));
    world.lines();
    let resumed = world.now;
    let found = until(&mut world, "Find Web Server Stall");
    assert!(found.since(resumed) >= Span::of_seconds(30), "what was before the pause does not count");
}

#[test]
fn time_in_which_nobody_could_ask_does_not_count() {
    // While a check is under way, between two, before the first failure, after the second.
    for lead in [1, 4, 8, 12, 15, 20, 25, 29] {
        let mut world = up(&web("continue", ("0", 1)), &["web"]);
        world.pass(Span::of_seconds(3));
        world.services.insert(80, Service::Silent);
        world.pass(Span::of_seconds(lead));
        // The service recovers, and the host sleeps.
        world.services.clear();
        world.sleep_through(Span::of_seconds(3_600));
        world.pass(Span::of_seconds(60));
        assert!(!world.log.iter().any(|line| line.contains("Stall")), "after {lead} s: {:#?}", world.log);
        assert_eq!(status(&world), StallStatus::Avail);
    }
}

#[test]
fn after_a_sleep_a_fresh_check_must_fail() {
    let mut world = up(&web("continue", ("0", 1)), &["web"]);
    world.services.insert(80, Service::Silent);
    world.pass(Span::of_seconds(25));
    let slept = world.asked_at.len();
    world.sleep_through(Span::of_seconds(3_600));
    assert!(!world.log.iter().any(|line| line.contains("Stall")), "{:#?}", world.log);
    until(&mut world, "Find Web Server Stall");
    assert!(world.asked_at.len() > slept, "one that began before the sleep tells nothing");
}

#[test]
fn what_is_not_the_services_fault_is_not_held_against_it() {
    for fault in [
        Fault::Address { code: -3, why: "try again".to_owned() },
        Fault::Socket { errno: 24 },
        Fault::Silent { step: Step::Resolve, got: 0 },
        Fault::Connect { errno: 99 },
    ] {
        let mut world = up(&web("continue", ("0", 1)), &["web"]);
        world.pass(Span::of_seconds(5));
        world.services.insert(80, Service::Fails(fault));
        world.pass(Span::of_seconds(600));
        assert_eq!(status(&world), StallStatus::Unavail);
        let lines = world.lines();
        assert_eq!(lines.len(), 1, "told once: {lines:#?}");
        assert!(lines[0].ends_with("no stall is looked for meanwhile"), "{lines:#?}");
        world.services.clear();
        world.pass(Span::of_seconds(11));
        assert_eq!(status(&world), StallStatus::Avail);
    }
}

#[test]
fn a_certificate_that_ends_is_told_once_a_day() {
    let text = web("continue", ("0", 1)).replace("webserv", "webservs");
    let mut world = up(&format!("{text}#@ expiry_warn=14\n"), &["web"]);
    for (days, lines) in [(14, 0), (13, 1), (12, 1), (0, 1), (-1, 1)] {
        world.services.insert(80, Service::Answers { certificate_days: Some(days) });
        world.pass(Span::of_seconds(86_400));
        let told = world.lines();
        assert_eq!(told.len(), lines, "{days}: {told:#?}");
    }
}

#[test]
fn a_reload_keeps_what_did_not_change() {
    let mut world = up(&web("continue", ("0", 1)), &["web"]);
    world.services.insert(80, Service::Silent);
    world.pass(Span::of_seconds(25));
    let asking = world.asking.clone();
    world.order(Order::Reload);
    assert_eq!(world.asking, asking, "the check under way goes on");
    world.rules = Ok(crate::world::rules(&web("continue", ("0", 1)).replace(":10:0:2:30:", ":20:0:2:40:")));
    world.order(Order::Reload);
    assert_eq!(world.asking.len(), 0, "the rule has changed: it begins anew");
    world.pass(Span::of_seconds(5));
    assert_eq!(world.asking.len(), 1);
    world.rules = Ok(crate::world::rules("/usr/sbin/other:/s:86400:3:continue\n"));
    world.order(Order::Reload);
    assert_eq!(world.asking.len(), 0, "it is gone");
}
