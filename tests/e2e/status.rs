//! `watcher status`: what an operator, or a monitoring system, is told of everything that is watched.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;
use watcher_core::Pid;
use watcher_tests::{
    host::{Host, PARAM, Service, Tier, kill, on_each_tier},
    pcheck::{Pcheck, die_with_the_test},
    program::{Ended, run, watcher},
    wait::until,
};

fn status(host: &Host, words: &[&str]) -> Ended {
    run(watcher(["status", "--run-dir", &host.run_dir()]).args(words))
}

/// The same as JSON, with the exit code.
fn report(host: &Host, words: &[&str]) -> (i32, Value) {
    let ended = status(host, &[&["--json", "--timeout", "30"], words].concat());
    let report: Value = serde_json::from_str(&ended.stdout).expect(&ended.stderr);
    let code = ended.code.expect("it exits");
    assert_eq!(report["code"], code, "{report:#}");
    (code, report)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

#[test]
fn what_is_well_is_0_what_is_brought_back_is_1_and_what_was_given_up_is_2() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let gate = host.gate("gate");
        let script = host.script("start.sh", "read line < ${H}gate; exit 7");
        host.rules(&format!("{svc}:{script}:86400:1:continue"));
        let nothing = status(&host, &[]);
        assert_eq!(nothing.code, Some(3), "{}", nothing.stderr);
        assert!(nothing.stdout.starts_with("WATCHER UNKNOWN: no pcheck runs (looked in "), "{}", nothing.stdout);

        let service = host.start("");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.until(&format!("({svc} ,pid={}) Up", service.pid));
        let (code, well) = report(&host, &[]);
        assert_eq!((code, &well["health"]), (0, &"ok".into()), "{well:#}");
        assert_eq!(well["counts"]["ok"], 1, "{well:#}");
        assert_eq!(well["pfiles"][0]["pfile"], host.pfile());
        let process = &well["processes"][0];
        assert_eq!(number(&process["pid"]), u64::from(pcheck.pid().number()));
        assert_eq!((&process["tier"], &process["watched"]), (&tier.name().into(), &1.into()), "{process:#}");
        assert!(number(&process["cost"]["rss_bytes"]) > 1 << 20, "{process:#}");
        assert!(
            process["cost"]["cpu_user_s"].as_f64().unwrap() + process["cost"]["cpu_system_s"].as_f64().unwrap() > 0.0
        );
        assert_eq!(process["kernel_programs"].is_object(), tier == Tier::Ebpf, "{process:#}");
        let ends = |report: &Value| number(&report["processes"][0]["events"]["ends"]);
        assert_eq!(ends(&well), 0);

        service.kill();
        pcheck.until("Try to restart");
        until("its script runs", || report(&host, &[]).1["entries"][0]["doing"] == "restarting");
        let (code, down) = report(&host, &[]);
        let entry = &down["entries"][0];
        assert_eq!(
            (code, &entry["health"], &entry["troubles"][0]["trouble"]),
            (1, &"warning".into(), &"restarting".into())
        );
        let why = entry["troubles"][0]["why"].as_str().unwrap();
        assert!(why.starts_with("down for ") && why.ends_with(": its script runs (retry 1 of 1)"), "{why}");
        assert_eq!(
            (&down["processes"][0]["down"], &down["processes"][0]["scripts"]["running"]),
            (&1.into(), &1.into())
        );
        assert!(ends(&down) > 0, "{down:#}");
        assert_eq!(down["processes"][0]["events"]["deaths"] == 1, tier == Tier::Ebpf, "{down:#}");
        let text = status(&host, &[]).stdout;
        let first = text.lines().next().unwrap();
        assert!(first.starts_with(
            "WATCHER WARNING: 1 being restarted; of 1 pfile, 1 entry | pfiles=1 entries=1 ok=0 warning=1 "
        ));
        assert!(
            text.contains(&format!("\nWARNING  {} entry 1 ({svc}, pid {}): down for ", host.pfile(), service.pid)),
            "{text}"
        );

        fs::write(gate, "go\n").unwrap();
        pcheck.until("RETRY_OVER:CONTINUE");
        let (code, over) = report(&host, &[]);
        assert_eq!((code, &over["counts"]["troubles"]["gave_up"]), (2, &1.into()), "{over:#}");
        let why = "given up: its retries are used up (1 of 1); its last script exited with code 7";
        assert_eq!(over["entries"][0]["troubles"][0]["why"], why);
        // Of what is filtered out nothing counts, and a name that nothing has is no good news.
        assert_eq!(report(&host, &["--state", "paused"]).0, 0);
        assert_eq!(report(&host, &["--state", "gave_up", "--process", "sv?"]).0, 2);
        assert_eq!(report(&host, &["--process", "svg"]).0, 3);
        assert_eq!(report(&host, &["-f", "/nonexistent"]).0, 3);
        assert_eq!(report(&host, &["-f", &host.pfile()]).0, 2);
        assert_eq!(status(&host, &["--nonsense"]).code, Some(3), "2 would be an alarm");
        pcheck.stop();
        assert_eq!(report(&host, &[]).0, 3);
    });
}

