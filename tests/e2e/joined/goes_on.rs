//! One side goes, and the other goes on: nothing is unwatched, and nothing is done twice.

use std::{os::unix::net::UnixDatagram, time::Duration};

use watcher_core::Pid;
use watcher_tests::{
    host::{Tier, kill, lives, on_each_tier},
    pcheck::Pcheck,
    wait::until,
};

use super::{House, has_programs, is_unwatched, together};
use crate::waiting::{is_known, waiting};

/// How the daemon goes.
const WAYS: [(i32, &str); 2] = [
    (libc::SIGTERM, "watcher run ends: this pcheck goes on by itself"),
    (libc::SIGKILL, "watcher run has vanished: this pcheck goes on by itself"),
];

#[test]
fn when_the_daemon_goes_it_takes_over() {
    on_each_tier(|tier| {
        for (signal, line) in WAYS {
            let (house, service, daemon, mut pcheck) = together(tier, "5:exit");
            let (host, svc) = (&house.host, house.host.svc());
            service.kill();
            pcheck.until(" Up");
            let before = host.pid_of(1);
            daemon.signal(signal);
            pcheck.until(line);
            pcheck.until("Start pcheck: 1 entry of ");
            assert_eq!(pcheck.up(&svc), before, "it is watched again");
            assert_eq!(host.entry(1)["restart_count"], 1, "counts are kept");
            assert_eq!(host.entry(1)["retry_count"], 1);
            assert_eq!(house.starts(), 1);
            kill(before);
            pcheck.until(&format!("Try to restart ({svc})"));
            pcheck.up(&svc);
            assert_eq!(house.starts(), 2);
            let (lines, code) = daemon.end();
            let stopped = signal == libc::SIGTERM;
            assert_eq!(code, stopped.then_some(0), "{lines:#?}");
            assert_eq!(lines.iter().filter(|line| line.contains("Stop pcheck!!")).count(), usize::from(stopped));
            pcheck.stop();
        }
    });
}

#[test]
fn a_script_that_runs_when_the_daemon_goes_is_waited_for_and_not_run_twice() {
    on_each_tier(|tier| {
        for (signal, line) in WAYS {
            let house = House::new(tier);
            let (host, svc) = (&house.host, house.host.svc());
            let gate = host.gate("gate");
            let body = format!(
                "echo x >> ${{H}}starts; echo $$ > ${{H}}script; read go < {gate}; {svc} >/dev/null 2>&1 </dev/null &"
            );
            host.rules(&format!("{svc}:{}:86400:5:exit", host.script("start.sh", &body)));
            let service = host.start("");
            let mut daemon = house.daemon();
            let mut pcheck = house.joined(&mut daemon);
            pcheck.up(&svc);
            service.kill();
            pcheck.until("Try to restart");
            until("the script runs", || !host.read("script").trim().is_empty());
            let script = Pid::new(host.read("script").trim().parse().unwrap()).unwrap();
            daemon.signal(signal);
            pcheck.until(line);
            pcheck.until("Start pcheck: 1 entry of ");
            assert!(lives(script));
            std::fs::write(&gate, "go\n").unwrap();
            pcheck.up(&svc);
            assert_eq!(house.starts(), 1, "one death, one script");
            until("the script was reaped", || watcher::sys::proc::facts(script).unwrap().is_none());
            pcheck.stop();
        }
    });
}

#[test]
fn when_it_is_killed_the_daemon_leaves_what_a_killed_pcheck_leaves() {
    on_each_tier(|tier| {
        let (house, service, mut daemon, mut pcheck) = together(tier, "5:exit");
        let host = &house.host;
        service.kill();
        pcheck.until(" Up");
        let pid = host.pid_of(1);
        pcheck.kill();
        daemon.until("nobody watches it any more");
        is_unwatched(&house);
        assert!(host.own_dir().join("state").exists());
        kill(pid);
        // Joined again, and alone: what died meanwhile is found, and counted on.
        let mut second = house.joined(&mut daemon);
        second.until("Try to restart");
        second.until(" Up");
        assert_eq!(host.entry(1)["retry_count"], 2);
        second.kill();
        daemon.until("nobody watches it any more");
        let mut third = Pcheck::started(house.pcheck().args(["--standalone", "--tier", tier.name()]));
        third.until(" Up");
        assert_eq!(has_programs(&third), tier == Tier::Ebpf);
        assert_eq!(host.entry(1)["retry_count"], 2);
        third.stop();
        daemon.stop();
    });
}

#[test]
fn who_waits_for_the_end_goes_along_and_sees_what_vanishes() {
    let (house, service, daemon, mut pcheck) = together(Tier::best(), "0:exit");
    let host = &house.host;
    let mut first = waiting(host, "pfile");
    daemon.stop();
    pcheck.until(" Up");
    // It waits on.
    is_known(&mut first);
    service.kill();
    assert_eq!(first.end(), Some(4));
    assert_eq!(pcheck.end().1, Some(4));
    let _service = host.start("");
    let mut daemon = house.daemon();
    let mut pcheck = house.joined(&mut daemon);
    pcheck.until(" Up");
    let mut second = waiting(host, "pfile");
    pcheck.kill();
    assert_eq!(second.end(), Some(6), "nobody watches any more");
    daemon.until("nobody watches it any more");
    daemon.stop();
}

#[test]
fn a_daemon_that_is_stopped_does_not_keep_it_from_ending() {
    let (_house, _service, mut daemon, pcheck) = together(Tier::best(), "3:exit");
    daemon.signal(libc::SIGSTOP);
    pcheck.signal(libc::SIGTERM);
    let (lines, code) = pcheck.end();
    assert_eq!(code, Some(0), "{lines:#?}");
    assert!(lines.last().unwrap().starts_with("watcher run does not end the watch"), "{lines:#?}");
    daemon.signal(libc::SIGCONT);
    daemon.until("Ended: pcheck[");
    daemon.stop();
}

#[test]
fn a_daemon_that_is_stopped_is_noticed_and_the_watchdog_is_not_fed_in_its_name() {
    let house = House::new(Tier::best());
    let host = &house.host;
    host.rules(&house.counts("3:exit"));
    let _service = host.start("");
    let mut daemon = house.daemon();
    let socket = UnixDatagram::bind(host.path("notify")).unwrap();
    socket.set_nonblocking(true).unwrap();
    let fed = || {
        let mut message = [0; 1000];
        let messages = std::iter::from_fn(|| socket.recv(&mut message).ok().map(|length| message[..length].to_vec()));
        messages.filter(|message| message == b"WATCHDOG=1").count()
    };
    let mut command = house.pcheck();
    let mut pcheck = Pcheck::started(command.env("NOTIFY_SOCKET", host.path("notify")).env("WATCHDOG_USEC", "100000"));
    daemon.until("Watched from now on: ");
    pcheck.until(" Up");
    until("the watchdog is fed", || fed() > 0);
    daemon.signal(libc::SIGSTOP);
    pcheck.until("watcher run does not answer: ");
    // What was fed before.
    fed();
    assert_eq!(pcheck.during(Duration::from_secs(1)), [""; 0]);
    assert_eq!(fed(), 0, "nothing is watched");
    daemon.signal(libc::SIGCONT);
    pcheck.until("watcher run answers again");
    until("the watchdog is fed", || fed() > 0);
    pcheck.stop();
    daemon.until("Ended: pcheck[");
    daemon.stop();
}
