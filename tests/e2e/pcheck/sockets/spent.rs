//! What a service uses up, or gives away, although it lives.

use std::time::Duration;

use watcher::sys::{proc, sock_diag::SockDiag};
use watcher_tests::{
    block::Block,
    host::{Tier, signal},
    wait::until,
};

use super::{Scene, clients};

/// The number that a measure begins with.
fn number(measure: &str) -> u64 {
    let number = measure.strip_prefix(" : ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    number.unwrap_or_else(|| panic!("{measure}"))
}

pub(super) fn connections_that_are_not_closed(tier: Tier) {
    let mut scene = Scene::set(tier, "keeps", "close_wait=20");
    drop(clients(scene.port, 25));
    let (before, measure) = scene.told("Socket CLOSE_WAIT Leak");
    assert_eq!(before, [] as [String; 0]);
    let count = number(&measure);
    // All of them, and its own checks: 20 have been so for a while.
    assert!((25..=28).contains(&count), "{measure}");
    let (_, age) = measure.split_once(" connections that the service does not close, the oldest for ").unwrap();
    assert!(age.strip_suffix(" s").is_some_and(|age| age.parse::<f64>().unwrap() >= 3.0), "{measure}");
    signal(scene.pid(), libc::SIGUSR1);
    scene.is_over("Socket CLOSE_WAIT Leak");
    scene.leave_in_peace();
}

/// More than the rule allows, for a moment.
pub(super) fn connections_that_are_closed_late(tier: Tier) {
    let mut scene = Scene::set(tier, "keeps", "close_wait=20 socket_stall=2");
    drop(clients(scene.port, 25));
    let mut diag = SockDiag::of(scene.pid()).unwrap();
    until("all are taken", || diag.close_waits(scene.port).unwrap().len() >= 25);
    signal(scene.pid(), libc::SIGUSR1);
    assert_eq!(scene.during(Duration::from_secs(Block::SHORTEST as u64 + 2)), [] as [String; 0]);
    scene.leave_in_peace();
}

/// However few they are. (Its own checks leave some, too.)
pub(super) fn one_that_is_not_closed_for_long(tier: Tier) {
    let mut scene = Scene::set_every(Block::SHORTEST, tier, "keeps", "close_wait_age=15");
    drop(clients(scene.port, 1));
    let (before, measure) = scene.told("Socket CLOSE_WAIT Leak");
    assert_eq!(before, [] as [String; 0]);
    let (count, age) = measure.split_once(" that the service does not close, the oldest for ").unwrap();
    assert!((1..=6).contains(&number(count)), "{measure}");
    let seconds: f64 = age.strip_suffix(" s").unwrap().parse().unwrap();
    assert!(seconds >= 15.0, "{measure}");
    signal(scene.pid(), libc::SIGUSR1);
    scene.is_over("Socket CLOSE_WAIT Leak");
    scene.leave_in_peace();
}

pub(super) fn and_that_is_a_stall(tier: Tier) {
    let mut scene = Scene::set(tier, "keeps", "close_wait=20 socket_stall=2");
    let svc = scene.host.svc();
    drop(clients(scene.port, 25));
    scene.told("Socket CLOSE_WAIT Leak");
    let (between, _) = scene.told("Find Socket Service Stall");
    assert_eq!(between, [] as [String; 0], "it answers all the time");
    assert_eq!(scene.service.end(), Some(libc::SIGKILL));
    scene.pcheck.until(&format!("({svc} ,pid="));
}

pub(super) fn descriptors(tier: Tier) {
    // On tier `ebpf` the number of connections leads to a look, long before the next check.
    let mut scene = Scene::set(tier, "keeps nofile=40", "");
    // Beside these it has standard input and its like, its listener, and what tells of the end of the test.
    let clients = clients(scene.port, 32);
    let (before, measure) = scene.told("Socket Descriptor Shortage");
    assert_eq!(before, [] as [String; 0]);
    assert!(measure.ends_with(" of 40 descriptors") && (36..=40).contains(&number(&measure)), "{measure}");
    signal(scene.pid(), libc::SIGUSR1);
    scene.is_over("Socket Descriptor Shortage");
    drop(clients);
    scene.leave_in_peace();
}

/// One process listens, and another accepts.
pub(super) fn descriptors_of_a_worker(tier: Tier) {
    // With the first it lets go of what it has inherited from the test.
    let mut scene = Scene::set(tier, "keeps nofile=200 prefork=40", "");
    let children = || proc::children(scene.pid());
    until("it has its worker", || children().len() == 1);
    let worker = children()[0];
    let clients = clients(scene.port, 32);
    let (before, measure) = scene.told("Socket Descriptor Shortage");
    assert_eq!(before, [] as [String; 0]);
    let whose = format!(" of 40 descriptors of its child {worker}");
    assert!(measure.ends_with(&whose) && (36..=40).contains(&number(&measure)), "{measure}");
    signal(worker, libc::SIGUSR1);
    scene.is_over("Socket Descriptor Shortage");
    drop(clients);
    scene.leave_in_peace();
}

pub(super) fn nobody_listens_any_more(tier: Tier) {
    no_listener(tier, "closes");
}

pub(super) fn nobody_listens_by_ipv6(tier: Tier) {
    no_listener(tier, "six closes");
}

fn no_listener(tier: Tier, words: &str) {
    let mut scene = Scene::set(tier, words, "");
    signal(scene.pid(), libc::SIGUSR1);
    // It comes before the verdict of any check, which it hastens.
    let (before, measure) = scene.told("Socket Listener Gone");
    assert!(measure.is_empty() && (before.is_empty() || tier != Tier::Ebpf), "{before:#?}");
    scene.pcheck.kill();
}