#[test]
fn who_is_suspended_and_rules_that_were_refused_are_told() {
    let host = Host::new();
    let svc = host.svc();
    host.rules(&format!("{svc}:{}:86400:3:continue", host.restarts("start.sh", "")));
    let service = host.start("");
    let mut pcheck = Pcheck::started(&mut host.pcheck(Tier::best()));
    assert_eq!(pcheck.up(&svc), service.pid);
    assert_eq!(host.padmin("stop").code, Some(0));
    let (code, paused) = report(&host, &[]);
    assert_eq!((code, &paused["entries"][0]["troubles"][0]["trouble"]), (1, &"paused".into()), "{paused:#}");
    assert_eq!(report(&host, &["--paused-ok"]).0, 0);
    assert_eq!(host.padmin("start").code, Some(0));
    until("it is watched again", || report(&host, &[]).0 == 0);
    let good = host.read("pfile");
    host.write("pfile", "IPCKEY 0x1\n/bin/x:/bin/y:1\n");
    assert_eq!(host.padmin("reload").code, Some(3));
    let (code, refused) = report(&host, &[]);
    assert_eq!((code, &refused["pfiles"][0]["health"]), (1, &"warning".into()), "{refused:#}");
    let why = refused["problems"][0]["why"].as_str().unwrap();
    assert!(why.contains(": the last reload was refused, and the old rules are in force: "), "{why}");
    assert!(refused["pfiles"][0]["refused"]["why"].as_str().unwrap().contains("pfile:2:"), "{refused:#}");
    assert_eq!(refused["entries"][0]["health"], "ok");
    host.write("pfile", &good);
    assert_eq!(host.padmin("reload").code, Some(0));
    until("all is well", || report(&host, &[]).0 == 0);
    pcheck.stop();
}

/// A pcheck for a pfile and a service of this name, in the run directory of the host.
fn second(host: &Host, name: &str, key: u32, words: &[&str]) -> (Service, Pcheck) {
    let path = host.install(name);
    let script = host.script(&format!("{name}.sh"), &format!("{path} >/dev/null 2>&1 </dev/null &"));
    let entry = format!("{path}:{script}:86400:3:continue\n");
    let pfile = host.write(&format!("{name}.pfile"), &format!("{}{entry}", PARAM.replace("0x1", &format!("{key:#x}"))));
    let service = host.start_as(name, "");
    let mut pcheck = watcher(["pcheck", "-f", &pfile, "--run-dir", &host.run_dir(), "--log", "stderr"]);
    die_with_the_test(pcheck.args(words));
    let mut pcheck = Pcheck::started(&mut pcheck);
    assert_eq!(pcheck.up(&path), service.pid);
    (service, pcheck)
}

