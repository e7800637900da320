//! Connections that nobody accepts.

use std::{ops::RangeInclusive, time::Duration};

use serde_json::Value;
use watcher::sys::netns;
use watcher_tests::{
    block::Block,
    host::{Host, Tier, lives, signal},
    is_emulated,
    netns::{enter_new, in_a_new_one},
    pcheck::Pcheck,
    server::free_port,
};

use super::{Scene, clients, entry, impatient_clients, listens, queue_of, stop, turned_away};

/// One more than `listen` is told gets in.
const BACKLOG: &str = "backlog=16";
const ROOM: usize = 17;

/// The first at which at least 80 % of the room are taken.
const NEARLY: usize = 14;

/// Longer than a look takes to come on any tier, and than what is a stall in these stories.
const LONG: Duration = Duration::from_secs(Block::SHORTEST as u64 + 2);

/// Takes lines up to the end of both alarms, whichever comes first.
fn drained(pcheck: &mut Pcheck) -> Vec<String> {
    let ends = ["Socket Backlog Full is over", "Socket Backlog Nearly Full is over"];
    let mut lines = Vec::new();
    while !ends.iter().all(|end| lines.iter().any(|line: &String| line.starts_with(end))) {
        lines.push(pcheck.line());
    }
    lines
}

/// How many wait in a full queue: two that are finished at the same moment may share the last place, where a moment is long.
fn full() -> RangeInclusive<usize> {
    ROOM..=if is_emulated() { ROOM + 1 } else { ROOM }
}

pub(super) fn nobody_accepts_and_it_is_only_told(tier: Tier) {
    let mut scene = Scene::set(tier, BACKLOG, "");
    let (pid, port) = (scene.pid(), scene.port);
    stop(pid);
    let early = clients(port, NEARLY);
    let (before, measure) = scene.told("Socket Backlog Nearly Full");
    assert_eq!(before, [] as [String; 0]);
    // The check that comes with a look may have joined the queue.
    let wait = |count: usize| format!(" : {count} of {ROOM} wait to be accepted");
    assert!(measure == wait(NEARLY) || tier != Tier::Ebpf && measure == wait(NEARLY + 1), "{measure}");
    assert_eq!(turned_away(pid), 0, "it is told before anybody is");
    let late = impatient_clients(port, ROOM - NEARLY);
    let (before, measure) = scene.told("Socket Backlog Full");
    assert_eq!(before, [] as [String; 0]);
    assert!(full().any(|count| measure == wait(count)), "{measure}");
    let lines = scene.during(LONG);
    assert!(lives(pid) && !lines.iter().any(|line| line.contains("Stall")), "{lines:#?}");
    let waiting = queue_of(pid, port).0 as usize;
    assert!(full().contains(&waiting), "{waiting}");
    signal(pid, libc::SIGCONT);
    drop((early, late));
    let pid = scene.pid();
    let lines = drained(&mut scene.pcheck);
    let is_over = |line: &String| line.starts_with("Socket ") && line.contains(&format!(" pid = {pid} "));
    // A check that was made meanwhile may have failed, and may end only now.
    let of_a_check = ["the service answers again", "the service lets no connection be made in time"];
    let is_of_a_check = |line: &String| of_a_check.iter().any(|what| line.contains(what));
    assert!(lines.iter().all(|line| is_over(line) || is_of_a_check(line)), "{lines:#?}");
    let entry = scene.host.entry(1);
    assert_eq!((&entry["pid"], &entry["restart_count"]), (&pid.number().into(), &0.into()));
}

