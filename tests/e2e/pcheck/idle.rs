//! An idle daemon does not wake up.

use std::{fs, thread, time::Duration};

use watcher_tests::{
    host::{Host, Tier},
    pcheck::Pcheck,
    wait::until,
};

/// How often each thread of a process went to sleep by itself.
fn wakeups(pcheck: &Pcheck) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", pcheck.pid())).unwrap();
    let of = |status: String| {
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse::<u64>().unwrap()
    };
    // A thread may end meanwhile.
    tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok()).map(of).sum()
}

#[test]
fn with_one_process_that_is_up_nothing_is_done_however_much_others_come_and_go() {
    // Elsewhere pcheck has to look now and then.
    if !Tier::Ebpf.is_wanted() {
        return;
    }
    let host = Host::new();
    let svc = host.svc();
    host.rules(&format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "")));
    let service = host.start("");
    let mut pcheck = Pcheck::started(&mut host.pcheck(Tier::Ebpf));
    assert_eq!(pcheck.up(&svc), service.pid);
    assert_eq!(host.entry(1)["doing"], "watching");
    // Threads that have looked at files end after ten seconds of doing nothing, and are counted no more.
    let threads = || fs::read_dir(format!("/proc/{}/task", pcheck.pid())).unwrap().count();
    until("what the start needed has ended", || threads() == 1);
    let before = wakeups(&pcheck);
    for _ in 0..3 {
        thread::sleep(Duration::from_secs(1));
        // A stranger's life and death, and a process of the same name that is not the one.
        host.start("").kill();
    }
    let after = wakeups(&pcheck);
    assert!(after <= before + 1, "{} wake-ups", after - before);
    assert_eq!(pcheck.stop(), [] as [String; 0]);
}