#[test]
fn one_that_hangs_or_was_killed_is_an_alarm_and_hides_no_other() {
    let host = Host::new();
    let (_one, first) = second(&host, "one", 0x11, &[]);
    let (_two, other) = second(&host, "two", 0x12, &[]);
    assert_eq!(report(&host, &[]).1["counts"]["ok"], 2);
    first.signal(libc::SIGSTOP);
    // The other one has as long to answer.
    let ended = status(&host, &["--json", "--timeout", "5"]);
    let stopped: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, &stopped["health"]), (Some(2), &"critical".into()), "{stopped:#}");
    let problem = &stopped["problems"][0];
    assert_eq!(number(&problem["pid"]), u64::from(first.pid().number()));
    assert!(
        problem["why"].as_str().unwrap().ends_with(": no answer within 5 s: is it stopped, or very busy?"),
        "{problem}"
    );
    assert_eq!(problem["pfile"], host.path("one.pfile"));
    let told: Vec<_> = stopped["entries"].as_array().unwrap().iter().map(|entry| entry["process"].clone()).collect();
    assert_eq!(told, [host.path("two")]);
    // Nobody else is asked.
    assert_eq!(report(&host, &["-f", &host.path("two.pfile")]).0, 0);
    first.signal(libc::SIGCONT);
    assert_eq!(report(&host, &[]).0, 0);
    first.kill();
    let (code, killed) = report(&host, &[]);
    assert_eq!((code, &killed["problems"][0]["health"]), (2, &"critical".into()), "{killed:#}");
    let why = killed["problems"][0]["why"].as_str().unwrap();
    assert!(why.starts_with(&format!("the pcheck of {} was killed, ", host.path("one.pfile"))), "{why}");
    fs::remove_dir_all(host.folder.path().join("run/00000011")).unwrap();
    assert_eq!(report(&host, &[]).0, 0);
    other.stop();
}

/// A daemon over this folder of the host, with two scripts at once.
fn daemon(host: &Host) -> Command {
    let mut command = host.run("rules.d");
    command.args(["--tier", Tier::best().name(), "--scripts", "2"]);
    command
}

/// What nobody watches has no entries to be in trouble.
#[test]
fn pfiles_that_are_not_watched_or_not_any_more_are_no_good_news() {
    let host = Host::new();
    fs::create_dir(host.path("rules.d")).unwrap();
    for (name, key, action) in [("dies", "0x11", "0:exit"), ("lives", "0x12", "3:continue")] {
        let path = host.install(name);
        let script = host.script("none.sh", ":");
        host.write(
            &format!("rules.d/{name}.pfile"),
            &format!("{}{path}:{script}:60:{action}\n", PARAM.replace("0x1", key)),
        );
    }
    let broken = host.write("rules.d/broken.pfile", "IPCKEY 0x13\n/bin/x:/bin/y:1\n");
    let (dies, _lives) = (host.start_as("dies", ""), host.start_as("lives", ""));
    let mut daemon = Pcheck::start(&mut daemon(&host));
    daemon.until(" Up");
    daemon.until(" Up");
    let why = |report: &Value| report["problems"][0]["why"].as_str().unwrap().to_owned();
    let (code, refused) = report(&host, &[]);
    assert_eq!((code, &refused["problems"][0]["health"], &refused["counts"]["ok"]), (1, &"warning".into(), &2.into()));
    assert!(why(&refused).starts_with(&format!("{broken}: not watched by process ")), "{refused:#}");
    fs::remove_file(broken).unwrap();
    daemon.signal(libc::SIGHUP);
    until("it is forgotten with its file", || report(&host, &[]).0 == 0);
    dies.kill();
    daemon.until("Not watched any more: ");
    let (code, over) = report(&host, &[]);
    assert_eq!((code, &over["problems"][0]["health"], &over["counts"]["ok"]), (2, &"critical".into(), &1.into()));
    assert!(
        why(&over).starts_with(&format!("{}: not watched any more by ", host.path("rules.d/dies.pfile"))),
        "{over:#}"
    );
    assert!(why(&over).ends_with(": RETRY_OVER:EXIT"), "{over:#}");
    let _again = host.start_as("dies", "");
    daemon.signal(libc::SIGHUP);
    daemon.until(" Up");
    assert_eq!(report(&host, &[]).0, 0, "it is taken on anew");
    daemon.stop();
}

