//! What survives `kill -9` of pcheck.

use std::fs;

use watcher_core::Pid;
use watcher_tests::{
    host::{Host, Tier, kill, lives, on_each_tier},
    pcheck::Pcheck,
    wait::until,
};

/// An entry that was restarted once: its pcheck, and its process.
fn restarted_once(host: &Host, tier: Tier) -> (Pcheck, Pid) {
    let svc = host.svc();
    host.rules(&format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "")));
    let first = host.start("");
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    pcheck.up(&svc);
    first.kill();
    pcheck.until("Try to restart");
    let second = pcheck.up(&svc);
    // It is told before it is saved.
    until("that is saved", || state(host).contains(&format!("\"pid\":{second},")));
    (pcheck, second)
}

fn state(host: &Host) -> String {
    fs::read_to_string(host.own_dir().join("state")).unwrap()
}

#[test]
fn a_death_in_between_is_found_and_counts_go_on() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let (pcheck, second) = restarted_once(&host, tier);
        pcheck.kill();
        kill(second);
        until("it has gone", || !lives(second));
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.expect([format!("Process [{svc},pid={second}] Down"), format!("Try to restart ({svc})")]);
        pcheck.up(&svc);
        let entry = host.entry(1);
        assert_eq!((&entry["retry_count"], &entry["restart_count"]), (&2.into(), &2.into()));
        // An end in good order is another thing: then counts begin anew.
        pcheck.stop();
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.up(&svc);
        assert_eq!(host.entry(1)["restart_count"], 0);
    });
}

#[test]
fn a_script_that_outlives_pcheck_is_waited_for_and_none_is_started_beside_it() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let body = "echo run >> ${H}runs\nread -r _ < ${H}gate\n${H}svc </dev/null >/dev/null 2>&1 &";
        host.rules(&format!("{svc}:{}:86400:3:exit", host.script("start.sh", body)));
        let gate = rustix::fs::mknodat(
            rustix::fs::CWD,
            host.path("gate"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        );
        gate.unwrap();
        let first = host.start("");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.up(&svc);
        first.kill();
        pcheck.until("Try to restart");
        until("the script runs", || !host.read("runs").is_empty());
        until("that is saved", || state(&host).contains("\"script\":{"));
        pcheck.kill();
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        until("it is waited for", || host.entry(1)["doing"] == "restarting");
        fs::write(host.path("gate"), "go on\n").unwrap();
        let service = pcheck.up(&svc);
        assert!(lives(service));
        assert_eq!(host.read("runs"), "run\n");
        let entry = host.entry(1);
        assert_eq!((&entry["retry_count"], &entry["restart_count"]), (&1.into(), &1.into()));
        let lines = pcheck.stop();
        assert!(!lines.iter().any(|line| line.contains("Try to restart")), "{lines:#?}");
    });
}

#[test]
fn a_pause_survives_and_so_do_values_that_were_set() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let (pcheck, second) = restarted_once(&host, tier);
        assert_eq!(host.padmin("set 1 retry 9").code, Some(0));
        assert_eq!(host.padmin("stop").code, Some(0));
        pcheck.kill();
        kill(second);
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        let entry = host.entry(1);
        assert_eq!(
            (&entry["monitored"], &entry["retries"], &entry["doing"]),
            (&false.into(), &9.into(), &"paused".into())
        );
        assert_eq!(host.padmin("start").code, Some(0));
        pcheck.expect([format!("Process [{svc},pid={second}] Down"), format!("Try to restart ({svc})")]);
        pcheck.up(&svc);
    });
}

#[test]
fn a_damaged_state_is_told_set_aside_and_stops_nobody() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let (pcheck, second) = restarted_once(&host, tier);
        pcheck.kill();
        let state = host.own_dir().join("state");
        let text = fs::read_to_string(&state).unwrap();
        let (header, _) = text.split_once('\n').unwrap();
        fs::write(&state, format!("{header}\nnonsense\n")).unwrap();
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        let aside = host.own_dir().join("state.damaged");
        let (state, kept) = (state.display(), aside.display());
        let said = format!("what {state} has saved is lost: its line 2 is not understood; it is kept as {kept}");
        pcheck.expect([said]);
        assert_eq!(pcheck.up(&svc), second);
        assert_eq!(fs::read_to_string(&aside).unwrap(), format!("{header}\nnonsense\n"));
        assert_eq!(host.entry(1)["restart_count"], 0);
        pcheck.stop();
        // A line that is torn, because the power of the process was cut while writing it, is no damage.
        fs::write(host.own_dir().join("state"), format!("{header}\n{{\"text\":\"/a")).unwrap();
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        assert_eq!(pcheck.up(&svc), second);
    });
}
