//! A process is found, dies, and is brought back (checks 2, 4, 5 and 6 of the spec).

use std::collections::BTreeMap;

use watcher::sys::{clock, proc};
use watcher_abi::NS_PER_TICK;
use watcher_tests::{
    host::{Host, Tier, lives, on_each_tier},
    pcheck::Pcheck,
    wait::until,
};

#[test]
fn a_killed_process_is_restarted_once_and_everything_is_counted() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let body = format!("env > ${{H}}env\n{} </dev/null >/dev/null 2>&1 &", host.command("second"));
        let script = host.script("start.sh", &body);
        host.rules(&format!("{svc}:{script}:86400:3:exit"));
        let first = host.start("first");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        assert_eq!(pcheck.up(&svc), first.pid);
        let before = host.entry(1);
        assert_eq!((&before["proc_sts"], &before["rerun_unix_time"]), (&"AVAIL".into(), &serde_json::Value::Null));
        first.kill();
        assert_eq!(pcheck.line(), format!("Process [{svc},pid={}] Down", first.pid));
        if tier == Tier::Ebpf {
            let line = pcheck.line();
            let begin = format!("Process [{svc},pid={}] killed by SIGKILL sent by ", first.pid);
            let by = format!(" (pid {}, uid 0)", std::process::id());
            assert!(line.starts_with(&begin) && line.ends_with(&by), "{line}");
        }
        pcheck.expect([format!("Try to restart ({svc})")]);
        let second = pcheck.up(&svc);
        assert_ne!(second, first.pid);
        let entry = host.entry(1);
        assert_eq!(entry["pid"], second.number());
        assert_eq!((&entry["retry_count"], &entry["restart_count"]), (&1.into(), &1.into()));
        assert_eq!((&entry["proc_sts"], &entry["doing"]), (&"AVAIL".into(), &"watching".into()));
        assert!(entry["rerun_unix_time"].is_number(), "{entry}");
        assert_eq!(pcheck.stop(), [] as [String; 0]);
        assert!(lives(second), "the process lives on");

        let environment = host.read("env");
        let environment: BTreeMap<_, _> = environment.lines().filter_map(|line| line.split_once('=')).collect();
        let (first, caused) = (first.pid.to_string(), environment["PS_CAUSE"].starts_with("killed by SIGKILL"));
        for (name, value) in [
            ("PS_PNAME", svc.as_str()),
            ("PS_PENT_ID", "1"),
            ("PS_PID", &first),
            ("PS_RETRY_COUNT", "1"),
            ("PS_EXIT_CODE", ""),
            ("PS_SIGNAL", if caused { "SIGKILL" } else { "" }),
        ] {
            assert_eq!(environment.get(name), Some(&value), "{tier:?}: {name}");
        }
        // Before Linux 6.15 a pidfd does not tell how a process ended that was reaped at once.
        assert!(caused || [Tier::Pidfd, Tier::Poll].contains(&tier));
        // Polling may find the remains before they are reaped.
        assert!(["down", "zombie"].contains(&environment["PS_REASON"]), "{}", environment["PS_REASON"]);
        assert_eq!(environment.get("PWD"), Some(&"/"));
    });
}

#[test]
fn without_a_process_at_the_start_one_is_started() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        host.rules(&format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "")));
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.expect([format!("Set pid fail ({svc})"), format!("Try to restart ({svc})")]);
        let pid = pcheck.up(&svc);
        assert_eq!((host.pid_of(1), host.entry(1)["retry_count"].as_u64()), (pid, Some(1)), "it counts as a retry");
    });
}

#[test]
fn a_daemon_that_forks_twice_is_watched_itself_and_not_who_started_it() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        // It says nothing of its end: its starter ends at once, with code 0.
        host.rules(&format!("{svc}:{}:86400:3:exit", host.script("start.sh", &host.command("daemon"))));
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.expect([format!("Set pid fail ({svc})"), format!("Try to restart ({svc})")]);
        let pid = pcheck.up(&svc);
        host.padmin("stop");
        assert!(lives(pid), "the starter was taken for the daemon");
        assert_eq!(host.entry(1)["restart_count"], 1);
    });
}

