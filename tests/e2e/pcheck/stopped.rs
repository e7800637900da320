//! pcheck itself is stopped for longer than all intervals: no burst afterwards, and no verdict without a fresh look.

use watcher_tests::{
    host::{Host, Tier, kill, lives, on_each_tier, signal},
    pcheck::Pcheck,
    wait::until,
};

#[test]
fn what_died_meanwhile_and_was_brought_back_by_somebody_else_is_taken_as_it_is() {
    on_each_tier(|tier| {
        let host = Host::new();
        let (svc, other) = (host.svc(), host.install("other"));
        let count = "echo run >> ${H}runs\n${H}svc </dev/null >/dev/null 2>&1 &";
        let entries = [
            format!("{svc}:{}:86400:9:exit", host.script("start.sh", count)),
            format!("{other}:{}:86400:9:exit", host.script("other.sh", "${H}other </dev/null >/dev/null 2>&1 &")),
        ];
        host.rules(&entries.join("\n"));
        let (first, other_first) = (host.start(""), host.start_as("other", ""));
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        assert_eq!([pcheck.up(&svc), pcheck.up(&other)], [first.pid, other_first.pid]);
        // The first restart, so that the next one has to wait for its time.
        first.kill();
        pcheck.until("Try to restart");
        let second = pcheck.up(&svc);
        kill(second);
        pcheck.until("] Down");
        signal(pcheck.pid(), libc::SIGSTOP);
        let third = host.start("third");
        other_first.kill();
        other_first.end();
        until("it has gone", || !lives(second));
        // Longer than every interval.
        std::thread::sleep(std::time::Duration::from_millis(2_500));
        signal(pcheck.pid(), libc::SIGCONT);
        let mut lines = pcheck.until(&format!("({other} ,pid="));
        until("all is well", || [1, 2].iter().all(|entry| host.entry(*entry)["doing"] == "watching"));
        let now = host.pid_of(1);
        lines.extend(pcheck.stop());
        let has = |line: &str| lines.iter().filter(|other| other.contains(line)).count();
        assert_eq!([has(&format!("({svc} ,pid=")), has(&format!("({svc} ,pid={now}) Up"))], [1, 1], "{lines:#?}");
        assert_eq!(has(&format!("Try to restart ({other})")), 1, "{lines:#?}");
        assert_eq!(has("RETRY_OVER"), 0);
        let restarts = has(&format!("Try to restart ({svc})"));
        assert_eq!(host.read("runs").lines().count(), 1 + restarts);
        // If the time of the next restart came before it was stopped, it has acted; never twice.
        assert!(restarts <= 1 && (restarts == 1 || now == third.pid), "{lines:#?}");
    });
}

#[test]
fn a_death_that_is_learned_of_late_is_looked_into_before_anything_is_started() {
    // Who only looks at intervals does not learn when it was.
    if !Tier::Ebpf.is_wanted() {
        return;
    }
    let host = Host::new();
    let svc = host.svc();
    host.rules(&format!("{svc}:{}:86400:3:exit", host.script("start.sh", "echo run >> ${H}runs")));
    let first = host.start("");
    let mut pcheck = Pcheck::started(&mut host.pcheck(Tier::Ebpf));
    assert_eq!(pcheck.up(&svc), first.pid);
    signal(pcheck.pid(), libc::SIGSTOP);
    first.kill();
    first.end();
    let second = host.start("");
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    signal(pcheck.pid(), libc::SIGCONT);
    pcheck.expect([format!("Process [{svc},pid={}] Down", first.pid)]);
    assert_eq!(pcheck.up(&svc), second.pid);
    assert_eq!((host.read("runs").as_str(), host.entry(1)["restart_count"].as_u64()), ("", Some(0)));
    assert_eq!(pcheck.stop(), [] as [String; 0]);
}
