//! What operators order by padmin, and what they are told (checks 1 and 8 of the spec).

use watcher_tests::{
    host::{Host, Service, Tier, lives, on_each_tier, signal},
    pcheck::Pcheck,
    program::{run, watcher},
    wait::until,
};

/// Two entries that are up: the processes, and their paths.
fn two(host: &Host, tier: Tier) -> (Pcheck, [Service; 2], [String; 2]) {
    let paths = [host.svc(), host.install("other")];
    let script = |name: &str| host.script(&format!("{name}.sh"), &format!("${{H}}{name} </dev/null >/dev/null 2>&1 &"));
    let entries = ["svc", "other"].map(|name| format!("{}:{}:86400:3:exit", host.path(name), script(name)));
    host.rules(&entries.join("\n"));
    let services = [host.start(""), host.start_as("other", "")];
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    for (path, service) in paths.iter().zip(&services) {
        assert_eq!(pcheck.up(path), service.pid);
    }
    (pcheck, services, paths)
}

#[test]
fn a_process_that_dies_in_a_pause_is_found_when_watching_goes_on() {
    on_each_tier(|tier| {
        let host = Host::new();
        let (mut pcheck, [svc, other], [svc_path, other_path]) = two(&host, tier);
        let stop = host.padmin("stop 1");
        assert_eq!((stop.code, stop.stdout.as_str()), (Some(0), ""));
        assert!(stop.stderr.ends_with(&format!(": Command execute. [stop 1] pfile='{}'\n", host.pfile())));
        svc.kill();
        svc.end();
        // The other one dies later, and is dealt with: nothing was done about the first.
        other.kill();
        pcheck.expect([
            format!("Process [{other_path},pid={}] Down", other.pid),
            format!("Try to restart ({other_path})"),
        ]);
        pcheck.up(&other_path);
        let entry = host.entry(1);
        assert_eq!((&entry["proc_sts"], &entry["doing"]), (&"AVAIL".into(), &"paused".into()), "as before the pause");
        assert_eq!((&entry["monitored"], &entry["restart_count"]), (&false.into(), &0.into()));
        assert_eq!(host.padmin("start 1").code, Some(0));
        pcheck.expect([format!("Process [{svc_path},pid={}] Down", svc.pid), format!("Try to restart ({svc_path})")]);
        pcheck.up(&svc_path);
        assert_eq!(host.entry(1)["restart_count"], 1);
    });
}

#[test]
fn a_pause_of_all_in_which_nothing_happens_is_not_noticed() {
    on_each_tier(|tier| {
        let host = Host::new();
        let (pcheck, ..) = two(&host, tier);
        for (command, monitored) in
            [("stop", false), ("stop", false), ("reload", false), ("start", true), ("start", true)]
        {
            assert_eq!(host.padmin(command).code, Some(0));
            until("it has effect", || [1, 2].iter().all(|entry| host.entry(*entry)["monitored"] == monitored));
        }
        until("both were found", || [1, 2].iter().all(|entry| host.entry(*entry)["doing"] == "watching"));
        assert_eq!(pcheck.stop(), ["Reloaded: 2 unchanged, 0 changed, 0 new, 0 removed"]);
    });
}

#[test]
fn values_are_set_until_the_next_reload_and_shown() {
    on_each_tier(|tier| {
        let host = Host::new();
        let (mut pcheck, [svc, _other], [svc_path, _]) = two(&host, tier);
        assert_eq!(host.padmin("set 1 retry 0").code, Some(0));
        assert_eq!(host.padmin("set grace 7").code, Some(0));
        assert_eq!(host.padmin("set interval 2").code, Some(0));
        pcheck.expect([
            format!("({svc_path}) Set retry 0"),
            "Set grace 7 of all entries".to_owned(),
            "Set MONITOR_INTERVAL 2".to_owned(),
        ]);
        let values = |entry| [host.entry(entry)["retries"].as_u64(), host.entry(entry)["grace_s"].as_u64()];
        assert_eq!([values(1), values(2)], [[Some(0), Some(7)], [Some(3), Some(7)]]);
        assert!(host.padmin("show param").stdout.contains("\nmonitor_interval     = 2\n"));
        assert_eq!(host.padmin("reload").code, Some(0));
        pcheck.expect(["Reloaded: 2 unchanged, 0 changed, 0 new, 0 removed"]);
        assert_eq!([values(1), values(2)], [[Some(3), Some(86_400)]; 2]);
        assert!(host.padmin("show param").stdout.contains("\nmonitor_interval     = 1\n"));
        assert_eq!(host.padmin("set 1 retry 0").code, Some(0));
        svc.kill();
        let (lines, code) = pcheck.end();
        assert_eq!(code, Some(4), "no retry is left: {lines:#?}");
        assert_eq!(lines.last().unwrap(), &format!("({svc_path}) FATAL"));
    });
}