/// It has no socket of a pfile any more at which it could be asked.
#[test]
fn a_daemon_that_watches_nothing_any_more_says_why_whatever_else_is_well() {
    let host = Host::new();
    fs::create_dir(host.path("rules.d")).unwrap();
    let (dies, script) = (host.install("dies"), host.script("none.sh", ":"));
    let text = format!("{}{dies}:{script}:60:0:exit\n", PARAM.replace("0x1", "0x11"));
    let pfile = host.write("rules.d/dies.pfile", &text);
    let service = host.start_as("dies", "");
    let mut daemon = Pcheck::start(&mut daemon(&host));
    daemon.until(" Up");
    service.kill();
    daemon.until("Not watched any more: ");
    // A moment later all is given up that it held.
    until("nothing else is told", || report(&host, &[]).1["problems"].as_array().unwrap().len() == 1);
    let why = format!("{pfile}: not watched any more by process {}: RETRY_OVER:EXIT", daemon.pid());
    // Who watches is told, too.
    let gave_up = |words: &[&str], processes: usize| {
        let (code, report) = report(&host, words);
        let problems: Vec<_> = report["problems"].as_array().unwrap().iter().map(|one| one["why"].clone()).collect();
        assert_eq!((code, problems), (2, vec![Value::from(why.as_str())]), "{report:#}");
        assert_eq!(report["processes"].as_array().unwrap().len(), processes, "{report:#}");
    };
    gave_up(&[], 1);
    gave_up(&["-f", &pfile], 0);
    let (_one, joined) = second(&host, "one", 0x12, &[]);
    daemon.until("Watched from now on: ");
    gave_up(&[], 1);
    assert_eq!(report(&host, &["-f", &host.path("one.pfile")]).0, 0);
    joined.stop();
    daemon.until("Ended: pcheck[");
    let (_two, alone) = second(&host, "two", 0x13, &["--standalone"]);
    gave_up(&[], 2);
    assert_eq!(report(&host, &["-f", &host.path("two.pfile")]).0, 0);
    alone.stop();
    fs::remove_file(pfile).unwrap();
    daemon.signal(libc::SIGHUP);
    until("it is forgotten with its file", || report(&host, &[]).0 == 3);
    let (_, idle) = report(&host, &[]);
    let summary = format!("process {} (watcher run) watches no pfile at present", daemon.pid());
    assert_eq!((&idle["summary"], &idle["processes"][0]["pfiles"]), (&summary.into(), &0.into()), "{idle:#}");
    daemon.signal(libc::SIGSTOP);
    let stopped = status(&host, &["--timeout", "1"]);
    assert_eq!(stopped.code, Some(2), "{}", stopped.stdout);
    assert!(stopped.stdout.contains("watcher run: no answer within 1 s: is it stopped"), "{}", stopped.stdout);
    daemon.signal(libc::SIGCONT);
    daemon.stop();
}

#[test]
fn a_pcheck_that_had_joined_and_was_killed_is_an_alarm_as_one_alone_would_be() {
    let host = Host::new();
    fs::create_dir(host.path("rules.d")).unwrap();
    let mut daemon = Pcheck::start(&mut daemon(&host));
    daemon.until("No pfile is watched");
    let (_one, ends) = second(&host, "one", 0x11, &[]);
    let (_two, killed) = second(&host, "two", 0x12, &[]);
    ends.stop();
    daemon.until("Ended: pcheck[");
    assert_eq!(report(&host, &[]).0, 0);
    killed.kill();
    daemon.until("nobody watches it any more");
    let (code, after) = report(&host, &[]);
    assert_eq!((code, &after["problems"][0]["health"]), (2, &"critical".into()), "{after:#}");
    let why = after["problems"][0]["why"].as_str().unwrap();
    assert!(why.starts_with(&format!("the pcheck of {} was killed, ", host.path("two.pfile"))), "{why}");
    let mut again = watcher(["pcheck", "-f", &host.path("two.pfile"), "--run-dir", &host.run_dir(), "--log", "stderr"]);
    die_with_the_test(&mut again);
    let mut again = Pcheck::started(&mut again);
    again.until(" Up");
    assert_eq!(report(&host, &[]).0, 0);
    again.stop();
    daemon.until("Ended: pcheck[");
    daemon.stop();
}