/// Long before the 600 s of its block are over.
pub(super) fn nobody_accepts_and_it_is_a_stall(tier: Tier) {
    let mut scene = Scene::set(tier, BACKLOG, "socket_stall=2");
    let (pid, port, svc) = (scene.pid(), scene.port, scene.host.svc());
    stop(pid);
    let _clients = (clients(port, NEARLY), impatient_clients(port, ROOM - NEARLY));
    let (_, measure) = scene.told("Socket Backlog Full");
    assert!(full().any(|count| measure == format!(" : {count} of {ROOM} wait to be accepted")), "{measure}");
    let (_, measure) = scene.told("Find Socket Service Stall");
    assert_eq!(measure, "");
    let mut lines = scene.pcheck.until("Try to restart");
    // A check that was under way when the service was ended may say so first, where its end takes longer to be known.
    let is_of_the_end = |line: &str| tier != Tier::Ebpf && line.ends_with(": connection refused");
    lines.retain(|line| !line.contains(" killed by SIGKILL") && !is_of_the_end(line));
    let why = format!("Process [{svc},pid={pid}] port {port}: Socket Backlog Full for ");
    assert!(lines[0].starts_with(&why), "{lines:#?}");
    let rest = [
        format!("Killed Process: pid= {pid}"),
        format!("Process [{svc},pid={pid}] Down"),
        format!("Try to restart ({svc})"),
    ];
    assert_eq!(lines[1..], rest);
    assert_eq!(scene.service.end(), Some(libc::SIGKILL));
    let new = scene.pcheck.up(&svc);
    listens(new, port);
    assert!(new != pid && lives(new));
    assert_eq!(scene.host.entry(1)["restart_count"], 1);
    let told: Value = serde_json::from_str(&scene.host.ask(&["why", "--json"]).stdout).unwrap();
    let stall = told["entries"][0]["deaths"][0]["stall"].as_str().unwrap();
    let why = format!("ended by pcheck, since its port {port} was of no use: Socket Backlog Full for ");
    assert!(stall.starts_with(&why), "{told:#}");
    assert_eq!(scene.pcheck.stop(), [] as [String; 0]);
}

/// Whom nobody has accepted, nobody can close.
pub(super) fn clients_that_do_not_wait_for_it(tier: Tier) {
    let mut scene = Scene::set(tier, "backlog=128", "close_wait=20 socket_stall=2");
    stop(scene.pid());
    drop(clients(scene.port, 60));
    assert_eq!(scene.during(LONG), [] as [String; 0]);
    signal(scene.pid(), libc::SIGCONT);
    scene.leave_in_peace();
}

pub(super) fn a_pause(tier: Tier) {
    let mut scene = Scene::set(tier, BACKLOG, "socket_stall=2");
    assert_eq!(scene.host.padmin("stop 1").code, Some(0));
    scene.host.stall_chk(1, "UNKNOWN");
    stop(scene.pid());
    let _clients = (clients(scene.port, NEARLY), impatient_clients(scene.port, ROOM - NEARLY));
    assert_eq!(scene.during(LONG), [] as [String; 0]);
    // What is still so when it is over is told then.
    assert_eq!(scene.host.padmin("start 1").code, Some(0));
    let (before, _) = scene.told("Socket Backlog Full");
    assert!(before.iter().all(|line| line.starts_with("Socket Backlog Nearly Full")), "{before:#?}");
    scene.told("Find Socket Service Stall");
}

/// They have the number in common, and nothing else.
pub(super) fn one_port_in_two_namespaces(tier: Tier) {
    enter_new();
    let (host, port) = (Host::new(), free_port());
    let (svc, other) = (host.svc(), host.install("other"));
    let words = format!("port={port} {BACKLOG}");
    let block = Block::socket(port).seldom(if tier == Tier::Ebpf { 600 } else { Block::SHORTEST });
    host.rules(&["svc", "other"].map(|name| entry(&host, name, &words, "", &block)).concat());
    let here = host.start(&words);
    let there = in_a_new_one(|| host.start_as("other", &words));
    assert_ne!(netns::of(here.pid).unwrap(), netns::of(there.pid).unwrap());
    [&here, &there].into_iter().for_each(|service| listens(service.pid, port));
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    assert_eq!([pcheck.up(&svc), pcheck.up(&other)], [here.pid, there.pid]);
    [1, 2].into_iter().for_each(|number| host.stall_chk(number, "AVAIL"));
    for wrong in [&there, &here] {
        let pid = wrong.pid;
        stop(pid);
        let fill = || Ok((clients(port, NEARLY), impatient_clients(port, ROOM - NEARLY)));
        let clients = if pid == here.pid { fill().unwrap() } else { netns::inside(pid, fill).unwrap().1 };
        let mut lines = pcheck.until("Socket Backlog Full: ");
        signal(pid, libc::SIGCONT);
        drop(clients);
        lines.extend(drained(&mut pcheck));
        assert!(lines.iter().all(|line| line.contains(&format!(": pid = {pid} : port = {port} : "))), "{lines:#?}");
    }
    let rest = pcheck.stop();
    assert!(rest.iter().all(|line| line.starts_with("Socket Connection Drop is over")), "{rest:#?}");
    assert!(lives(here.pid) && lives(there.pid));
}
