//! Reports of answers that were made up.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{
    ask::{Answers, Silent, Told},
    choice::Choice,
    *,
};
use crate::control::UnwatchedLine;

const ALL: Choice<'static> = Choice { files: &[], processes: &[], groups: &[], states: &[], trouble: false };

fn entry(number: usize, process: &str, trouble: Option<(&str, &str)>) -> Value {
    let troubles: Vec<_> =
        trouble.into_iter().map(|(name, _)| json!({"trouble": name, "why": format!("it {name}")})).collect();
    json!({
        "entry": number, "process": process, "pid": 4711, "retry_count": 0, "retries": 3, "grace_s": 60,
        "restart_count": 0, "proc_sts": "AVAIL", "doing": "watching", "until_s": null, "stall_checks": [],
        "retry_over_act": "continue", "rerun_unix_time": null, "include_strings": null, "monitored": true,
        "group": if number == 9 { json!("web") } else { Value::Null }, "script": "/s",
        "health": trouble.map_or("ok", |(_, health)| health), "troubles": troubles,
    })
}

fn told(pid: u32, pfile: &str, entries: &[Value]) -> Told {
    let status = json!({
        "count": entries.len(),
        "who": {
            "pid": pid, "pfile": pfile, "since_unix_time": 1.5, "ipckey": "0x1", "msg_check_interval": 5,
            "entries": entries.len(), "tier": "ebpf",
        },
        "refused": null,
        "process": {
            "pid": pid, "version": "0", "since_unix_time": 1.5, "tier": "ebpf", "tier_left": null,
            "unwatched": [], "more_unwatched": 0, "pfiles": 2,
            "entries": 3, "watched": 3,
            "cost": {"cpu_user_s": 0.25, "cpu_system_s": 0.5, "wake_ups": 1_234, "rss_bytes": 37_958_451},
            "events": {"deaths": 1, "ends": 2, "starts": 3, "sockets": 4, "lost": 5, "lost_sockets": 6},
            "kernel_programs": {"counted": true, "runs": 10_000, "time_s": 0.0005, "programs": []},
            "down": 1,
            "scripts": {"limit": 2, "counted": 2, "running": 3, "waiting": 3_798, "longest_wait_s": 31.0},
            "recovery": {
                "over": false, "began_s": 35.0, "took_s": 35.0, "fallen": 5_000, "back": 1_200, "gave_up": 1, "aside": 1,
                "pending": 3_798, "left_s": 110.8,
            },
        },
    });
    let entries = entries.iter().map(|entry| serde_json::from_value(entry.clone()).unwrap()).collect();
    Told { status: serde_json::from_value(status).unwrap(), entries }
}

fn silent(health: Health, pfile: Option<&str>, why: &str) -> Silent {
    Silent { health, pid: Some(1), pfile: pfile.map(PathBuf::from), why: why.to_owned() }
}

fn made(told: Vec<Told>, silent: Vec<Silent>, choice: &Choice<'_>) -> Report {
    Report::of(Answers { told, silent, daemon: None }, choice, false, Path::new("/run"))
}

fn text(report: &Report) -> String {
    text::of(report, text::Shown { all: false, limit: 3 })
}

fn two_pfiles() -> Vec<Told> {
    vec![
        told(7, "/b.pfile", &[entry(1, "/bin/a", None), entry(2, "/bin/b", Some(("restarting", "warning")))]),
        told(
            7,
            "/a.pfile",
            &[entry(9, "/bin/c", Some(("paused", "warning"))), entry(2, "/bin/d", Some(("gave_up", "critical")))],
        ),
    ]
}

