//! Retries are used up: `exit`, `shutdown`, `continue` (check 3 of the spec).

use std::time::{Duration, Instant};

use watcher_tests::{
    host::{Host, Tier, on_each_tier},
    pcheck::{Pcheck, is_published},
    wait::until,
};

/// What is told, and the exit code, when the script starts nothing; `action` is that of the entry.
fn over(tier: Tier, action: &str) -> (Vec<String>, Option<i32>, Duration) {
    let host = Host::new();
    let (svc, script) = (host.svc(), host.script("start.sh", "echo run >> ${H}runs"));
    host.rules(&format!("{svc}:{script}:86400:3:{action}"));
    let first = host.start("");
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    assert_eq!(pcheck.up(&svc), first.pid);
    let began = Instant::now();
    first.kill();
    let (lines, code) = pcheck.end();
    let took = began.elapsed();
    assert_eq!(host.read("runs").lines().count(), 3, "three retries are three runs");
    let lines = lines.into_iter().filter(|line| is_published(line));
    let shown = |line: String| line.replace(&svc, "SVC").replace(&format!("pid={}", first.pid), "pid=FIRST");
    (lines.map(shown).collect(), code, took)
}

const DOWN: &str = "Process [SVC,pid=FIRST] Down";
const AGAIN: &str = "Try to restart (SVC)";

#[test]
fn exit_ends_pcheck_with_code_4_and_not_sooner_than_the_original() {
    on_each_tier(|tier| {
        let (lines, code, took) = over(tier, "exit");
        let last = ["(SVC) RETRY_OVER:EXIT", "(SVC) FATAL"];
        assert_eq!(lines, [&[DOWN, AGAIN, DOWN, AGAIN, DOWN, AGAIN, DOWN], last.as_slice()].concat());
        assert_eq!(code, Some(4));
        assert!(took >= Duration::from_secs(3), "three tries last three intervals at least: {took:?}");
    });
}

#[test]
fn shutdown_ends_pcheck_with_code_3_and_without_fatal() {
    on_each_tier(|tier| {
        let (lines, code, took) = over(tier, "SHUTDOWN");
        assert_eq!(lines, [DOWN, AGAIN, DOWN, AGAIN, DOWN, AGAIN, DOWN, "(SVC) RETRY_OVER:SHUTDOWN"]);
        assert_eq!(code, Some(3));
        assert!(took >= Duration::from_secs(3), "{took:?}");
    });
}

#[test]
fn a_process_that_dies_right_after_each_start_costs_an_interval_a_try() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        host.rules(&format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "for=10")));
        let began = Instant::now();
        let (lines, code) = Pcheck::started(&mut host.pcheck(tier)).end();
        assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
        assert_eq!(code, Some(4));
        let tries = lines.iter().filter(|line| line.starts_with("Try to restart")).count();
        assert_eq!(tries, 3, "{lines:#?}");
    });
}

#[test]
fn continue_drops_the_entry_the_others_are_watched_and_start_revives_it() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let other = host.install("other");
        let broken = host.script("start.sh", "test -e ${H}mended && ${H}svc </dev/null >/dev/null 2>&1 &");
        let works = host.script("other.sh", &format!("{other} </dev/null >/dev/null 2>&1 &"));
        host.rules(&format!("{svc}:{broken}:86400:1:continue\n{other}:{works}:86400:3:exit"));
        let (first, second) = (host.start(""), host.start_as("other", ""));
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        assert_eq!((pcheck.up(&svc), pcheck.up(&other)), (first.pid, second.pid));
        first.kill();
        let down = format!("Process [{svc},pid={}] Down", first.pid);
        pcheck.expect([&down, &format!("Try to restart ({svc})"), &down, &format!("({svc}) RETRY_OVER:CONTINUE")]);
        let entry = host.entry(1);
        let stands = [&entry["proc_sts"], &entry["doing"]].map(|value| value.as_str().unwrap().to_owned());
        assert_eq!((stands, &entry["monitored"]), (["UNAVAIL", "gave_up"].map(str::to_owned), &false.into()));
        assert!(host.padmin("show pent 1").stdout.contains("\nmonitor_sts          = off\n"));
        // It stays dropped, even if its process comes back; the other one is watched.
        let back = host.start("");
        second.kill();
        pcheck.expect([format!("Process [{other},pid={}] Down", second.pid), format!("Try to restart ({other})")]);
        pcheck.up(&other);
        back.kill();
        back.end();
        host.write("mended", "");
        assert_eq!(host.padmin("start 1").code, Some(0));
        // That it is down was told long ago.
        pcheck.expect([format!("Try to restart ({svc})")]);
        let pid = pcheck.up(&svc);
        let entry = host.entry(1);
        assert_eq!((&entry["proc_sts"], &entry["pid"]), (&"AVAIL".into(), &pid.number().into()));
        assert_eq!((&entry["retry_count"], &entry["restart_count"]), (&1.into(), &2.into()));
        until("nothing more is told", || host.entry(1)["doing"] == "watching");
        assert_eq!(pcheck.stop(), [] as [String; 0]);
    });
}
