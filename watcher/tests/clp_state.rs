//! The state commands of `clp_httpmon` and `clp_smtpmon`, and what identifiers and records mean.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod clp_support;

use clp_support::{Host, Monitor, Service};
use rustix::process::Signal;

fn start(host: &Host, id: &str, service: &Service) -> Monitor {
    host.start(&format!("clp_httpmon {id} -s 127.0.0.1 -n {} -i 1", service.port))
}

#[test]
fn it_is_paused_resumed_shown_and_stopped() {
    let (host, service) = (Host::new(), Service::http());
    let mut monitor = start(&host, "web", &service).begun();
    let pid = monitor.pid();
    service.asked();
    assert_eq!(host.run("clp_httpmon web --disp").out, format!("{pid} live\n"));
    assert_eq!(host.run("clp_httpmon web --resume").err, "clp_httpmon: it is not paused\n");

    assert_eq!(host.run("clp_httpmon web --pause").code, Some(0));
    assert_eq!(monitor.line(), "clp_httpmon will stop monitoring. [ID:web]");
    let again = host.run("clp_httpmon web --pause");
    assert_eq!((again.code, again.err.as_str()), (Some(0), "clp_httpmon: it is paused already\n"));
    assert_eq!(host.run("clp_httpmon web --disp").out, format!("{pid} paused\n"));
    let json = host.run("clp_httpmon web --disp --json").json();
    assert_eq!((&json["pid"], &json["state"], &json["id"]), (&pid.into(), &"paused".into(), &"web".into()));
    assert_eq!((&json["options"]["port"], &json["options"]["interval_s"]), (&service.port.into(), &1.into()));
    assert_eq!((&json["faults"], &json["next_check_s"]), (&0.into(), &serde_json::Value::Null));

    assert_eq!(host.run("clp_httpmon web --resume").code, Some(0));
    assert_eq!(monitor.line(), "clp_httpmon will start monitoring. [ID:web]");
    service.asked();

    let stopped = host.run("clp_httpmon web --stop");
    assert_eq!((stopped.code, stopped.err.as_str()), (Some(0), ""));
    assert_eq!(monitor.end(), (vec!["clp_httpmon will stop monitoring the HTTP daemon. [ID:web]".to_owned()], Some(0)));
    assert_eq!(host.records("clp_httpmon"), [""; 0]);
}

#[test]
fn nothing_is_asked_while_it_is_paused() {
    let (host, service) = (Host::new(), Service::http());
    let monitor = start(&host, "web", &service).begun();
    host.run("clp_httpmon web --pause");
    let count = || host.run("clp_httpmon web --disp --json").json()["checks"].as_u64().unwrap();
    let before = count();
    // Another one, on the same clock, is asked meanwhile.
    let other = Service::http();
    let _watch = start(&host, "other", &other).begun();
    for _ in 0..3 {
        other.asked();
    }
    assert_eq!(count(), before);
    monitor.signal(Signal::TERM);
    assert_eq!(monitor.end().1, Some(0));
}

#[test]
fn an_identifier_is_used_once_of_each_kind() {
    let (host, service) = (Host::new(), Service::http());
    let first = start(&host, "web", &service).begun();
    let (lines, code) = start(&host, "web", &service).end();
    assert_eq!((lines[0].as_str(), code), ("The specified identifier is already used. [ID:web]", Some(2)));
    assert!(lines[1].contains(&format!("process {}", first.pid())), "{lines:?}");
    let _other = start(&host, "Web", &service).begun();
    let _of_another_kind = host.start(&format!("clp_smtpmon web -s 127.0.0.1 -n {}", service.port)).begun();
    let refused = host.run("clp_httpmon web --del");
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("lives"), "{refused:?}");
    assert_eq!(host.run("clp_httpmon web --disp").out, format!("{} live\n", first.pid()));
}

#[test]
fn of_many_that_start_at_once_one_wins() {
    let (host, service) = (Host::new(), Service::http());
    let mut started: Vec<_> = (0..8).map(|_| start(&host, "web", &service)).collect();
    let first_lines: Vec<_> = started.iter_mut().map(Monitor::line).collect();
    let refused = "The specified identifier is already used. [ID:web]";
    assert_eq!(first_lines.iter().filter(|line| *line == refused).count(), 7, "{first_lines:?}");
    let winner = first_lines.iter().position(|line| line != refused).unwrap();
    assert!(first_lines[winner].contains("started monitoring"));
    let winner = started.remove(winner);
    assert!(started.into_iter().all(|other| other.end().1 == Some(2)));
    assert_eq!(host.run("clp_httpmon web --disp").out, format!("{} live\n", winner.pid()));
}

#[test]
fn a_record_that_was_left_behind_is_told_deleted_and_taken_over() {
    let (host, service) = (Host::new(), Service::http());
    let kill = || {
        let monitor = start(&host, "web", &service).begun();
        let pid = monitor.pid();
        monitor.signal(Signal::KILL);
        monitor.end();
        pid
    };
    let pid = kill();
    assert_eq!(host.run("clp_httpmon web --disp").out, format!("{pid} stale\n"));
    let stopped = host.run("clp_httpmon web --stop");
    assert_eq!(stopped.code, Some(1));
    assert!(stopped.err.contains("could not perform the end processing. [ID:web]\n"), "{stopped:?}");
    assert!(stopped.err.contains("left its record behind"), "{stopped:?}");
    assert_eq!(host.run("clp_httpmon web --pause").code, Some(1));
    assert_eq!(host.run("clp_httpmon web --del").code, Some(0));
    assert_eq!(host.records("clp_httpmon"), [""; 0], "the socket goes, too");
    assert_eq!(host.run("clp_httpmon web --disp").code, Some(1));
    assert_eq!(host.run("clp_httpmon web --del").code, Some(1));
    kill();
    let monitor = start(&host, "web", &service).begun();
    assert_eq!(host.run("clp_httpmon web --stop").code, Some(0));
    assert_eq!(monitor.end().1, Some(0));
}