#[test]
fn the_worst_comes_first_and_each_process_once() {
    let report = made(two_pfiles(), Vec::new(), &ALL);
    let order: Vec<_> = report.entries.iter().map(|row| (row.entry.process.as_str(), row.level.name())).collect();
    assert_eq!(order, [("/bin/d", "critical"), ("/bin/b", "warning"), ("/bin/c", "warning"), ("/bin/a", "ok")]);
    assert_eq!((report.health, report.processes.len(), report.pfiles.len()), (Health::Critical, 1, 2));
    assert_eq!(report.pfiles[0].who.pfile, "/a.pfile", "the worse one");
    assert_eq!(report.summary, "1 given up; 1 being restarted; 1 suspended; of 2 pfiles, 4 entries");
    let text = text(&report);
    let mut lines = text.lines();
    let first = "WATCHER CRITICAL: 1 given up; 1 being restarted; 1 suspended; of 2 pfiles, 4 entries | pfiles=2 entries=4 \
                 ok=1 warning=2 critical=1 unknown=0 down=1 scripts_running=3 scripts_waiting=3798 cpu_ms=750c \
                 rss=37958451B wake_ups=1234c events=10c lost=11c";
    assert_eq!(lines.next(), Some(first));
    assert_eq!(lines.next(), Some("CRITICAL /a.pfile entry 2 (/bin/d, pid 4711): it gave_up"));
    assert_eq!(lines.next(), Some("WARNING  /b.pfile entry 2 (/bin/b, pid 4711): it restarting"));
    assert_eq!(lines.next(), Some("WARNING  /a.pfile entry 9 (/bin/c, pid 4711, group web): it paused"));
    assert_eq!(lines.next(), Some("OK       1 entry"));
    for line in [
        "    cost: 750.0 ms of processor time (250.0 ms user, 500.0 ms system), 36.2 MiB of memory (RSS), 1,234 wake-ups",
        "    told: 1 deaths, 2 ends, 3 starts, 4 of sockets; lost: 5, and 6 of sockets",
        "    kernel programs: 10,000 runs, 500.0 us",
        "    restarts: 1 down; 3 scripts run, 1 of them for long (limit 2), 3,798 wait, the first for 31.00 s",
        "    recovery: 1,200 of 5,000 back, 1 given up, 1 suspended or removed after 35.00 s, 3,798 to come; at this rate \
         1 min 50 s more",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
}

#[test]
fn who_is_well_is_summed_up_and_shown_on_request() {
    let one =
        |number| told(7, "/a.pfile", &(1..=number).map(|entry| self::entry(entry, "/bin/a", None)).collect::<Vec<_>>());
    let report = made(vec![one(5)], Vec::new(), &ALL);
    assert_eq!((report.health, report.summary.as_str()), (Health::Ok, "1 pfile, 5 entries, all well"));
    assert!(text(&report).contains("\nOK       5 entries\n"));
    let all = text::of(&report, text::Shown { all: true, limit: 3 });
    assert!(all.contains("\nOK       /a.pfile entry 3 (/bin/a, pid 4711): well\nand 2 more, see --limit\n"), "{all}");
    let all = text::of(&report, text::Shown { all: true, limit: 0 });
    assert!(all.contains("/a.pfile entry 5 ("), "{all}");
}

#[test]
fn names_cannot_forge_lines_or_numbers() {
    let process = "/bin/x\nWATCHER OK | ok=1\u{1b}[2J\u{202e}";
    let report =
        made(vec![told(7, "/a|b\n.pfile", &[entry(1, process, Some(("gave_up", "critical")))])], Vec::new(), &ALL);
    let text = text(&report);
    assert_eq!(text.matches('|').count(), 1, "{text}");
    assert!(
        text.contains("/a\\x7cb\\n.pfile entry 1 (/bin/x\\nWATCHER OK \\x7c ok=1\\u{1b}[2J\\u{202e}, pid 4711)"),
        "{text}"
    );
    let wire = serde_json::to_value(&report).unwrap();
    assert_eq!(wire["entries"][0]["process"], process, "JSON is exact");
    assert_eq!((&wire["health"], &wire["code"]), (&"critical".into(), &2.into()));
}

#[test]
fn numbers_beyond_all_measure_are_shown_as_they_are() {
    let mut all = two_pfiles();
    all[1].status.process = None;
    let process = all[0].status.process.as_mut().unwrap();
    (process.events.deaths, process.events.lost) = (u64::MAX, u64::MAX);
    let text = text(&made(all, Vec::new(), &ALL));
    assert!(text.contains(&format!(" events={0}c lost={0}c\n", u64::MAX)), "{text}");
}

#[test]
fn a_name_that_nothing_has_is_told_and_a_state_that_nobody_is_in_is_none() {
    let files = [PathBuf::from("/a.pfile"), PathBuf::from("/nowhere.pfile")];
    let (processes, groups) = (["[abc]".to_owned(), "?".to_owned()], ["web".to_owned(), "db".to_owned()]);
    let report = made(two_pfiles(), Vec::new(), &Choice { files: &files, ..ALL });
    let whys = |report: &Report| report.problems.iter().map(|problem| problem.why.clone()).collect::<Vec<_>>();
    assert_eq!(whys(&report), ["no pcheck watches for /nowhere.pfile"]);
    assert_eq!((report.counts.entries, report.health), (2, Health::Critical), "what is known is worse");
    let report = made(two_pfiles(), Vec::new(), &Choice { processes: &processes, ..ALL });
    assert_eq!(whys(&report), ["no entry of any pfile is about a process `[abc]`"]);
    let report = made(two_pfiles(), Vec::new(), &Choice { groups: &groups, ..ALL });
    assert_eq!((report.health, report.counts.entries, report.counts.pfiles), (Health::Unknown, 1, 1));
    assert_eq!(whys(&report), ["no entry of any pfile is in a group `db`"]);
    let report = made(two_pfiles(), Vec::new(), &Choice { states: &[Some(Trouble::Stalled)], ..ALL });
    assert_eq!((report.health, report.summary.as_str()), (Health::Ok, "no such entry in 2 pfiles"));
    let report = made(two_pfiles(), Vec::new(), &Choice { trouble: true, ..ALL });
    assert_eq!((report.health, report.counts.entries, report.counts.ok), (Health::Critical, 3, 0));
}

#[test]
fn many_that_are_silent_for_one_reason_are_told_once() {
    let silent =
        (0..500).map(|number| silent(Health::Critical, Some(&format!("/{number}.pfile")), "process 1: no answer"));
    let report = made(two_pfiles(), silent.collect(), &ALL);
    assert_eq!((report.health, report.problems.len()), (Health::Critical, 500));
    let text = text(&report);
    assert!(text.starts_with("WATCHER CRITICAL: process 1: no answer; 1 given up; "), "{text}");
    assert!(text.contains("\nCRITICAL process 1: no answer (500 pfiles)\n"), "{text}");
}

#[test]
fn silence_and_nothing_at_all_are_told_apart() {
    let nothing = made(Vec::new(), Vec::new(), &ALL);
    assert_eq!((nothing.health, nothing.summary.as_str()), (Health::Unknown, "no pcheck runs (looked in /run)"));
    assert_eq!(text(&nothing).lines().count(), 1);
    let forbidden = made(Vec::new(), vec![silent(Health::Unknown, None, "this user may not ask")], &ALL);
    assert_eq!((forbidden.health, forbidden.summary.as_str()), (Health::Unknown, "this user may not ask"));
}

#[test]
fn an_entry_whose_level_is_not_known_here_is_unknown() {
    let report =
        made(vec![told(7, "/a.pfile", &[entry(1, "/bin/a", Some(("haunted", "terrible")))])], Vec::new(), &ALL);
    assert_eq!((report.health, report.counts.unknown), (Health::Unknown, 1));
    let text = text(&report);
    assert!(
        text.starts_with("WATCHER UNKNOWN: 1 in a state that this program does not know; of 1 pfile, 1 entry |"),
        "{text}"
    );
    assert!(text.contains("UNKNOWN  /a.pfile entry 1 (/bin/a, pid 4711): it haunted\n"), "{text}");
}

#[test]
fn who_is_suspended_may_count_as_well() {
    let paused = || vec![told(7, "/a.pfile", &[entry(1, "/bin/a", Some(("paused", "warning")))])];
    let of = |ok| {
        let answers = Answers { told: paused(), ..Answers::default() };
        Report::of(answers, &ALL, ok, Path::new("/run")).health
    };
    assert_eq!([of(false), of(true)], [Health::Warning, Health::Ok]);
}

#[test]
fn what_a_daemon_should_watch_and_does_not_is_told_whoever_else_is_well() {
    let well = |pid, pfile: &str| told(pid, pfile, &[entry(1, "/bin/a", None)]);
    let mut daemon = well(7, "/b.pfile").status.process.unwrap();
    let over =
        |pfile: &str| UnwatchedLine { pfile: pfile.to_owned(), pfile_hex: None, retry_over: true, why: "so".into() };
    daemon.unwatched = vec![over("/x.pfile")];
    let whys = |told, daemon, files: &[PathBuf]| {
        let answers = Answers { told, daemon, ..Answers::default() };
        let report = Report::of(answers, &Choice { files, ..ALL }, false, Path::new("/run"));
        let whys: Vec<_> = report.problems.iter().map(|problem| problem.why.clone()).collect();
        (report.health, report.processes.iter().map(|process| process.pid).collect::<Vec<_>>(), whys.join("; "))
    };
    let gave_up = "/x.pfile: not watched any more by process 7: so".to_owned();
    // A pcheck that has joined goes by its own pid.
    let mut joined = well(8, "/a.pfile");
    joined.status.process = Some(daemon.clone());
    assert_eq!(whys(vec![joined], None, &[]), (Health::Critical, vec![7], gave_up.clone()));
    daemon.pfiles = 0;
    let mut idle = daemon.clone();
    idle.unwatched.clear();
    let daemon = Some(daemon);
    assert_eq!(whys(Vec::new(), daemon.clone(), &[]), (Health::Critical, vec![7], gave_up.clone()));
    assert_eq!(whys(vec![well(9, "/a.pfile")], daemon.clone(), &[]), (Health::Critical, vec![7, 9], gave_up.clone()));
    assert_eq!(whys(Vec::new(), daemon.clone(), &["/x.pfile".into()]), (Health::Critical, Vec::new(), gave_up));
    let of_another = whys(vec![well(9, "/a.pfile")], daemon.clone(), &["/a.pfile".into()]);
    assert_eq!(of_another, (Health::Ok, vec![9], String::new()));
    let nothing = "process 7 (watcher run) watches no pfile at present".to_owned();
    assert_eq!(whys(Vec::new(), Some(idle.clone()), &[]), (Health::Unknown, vec![7], nothing));
    assert_eq!(whys(vec![well(9, "/a.pfile")], Some(idle), &[]), (Health::Ok, vec![7, 9], String::new()));
}

#[test]
fn pfiles_that_should_be_watched_and_are_not_are_told() {
    let mut all = two_pfiles();
    let unwatched = |pfile: &str, retry_over| UnwatchedLine {
        pfile: pfile.to_owned(),
        pfile_hex: None,
        retry_over,
        why: "so".to_owned(),
    };
    let process = all[0].status.process.as_mut().unwrap();
    (process.unwatched, process.more_unwatched) = (vec![unwatched("/x.pfile", false), unwatched("/y.pfile", true)], 3);
    // The others of a process say nothing of it.
    all[1].status.process = None;
    let whys = |choice: &Choice<'_>| {
        let report = made(all.iter().map(Told::clone).collect(), Vec::new(), choice);
        let of = |problem: &Problem| (problem.health.name(), problem.why.clone());
        (report.processes.len(), report.problems.iter().map(of).collect::<Vec<_>>())
    };
    let told = |health, why: &str| (health, why.to_owned());
    let expected = [
        told("critical", "/y.pfile: not watched any more by process 7: so"),
        told("warning", "/x.pfile: not watched by process 7: so"),
        told("warning", "process 7: 3 more pfiles are not watched"),
    ];
    assert_eq!(whys(&ALL), (1, expected.to_vec()));
    let processes = ["d".to_owned()];
    assert_eq!(whys(&Choice { processes: &processes, ..ALL }), (1, Vec::new()), "what it costs is shown all the same");
}