#[test]
fn a_mass_death_is_recovered_from_in_order_and_status_shows_how_far() {
    const PFILES: usize = 8;
    const EACH: usize = 5;
    const ALL: u64 = (PFILES * EACH) as u64;
    let host = Host::new();
    fs::create_dir(host.path("rules.d")).unwrap();
    let mut services = Vec::new();
    for pfile in 0..PFILES {
        let mut text = PARAM.replace("0x1", &format!("{:#x}", 0x100 + pfile));
        for entry in 0..EACH {
            let name = format!("s{pfile}-{entry}");
            let path = host.install(&name);
            let body = format!("sleep 0.1\n{path} >/dev/null 2>&1 </dev/null &");
            text += &format!("{path}:{}:86400:3:continue\n", host.script(&format!("{name}.sh"), &body));
            services.push(host.start_as(&name, ""));
        }
        host.write(&format!("rules.d/{pfile}.pfile"), &text);
    }
    let mut daemon = Pcheck::start(&mut daemon(&host));
    for _ in &services {
        daemon.until(" Up");
    }
    let (code, before) = report(&host, &[]);
    assert_eq!((code, &before["counts"]["ok"], &before["counts"]["pfiles"]), (0, &ALL.into(), &PFILES.into()));
    assert_eq!((before["processes"].as_array().unwrap().len(), &before["processes"][0]["recovery"]), (1, &Value::Null));
    services.iter().for_each(Service::kill);
    // Until the last of them is known to have died, more fall.
    until("all are down, or were", || number(&report(&host, &[]).1["processes"][0]["events"]["ends"]) >= ALL);
    let (mut backs, mut last) = (BTreeSet::new(), 0);
    let after = loop {
        let (code, now) = report(&host, &[]);
        let process = &now["processes"][0];
        let [recovery, scripts] = ["recovery", "scripts"].map(|name| &process[name]);
        let [fallen, back, pending] = ["fallen", "back", "pending"].map(|name| number(&recovery[name]));
        assert_eq!(back + pending + number(&recovery["gave_up"]) + number(&recovery["aside"]), fallen, "{process:#}");
        assert!(back >= last && fallen <= ALL, "{process:#}");
        assert_eq!((&scripts["limit"], number(&scripts["counted"]) <= 2), (&2.into(), true), "{process:#}");
        // Each entry was asked a little later than the one before: none can be back and down again.
        assert!(number(&process["down"]) + back >= fallen, "{process:#}");
        assert_eq!(recovery["over"] == true, pending == 0, "{process:#}");
        last = back;
        backs.insert(back);
        match code {
            0 => break now,
            1 => {}
            other => panic!("{other}: {now:#}"),
        }
    };
    let recovery = &after["processes"][0]["recovery"];
    assert_eq!((&recovery["over"], &recovery["pending"]), (&true.into(), &0.into()), "{recovery:#}");
    // Those that were back before there were many are no part of it.
    assert!(
        (ALL - 2..=ALL).contains(&number(&recovery["fallen"])) && recovery["back"] == recovery["fallen"],
        "{recovery:#}"
    );
    assert!(backs.len() > 2, "somebody who looks sees them come: {backs:?}");
    let text = status(&host, &[]).stdout;
    assert!(
        text.contains("\n    last recovery: ") && text.starts_with("WATCHER OK: 8 pfiles, 40 entries, all well"),
        "{text}"
    );
    let pids = after["entries"].as_array().unwrap().iter().map(|entry| Pid::new(number(&entry["pid"]) as u32).unwrap());
    let pids: BTreeSet<_> = pids.collect();
    assert_eq!(pids.len() as u64, ALL, "each is another one");
    // One more: that is no recovery.
    let one = pids.into_iter().next().unwrap();
    kill(one);
    daemon.until(&format!(",pid={one}] Down"));
    daemon.until("Try to restart");
    until("all is well again", || report(&host, &[]).0 == 0);
    assert_eq!(report(&host, &[]).1["processes"][0]["recovery"]["fallen"], recovery["fallen"]);
    daemon.stop();
}