#[test]
fn a_record_that_names_another_process_harms_nobody() {
    let (host, service) = (Host::new(), Service::http());
    let other = start(&host, "other", &service).begun();
    let folder = host.path("run").join("clp_httpmon");
    let text = std::fs::read_to_string(folder.join("other")).unwrap();
    // Somebody has copied it: nobody holds its lock.
    std::fs::write(folder.join("web"), text).unwrap();
    assert_eq!(host.run("clp_httpmon web --stop").code, Some(1));
    let _monitor = start(&host, "web", &service).begun();
    assert_eq!(host.run("clp_httpmon other --disp").out, format!("{} live\n", other.pid()));
}

#[test]
fn who_does_not_end_in_time_is_told_and_ends_later() {
    let (host, service) = (Host::new(), Service::http());
    let monitor = start(&host, "web", &service).begun();
    monitor.signal(Signal::STOP);
    let stopped = host.run("clp_httpmon web --stop 1");
    assert_eq!(stopped.code, Some(1));
    assert!(stopped.err.contains("could not perform the end processing. [ID:web]\n"), "{stopped:?}");
    monitor.signal(Signal::CONT);
    let (lines, code) = monitor.end();
    assert_eq!(
        (lines.last().unwrap().as_str(), code),
        ("clp_httpmon will stop monitoring the HTTP daemon. [ID:web]", Some(0))
    );
}

#[test]
fn the_longest_identifier_works_like_any_other() {
    let (host, service) = (Host::new(), Service::http());
    let id = "x".repeat(255);
    let mut monitor = start(&host, &id, &service).begun();
    assert_eq!(host.run(&format!("clp_httpmon {id} --pause")).code, Some(0));
    assert_eq!(monitor.line(), format!("clp_httpmon will stop monitoring. [ID:{id}]"));
    assert_eq!(host.run(&format!("clp_httpmon {id} --stop")).code, Some(0));
    let longer = host.run(&format!("clp_httpmon {id}x"));
    assert_eq!(longer.code, Some(2));
    assert!(longer.err.contains("The parameter value of clp_httpmon is invalid. [ID:x"), "{longer:?}");
}

#[test]
fn what_is_wrong_is_said_in_the_log_and_to_the_operator() {
    let host = Host::new();
    let none = host.run("clp_httpmon");
    assert_eq!(none.code, Some(2));
    assert!(none.err.contains("]: An identifier is not specified in the clp_httpmon command.\n"), "{none:?}");
    let none = host.run("clp_smtpmon");
    assert!(none.err.contains("]: The identifier is not specified in the clp_smtpmon command.\n"), "{none:?}");
    let bad = host.run("clp_httpmon web -i 0");
    assert_eq!(bad.code, Some(2));
    assert!(bad.err.contains("]: The parameter value of clp_httpmon is invalid. [ID:web]\n"), "{bad:?}");
    assert!(bad.err.contains("-i 0: INTERVAL, in seconds, must be a whole number, 1 to 10000\n"), "{bad:?}");
    // Where the log goes to syslog, the operator is told all the same.
    let mut command = std::process::Command::new(host.path("clp_smtpmon"));
    let told = clp_support::ran(command.args(["mail", "-n", "smtp", "--log", "syslog"]));
    assert_eq!(told.code, Some(2));
    assert!(told.err.contains("clp_smtpmon: The parameter value of clp_smtpmon is invalid. [ID:mail]\n"), "{told:?}");
    assert!(told.err.contains("clp_smtpmon: -n smtp: PORT must be a number, 1 to 65535"), "{told:?}");
    assert!(!host.path("run").exists(), "nothing was begun");
}

#[test]
fn a_place_for_records_that_cannot_be_had_is_named_with_a_way_out() {
    let host = Host::new();
    std::fs::write(host.path("run"), "a file").unwrap();
    let refused = host.run("clp_httpmon web");
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("clp_httpmon has detected system error (stat 1). [ID:web]\n"), "{refused:?}");
    assert!(refused.err.contains("it is not a folder; --run-dir chooses another place"), "{refused:?}");
}

#[test]
fn help_names_every_option() {
    let host = Host::new();
    let help = host.run("clp_httpmon --help");
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    for option in
        ["-s", "-n", "-i", "-c", "-r", "-v", "-h", "--stop", "--pause", "--resume", "--disp", "--del", "--once"]
    {
        assert!(help.out.contains(&format!("\n  {option} ")), "{option}");
    }
    assert!(help.out.lines().all(|line| line.len() <= 120), "{}", help.out);
    let smtp = host.run("clp_smtpmon --help").out;
    assert!(!smtp.contains("-h URI") && smtp.contains("[default: 25]"), "{smtp}");
}