#[test]
fn entries_are_shown_as_the_original_shows_them() {
    on_each_tier(|tier| {
        let host = Host::new();
        let (mut pcheck, [svc, other], [svc_path, other_path]) = two(&host, tier);
        let shown = |pid, count: u32, rerun: &str| {
            format!(
                "pname                = {svc_path}\n\
                 pid                  = {pid}\n\
                 retry_count          = {count}\n\
                 restart_count        = {count}\n\
                 proc_sts             = AVAIL\n\
                 retry_over_act       = exit\n\
                 rerun_time           = {rerun}\n\
                 pent_id              = 1\n\
                 monitor_sts          = on\n"
            )
        };
        assert_eq!(host.padmin("show pent 1").stdout, shown(svc.pid, 0, "--------"));
        let both = host.padmin("show pent").stdout;
        assert!(both.starts_with(&format!("{}\npname ", shown(svc.pid, 0, "--------"))), "{both}");
        assert!(
            both.contains(&format!("\npname                = {other_path}\npid                  = {}\n", other.pid))
        );
        svc.kill();
        pcheck.until("Try to restart");
        let pid = pcheck.up(&svc_path);
        let after = host.padmin("show pent 1").stdout;
        let rerun = after.lines().find_map(|line| line.strip_prefix("rerun_time           = ")).unwrap();
        // Such as `Wed Oct 12 10:40:48 2011`.
        assert_eq!((rerun.len(), rerun.split_whitespace().count()), (24, 5), "{rerun}");
        assert_eq!(after, shown(pid, 1, rerun));
    });
}

#[test]
fn what_cannot_be_done_is_refused_with_a_sentence_and_a_code() {
    on_each_tier(|tier| {
        let host = Host::new();
        let absent = host.padmin("stop");
        assert_eq!(absent.code, Some(2), "{}", absent.stderr);
        let (pcheck, ..) = two(&host, tier);
        for command in ["stop 3", "start 3", "set 3 retry 1", "show pent 3"] {
            let refused = host.padmin(command);
            assert_eq!(refused.code, Some(3), "{command}");
            assert!(refused.stderr.contains("there is no entry 3: the pfile has entries 1 to 2"), "{}", refused.stderr);
        }
        for command in ["stop x", "stop 0", "frobnicate", "set retry", "set interval 0", "show"] {
            let wrong = host.padmin(command);
            assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(1), ""), "{command}");
            assert!(!wrong.stderr.contains("Command execute"), "{command}: {}", wrong.stderr);
        }
        assert_eq!(run(&mut watcher(["padmin", "--nonsense"])).code, Some(1));
        assert_eq!(run(&mut watcher(["padmin", "-c", "stop"])).code, Some(1), "which pcheck?");
        // Which pcheck is known by the file, whatever it is called.
        std::fs::hard_link(host.pfile(), host.path("link")).unwrap();
        let link = host.path("link");
        let by_link = run(&mut watcher(["padmin", "-f", &link, "--run-dir", &host.run_dir(), "-c", "dump"]));
        assert_eq!(by_link.code, Some(0), "{}", by_link.stderr);
        until("it is written", || !host.read("dump").is_empty());
        let listed = run(&mut watcher(["padmin", "-l", "--json", "--run-dir", &host.run_dir()]));
        let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
        let pcheck_there = &listed["pchecks"][0];
        assert_eq!((&pcheck_there["pid"], &pcheck_there["entries"]), (&pcheck.pid().number().into(), &2.into()));
        assert_eq!((&pcheck_there["tier"], &pcheck_there["pfile"]), (&tier.name().into(), &host.pfile().into()));
        assert_eq!(pcheck.stop(), [] as [String; 0]);
    });
}

#[test]
fn shutdown_ends_pcheck_and_the_processes_live_on() {
    on_each_tier(|tier| {
        let host = Host::new();
        let (pcheck, services, _) = two(&host, tier);
        let shutdown = host.padmin("shutdown");
        assert_eq!((shutdown.code, shutdown.stdout.as_str()), (Some(0), ""));
        assert!(shutdown.stderr.ends_with(&format!(": Command execute. [shutdown] pfile='{}'\n", host.pfile())));
        assert_eq!(pcheck.end(), (vec!["Stop pcheck!!".to_owned()], Some(0)));
        assert!(services.iter().all(|service| lives(service.pid)));
        assert!(!host.own_dir().join("state").exists(), "an orderly end leaves nothing to take up");
        assert_eq!(host.padmin("start").code, Some(2));
    });
}

#[test]
fn a_pcheck_that_does_not_answer_is_given_up_after_its_time_and_told() {
    let host = Host::new();
    let (pcheck, ..) = two(&host, Tier::best());
    signal(pcheck.pid(), libc::SIGSTOP);
    let began = std::time::Instant::now();
    let silent = host.padmin("show pent");
    assert_eq!((silent.code, silent.stdout.as_str()), (Some(4), ""), "{}", silent.stderr);
    // MSG_CHECK_INTERVAL and five seconds.
    assert!(began.elapsed().as_secs() >= 6, "{:?}", began.elapsed());
    signal(pcheck.pid(), libc::SIGCONT);
    assert_eq!(host.padmin("show pent").code, Some(0));
    assert_eq!(pcheck.stop(), [] as [String; 0]);
}
