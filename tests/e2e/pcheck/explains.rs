//! `watcher events` and `watcher why`, asked of a pcheck that watches.

use serde_json::Value;
use watcher_tests::{
    host::{Host, Tier, on_each_tier},
    pcheck::Pcheck,
    program::{Running, watcher},
};

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

#[test]
fn deaths_are_explained_while_they_happen_and_afterwards() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        host.rules(&format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "")));
        let first = host.start("");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.up(&svc);
        let (pfile, run_dir) = (host.pfile(), host.run_dir());
        let mut follower = Running::start(&mut watcher(["events", "-f", &pfile, "--run-dir", &run_dir]));
        let up = json(&follower.line());
        assert_eq!((&up["event"], &up["pid"], &up["entry"]), (&"up".into(), &first.pid.number().into(), &1.into()));
        first.kill();
        pcheck.until("Try to restart");
        let second = pcheck.up(&svc);
        let mut events = Vec::new();
        while events.last().is_none_or(|event: &Value| event["event"] != "up") {
            events.push(json(&follower.line()));
        }
        let of = |name: &str| events.iter().find(|event| event["event"] == name);
        let (down, again) = (of("down").unwrap(), of("try_to_restart").unwrap());
        assert_eq!((&down["pid"], &down["level"]), (&first.pid.number().into(), &"error".into()));
        assert_eq!((&again["retry_count"], &again["restart_count"]), (&1.into(), &1.into()));
        assert_eq!(of("up").unwrap()["pid"], second.number());
        assert_eq!(of("script_ended").unwrap()["exit_code"], 0);
        if tier == Tier::Ebpf {
            let cause = of("cause").unwrap();
            assert_eq!((&cause["signal_name"], &cause["pid"]), (&"SIGKILL".into(), &first.pid.number().into()));
            let sentence = cause["cause"].as_str().unwrap();
            assert!(sentence.contains(&format!("(pid {}, uid 0)", std::process::id())), "{sentence}");
            assert!(cause["latency_us"].is_number() && of("gone").is_some());
        }

        let why = host.ask(&["why", "--json"]);
        assert_eq!(why.code, Some(0), "{}", why.stderr);
        let why = json(&why.stdout);
        assert_eq!((&why["source"], &why["pid"]), (&"pcheck".into(), &pcheck.pid().number().into()));
        let death = &why["entries"][0]["deaths"][0];
        assert_eq!((&death["pid"], &death["back_pid"]), (&first.pid.number().into(), &second.number().into()));
        assert_eq!(death["restarts"].as_array().unwrap().len(), 1);
        let is_explained =
            death["cause"].as_str().is_some_and(|cause| cause.contains(&format!("pid {},", std::process::id())));
        assert_eq!(is_explained, tier == Tier::Ebpf, "{death}");
        let text = host.ask(&["why"]).stdout;
        assert!(text.contains(&svc) && text.contains(&first.pid.to_string()), "{text}");

        // The end is seen by who follows, and the dump tells what the last one knew.
        pcheck.stop();
        let names: Vec<_> = std::iter::from_fn(|| Some(follower.line()).filter(|line| !line.is_empty())).collect();
        assert_eq!(json(names.last().unwrap())["event"], "stop", "{names:#?}");
        assert_eq!(follower.end(), Some(0));
        let why = json(&host.ask(&["why", "--json"]).stdout);
        assert_eq!((&why["source"], &why["dump_file"]), (&"dump".into(), &host.path("dump").into()));
        assert_eq!(why["entries"][0]["deaths"][0]["pid"], first.pid.number());
    });
}
