//! Levels of everything that can be wrong with an entry.

use super::*;
use crate::{
    EntryId, Pid, Span,
    fleet::ProcStatus,
    pfile::{AbsolutePath, EntryNumber, Port, StallKind},
    probe::Fault,
};

const NOW: Mono = Mono(100_000_000_000);

fn entry(doing: Doing) -> EntryView {
    EntryView {
        id: EntryId(0),
        number: EntryNumber::of_index(0),
        process: AbsolutePath::new(b"/bin/a").unwrap(),
        script: AbsolutePath::new(b"/s").unwrap(),
        pid: Pid::new(5),
        retry_count: 0,
        retries: 3,
        grace: 60,
        restart_count: 0,
        status: ProcStatus::Avail,
        doing,
        until: None,
        stall_checks: Vec::new(),
        retry_over: "continue".to_owned(),
        down_since: None,
        script_failed: None,
        rerun: None,
        include_strings: None,
        monitored: true,
        group: None,
    }
}

fn check(status: StallStatus) -> StallView {
    StallView {
        kind: StallKind::Web,
        port: Port::new(80).unwrap(),
        status,
        failures: 0,
        failing_since: None,
        fault: None,
        alarms: Vec::new(),
        held: false,
        ended: false,
        took: None,
        certificate_days: None,
    }
}

fn told(entry: &EntryView) -> Vec<(&'static str, Health, String)> {
    let troubles = troubles_of(entry, NOW).into_iter();
    troubles.map(|(trouble, why)| (trouble.name(), trouble.health(), why)).collect()
}

fn one(entry: &EntryView) -> (&'static str, Health, String) {
    let [one] = <[_; 1]>::try_from(told(entry)).unwrap();
    one
}

#[test]
fn each_state_of_a_process_has_its_level() {
    let (ok, warning, critical) = (Health::Ok, Health::Warning, Health::Critical);
    for (doing, name, health, why) in [
        (Doing::Watching, "", ok, ""),
        (Doing::Looking, "looking", warning, "its process is looked for"),
        (Doing::Dying, "restarting", warning, "its process is dying"),
        (Doing::Pacing, "restarting", warning, "it is to be restarted"),
        (Doing::Stopping, "restarting", warning, "it is ended, since its group is restarted"),
        (Doing::Queued, "restarting", warning, "it waits until fewer scripts run"),
        (Doing::Restarting, "restarting", warning, "its script runs"),
        (Doing::Appearing, "restarting", warning, "its script has ended, its process is waited for"),
        (Doing::GaveUp, "gave_up", critical, "given up: its retries are used up (0 of 3)"),
        (Doing::Paused, "paused", warning, "suspended by the operator"),
    ] {
        let told = told(&entry(doing)).pop().unwrap_or_default();
        assert_eq!(told, (name, health, why.to_owned()), "{doing:?}");
    }
}

#[test]
fn what_is_known_of_a_restart_is_told_with_it() {
    let mut entry = entry(Doing::Pacing);
    (entry.down_since, entry.until) = (Some(Mono(NOW.0 - 12_000_000_000)), Some(NOW.after(Span::of_millis(1_500))));
    (entry.retry_count, entry.script_failed) = (2, Some("exited with code 7".to_owned()));
    let why =
        "down for 12.00 s: the next restart may begin in 1.50 s (retry 2 of 3); its last script exited with code 7";
    assert_eq!(one(&entry).2, why);
    entry.doing = Doing::GaveUp;
    assert_eq!(one(&entry).2, "given up: its retries are used up (2 of 3); its last script exited with code 7");
}

#[test]
fn each_state_of_a_service_has_its_level() {
    let (warning, critical) = (Health::Warning, Health::Critical);
    let with = |change: &dyn Fn(&mut StallView)| {
        let mut one = check(StallStatus::Avail);
        change(&mut one);
        told(&EntryView { stall_checks: vec![one], ..entry(Doing::Watching) })
    };
    let fault = || Some(Fault::Connect { errno: 111 });
    assert_eq!(with(&|_| ()), []);
    assert_eq!(with(&|check| (check.failures, check.fault) = (1, fault())), [], "one may fail");
    for (status, failures, held, ended, name, health) in [
        (StallStatus::Avail, 2, false, false, "failing", warning),
        (StallStatus::Init, 3, false, false, "failing", warning),
        (StallStatus::Detect, 9, false, false, "stalled", warning),
        (StallStatus::Detect, 9, true, false, "stall_held", critical),
        (StallStatus::Detect, 0, false, true, "check_ended", warning),
        (StallStatus::Unavail, 0, false, false, "not_asked", warning),
        (StallStatus::Unavail, 9, false, true, "unstoppable", critical),
    ] {
        let set = |check: &mut StallView| {
            (check.status, check.failures, check.held, check.ended) = (status, failures, held, ended);
            check.fault = fault();
        };
        let all = with(&set);
        assert_eq!((all.len(), all[0].0, all[0].1), (1, name, health), "{all:?}");
        assert!(all[0].2.starts_with("port 80: "), "{all:?}");
    }
    assert_eq!(
        with(&|check| (check.failures, check.failing_since, check.fault) = (4, Some(Mono(0)), fault()))[0].2,
        "port 80: the service lets no connection be made: connection refused; 4 checks failed within 1 min 40 s"
    );
}

#[test]
fn the_worst_comes_first_and_each_alarm_is_told() {
    let mut one = check(StallStatus::Unavail);
    one.alarms = SocketAlarm::ALL.to_vec();
    let all = told(&EntryView { stall_checks: vec![one], ..entry(Doing::Watching) });
    assert_eq!(all.len(), 1 + SocketAlarm::ALL.len());
    assert_eq!((all[0].0, all[0].1), ("listener_gone", Health::Critical));
    assert!(all.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{all:?}");
    let count = |name| all.iter().filter(|told| told.0 == name).count();
    assert_eq!((count("sockets"), count("not_asked")), (SocketAlarm::ALL.len() - 1, 1));
}

#[test]
fn what_was_known_of_a_service_is_not_held_against_a_process_that_is_not_there() {
    let mut one = check(StallStatus::Detect);
    one.alarms = vec![SocketAlarm::ListenerGone];
    for doing in [Doing::Dying, Doing::Restarting, Doing::Paused, Doing::GaveUp, Doing::Looking] {
        assert_eq!(told(&EntryView { stall_checks: vec![one.clone()], ..entry(doing) }).len(), 1, "{doing:?}");
    }
}

#[test]
fn the_order_of_troubles_is_that_of_their_levels_and_names_are_their_own() {
    assert!(Trouble::ALL.windows(2).all(|pair| pair[0] < pair[1] && pair[0].health() >= pair[1].health()));
    assert!(Trouble::ALL.into_iter().all(|trouble| Trouble::named(trouble.name()) == Some(trouble)));
    assert!(Health::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(Health::ALL.into_iter().all(|health| Health::named(health.name()) == Some(health)));
    assert_eq!((Trouble::named("sing"), Health::named("sing")), (None, None));
}