#[test]
fn a_zombie_is_dead_and_one_that_is_found_is_not_taken_for_the_process() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        host.rules(&format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "")));
        // Its parent, this test, does not reap it.
        let mut first = host.spawn("svc", "");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        assert_eq!(pcheck.up(&svc).number(), first.id());
        first.kill().unwrap();
        pcheck.expect([format!("Process [{svc},pid={}] Down", first.id()), format!("Try to restart ({svc})")]);
        let second = pcheck.up(&svc);
        assert!(second.number() != first.id() && lives(second));
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", first.id())).unwrap();
        assert!(stat.contains(") Z "), "it was reaped by somebody: {stat}");
        pcheck.stop();
        watcher_tests::host::kill(second);
        until("it has gone", || !lives(second));
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.expect([format!("Set pid fail ({svc})"), format!("Try to restart ({svc})")]);
        pcheck.up(&svc);
        first.wait().unwrap();
    });
}

#[test]
fn of_two_processes_of_one_program_the_strings_choose() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let (one, two) = (host.restarts("one.sh", "apache tomcat one"), host.restarts("two.sh", "other two"));
        host.rules(&format!(
            "{svc}:{one}:86400:3:exit:include_strings=apache&tomcat\n{svc}:{two}:86400:3:exit:exclude_strings=tomcat"
        ));
        // The younger one, with the longer name, and one that has only one of the words.
        let other = host.start("other apache");
        let tomcat = host.start("apache tomcat");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        assert_eq!([pcheck.up(&svc), pcheck.up(&svc)], [tomcat.pid, other.pid]);
        assert_eq!(host.entry(1)["include_strings"], "apache&tomcat");
        tomcat.kill();
        pcheck.expect([format!("Process [{svc},pid={}] Down", tomcat.pid), format!("Try to restart ({svc})")]);
        let command_line = std::fs::read_to_string(format!("/proc/{}/cmdline", pcheck.up(&svc))).unwrap();
        assert!(command_line.contains("tomcat\0one"), "{command_line:?}");
        other.kill();
        pcheck.expect([format!("Process [{svc},pid={}] Down", other.pid), format!("Try to restart ({svc})")]);
        let command_line = std::fs::read_to_string(format!("/proc/{}/cmdline", pcheck.up(&svc))).unwrap();
        assert!(command_line.contains("other\0two"), "{command_line:?}");
        let counts = [1, 2].map(|entry| host.entry(entry)["restart_count"].as_u64());
        assert_eq!(counts, [Some(1), Some(1)]);
    });
}

#[test]
fn the_workers_of_a_fork_server_are_not_taken_for_it() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        // After an interval without a new one, a process of that name is better than none: on a busy host a second is short.
        let entry = format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "workers=2"));
        host.write("pfile", &format!("IPCKEY 0x1\nMONITOR_INTERVAL 5\n{entry}\n"));
        let first = host.start("workers=2");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        assert_eq!(pcheck.up(&svc), first.pid, "the oldest is watched");
        // Its workers outlive it. Start times are told in hundredths of a second, and by a look that is heard of later: who
        // began just before the death counts as new. So they are not to be that young.
        until("it has workers", || proc::children(first.pid).len() == 2);
        let workers = proc::children(first.pid).into_iter().filter_map(|pid| proc::facts(pid).unwrap());
        let youngest = workers.map(|facts| facts.proc.start.0).max().unwrap();
        until("they are older", || clock::since_boot().0 / NS_PER_TICK > youngest + 100);
        first.kill();
        pcheck.expect([format!("Process [{svc},pid={}] Down", first.pid), format!("Try to restart ({svc})")]);
        let second = pcheck.up(&svc);
        // A worker would never have any.
        until("it has workers", || proc::children(second).len() == 2);
    });
}
