//! `watcher reboot-guard` as a user runs it, with a real pcheck. What reboots is a command of the test, which writes a line.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pfile_support;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use pfile_support::{Folder, Ran, Service, shown, watcher};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

const DEADLINE: Duration = Duration::from_secs(60);

/// A host whose pfile names one service.
struct Host(Folder);

impl Host {
    fn new(action: &str) -> Self {
        let folder = Folder::new();
        let script = folder.script("restart.sh", "#!/bin/sh\n");
        let service = shown(&folder.path("service"));
        folder.file(
            "a.pfile",
            format!("IPCKEY 0x1\nMSG_CHECK_INTERVAL 1\nMONITOR_INTERVAL 1\n{service}:{script}:86400:0:{action}\n"),
        );
        Self(folder)
    }

    /// Its service, which is not there unless the test wants it.
    fn service(&self) -> Service {
        self.0.service("service", &["1000"])
    }

    fn pfile(&self) -> String {
        shown(&self.0.path("a.pfile"))
    }

    fn command(&self, words: &[&str]) -> Command {
        let (state, run_dir) = (shown(&self.0.path("state/reboots")), shown(&self.0.path("run")));
        let reboot = format!("echo rebooted >>{}", shown(&self.0.path("rebooted")));
        let mut command = Command::new(env!("CARGO_BIN_EXE_watcher"));
        command.args(["reboot-guard", "-f", &self.pfile(), "--state", &state, "--run-dir", &run_dir]);
        command.args(["--log", "stderr", "--tier", "poll"]).args(words);
        if !words.contains(&"--reboot-command") {
            command.args(["--reboot-command", &reboot]);
        }
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        let output = self.command(words).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// How often it was rebooted.
    fn reboots(&self) -> usize {
        fs::read_to_string(self.0.path("rebooted")).unwrap_or_default().lines().count()
    }

    /// How many reboots are counted.
    fn counted(&self) -> u64 {
        self.run(&["--show", "--json"]).json()["count"].as_u64().unwrap()
    }
}

/// A guard that runs. It is killed when dropped, and its pcheck ends with it.
struct Guard {
    child: Child,
    lines: Receiver<String>,
}

impl Guard {
    fn start(host: &Host, words: &[&str]) -> Self {
        let mut child = host.command(words).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // Nobody may want to know.
                let _told = tell.send(line);
            }
        });
        Self { child, lines }
    }

    /// The first line that has this text.
    fn until(&self, text: &str) -> String {
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => lines.push(line),
                Err(error) => panic!("{error} without {text:?}: {lines:#?}"),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: the code, and what it said last.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        let lines = std::iter::from_fn(|| self.lines.recv_timeout(DEADLINE).ok()).collect();
        (self.child.wait().unwrap().code(), lines)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail when it has been reaped already, which is fine.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn a_host_is_rebooted_when_pcheck_gives_up_and_not_for_ever() {
    let host = Host::new("exit");
    for number in 1..=3 {
        let ran = host.run(&["--grace", "0"]);
        assert_eq!((ran.code, host.reboots()), (Some(4), number), "{}", ran.err);
        assert!(ran.err.contains("RETRY_OVER:EXIT"), "{}", ran.err);
        assert!(ran.err.contains(&format!("reboot {number} of 3 within 86400 s comes in 0 s")), "{}", ran.err);
        assert_eq!(host.counted(), number as u64);
    }
    for _ in 0..2 {
        let ran = host.run(&["--grace", "0"]);
        assert_eq!((ran.code, host.reboots()), (Some(10), 3), "{}", ran.err);
        assert!(ran.err.contains("3 reboots within 86400 s were in vain: no reboot"), "{}", ran.err);
    }
    let ran = host.run(&["--show"]);
    assert_eq!(ran.code, Some(10));
    assert_eq!(ran.out.lines().last(), Some("3 of 3 reboots within 86400 s: no more are allowed"));
    assert!(ran.out.lines().next().unwrap().ends_with(&host.pfile()), "{}", ran.out);
    // One more is allowed, by the operator.
    assert_eq!(host.run(&["--grace", "0", "--threshold", "4"]).code, Some(4));
    assert_eq!(host.run(&["--clear"]).code, Some(0));
    assert_eq!((host.counted(), host.reboots()), (0, 4));
    assert_eq!(host.run(&["--grace", "0"]).code, Some(4));
}

#[test]
fn a_dry_run_does_all_but_reboot() {
    let host = Host::new("exit");
    for number in 1..=2 {
        let ran = host.run(&["--grace", "0", "--threshold", "2", "--dry-run"]);
        assert_eq!(ran.code, Some(4), "{}", ran.err);
        assert!(ran.err.contains(&format!("reboot {number} of 2")), "{}", ran.err);
        assert!(ran.err.contains("Dry run: now would be run: echo rebooted"), "{}", ran.err);
    }
    assert_eq!(host.run(&["--grace", "0", "--threshold", "2", "--dry-run"]).code, Some(10));
    assert_eq!(host.reboots(), 0);
    assert_eq!(host.counted(), 0, "they were only said");
    let json = host.run(&["--show", "--json", "--dry-run"]).json();
    assert_eq!((&json["count"], &json["reboots"][1]["dry_run"]), (&2.into(), &true.into()), "{json}");
    assert_eq!((host.run(&["--grace", "0", "--threshold", "2"]).code, host.reboots()), (Some(4), 1));
}

#[test]
fn other_ends_of_pcheck_are_no_reason_for_a_reboot() {
    let host = Host::new("exit");
    let _service = host.service();
    let first = Guard::start(&host, &["--grace", "0"]);
    first.until(" Up");
    let ran = host.run(&["--grace", "0"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("already watched by pcheck["), "{}", ran.err);
    first.signal(Signal::TERM);
    let (code, lines) = first.end();
    assert_eq!(code, Some(0), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("SIGTERM Catch (15)!!")), "{lines:#?}");
    // Two actions: one of them would be a reason.
    let host = Host::new("shutdown");
    let text = fs::read_to_string(host.pfile()).unwrap();
    host.0.file("a.pfile", format!("{text}/bin/none:/bin/true:86400:3:exit\n"));
    let ran = host.run(&["--grace", "0"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert_eq!((host.reboots(), host.counted()), (0, 0));
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let host = Host::new("exitt");
    let ran = host.run(&[]);
    let line = fs::read_to_string(host.pfile()).unwrap().lines().last().unwrap().to_owned();
    let place = format!("{}:4:{}: error: ", host.pfile(), line.rfind(':').unwrap() + 2);
    assert!(ran.code == Some(1) && ran.err.starts_with(&place), "{place} {ran:?}");

    let host = Host::new("continue");
    let ran = host.run(&[]);
    let line = fs::read_to_string(host.pfile()).unwrap().lines().last().unwrap().to_owned();
    let place = format!("{}:4:{}: error: no entry has the action `exit`", host.pfile(), line.rfind(':').unwrap() + 2);
    assert!(ran.code == Some(1) && ran.err.starts_with(&place), "{place} {ran:?}");

    for words in [&["--threshold", "0"][..], &["--window", "0"], &["--grace", "soon"], &["--show", "--clear"]] {
        assert_eq!(host.run(words).code, Some(1), "{words:?}: 2 would mean that it runs already");
    }
    assert_eq!(watcher(["reboot-guard"]).code, Some(1));
    let ran = watcher(["reboot-guard", "-f", "/nonexistent", "--log", "stderr"]);
    assert!(ran.code == Some(1) && ran.err.contains("/nonexistent cannot be read: "), "{ran:?}");
}

#[test]
fn a_reboot_can_be_called_off_and_does_not_count_then() {
    let host = Host::new("exit");
    assert_eq!(host.run(&["--grace", "0"]).code, Some(4));
    for signal in [Signal::TERM, Signal::INT] {
        let guard = Guard::start(&host, &["--grace", "3600"]);
        let line = guard.until("reboot 2 of 3 within 86400 s comes in 3600 s");
        assert!(line.ends_with(&format!("; kill {} calls it off", guard.child.id())), "{line}");
        assert_eq!(host.counted(), 2, "it is written down before");
        // These mean nothing now.
        guard.signal(Signal::HUP);
        guard.signal(signal);
        let (code, lines) = guard.end();
        assert_eq!((code, host.counted(), host.reboots()), (Some(0), 1, 1), "{lines:#?}");
        assert!(lines.iter().any(|line| line.ends_with("The reboot is called off")), "{lines:#?}");
    }
}

#[test]
fn a_guard_that_is_killed_takes_its_pcheck_along_and_forgets_nothing() {
    let host = Host::new("exit");
    let service = host.service();
    let guard = Guard::start(&host, &[]);
    let line = guard.until("Start reboot-guard: pcheck is process ");
    let pcheck = Pid::from_raw(line.rsplit(' ').next().unwrap().parse().unwrap()).unwrap();
    guard.until(" Up");
    guard.signal(Signal::KILL);
    // The pipe of its lines is held by both.
    let (_, lines) = guard.end();
    assert!(lines.iter().any(|line| line.contains("Stop pcheck!!")), "{lines:#?}");
    let until = Instant::now() + DEADLINE;
    while test_kill_process(pcheck).is_ok() && !is_zombie(pcheck) {
        assert!(Instant::now() < until, "pcheck lives");
        thread::sleep(Duration::from_millis(1));
    }
    drop(service);

    // Killed while it waits: the reboot was written down, and counts.
    let guard = Guard::start(&host, &["--grace", "3600"]);
    guard.until("comes in 3600 s");
    guard.signal(Signal::KILL);
    guard.end();
    assert_eq!((host.counted(), host.reboots()), (1, 0));
    let ran = host.run(&["--grace", "0"]);
    assert!(ran.code == Some(4) && ran.err.contains("reboot 2 of 3 "), "{}", ran.err);
}

fn is_zombie(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z')
}

#[test]
fn one_guard_at_a_time_reboots_the_host() {
    let host = Host::new("exit");
    let first = Guard::start(&host, &["--grace", "3600"]);
    first.until("reboot 1 of 3");
    let second = Guard::start(&host, &["--grace", "0"]);
    second.until("another guard is about to reboot this host");
    let third = Guard::start(&host, &["--grace", "0"]);
    third.until("another guard is about to reboot this host");
    third.signal(Signal::TERM);
    assert_eq!(third.end().0, Some(0));
    assert_eq!(host.run(&["--clear"]).code, Some(1), "not now");
    first.signal(Signal::TERM);
    let (code, lines) = second.end();
    assert_eq!((code, host.reboots()), (Some(4), 1), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("reboot 1 of 3")), "{lines:#?}");
    assert_eq!(first.end().0, Some(0));
}

#[test]
fn a_counter_that_is_damaged_counts_on_and_one_that_cannot_be_kept_forbids_the_reboot() {
    let host = Host::new("exit");
    for _ in 0..2 {
        assert_eq!(host.run(&["--grace", "0"]).code, Some(4));
    }
    let state = host.0.path("state/reboots");
    let text = fs::read_to_string(&state).unwrap();
    // Half written.
    fs::write(&state, &text[..text.len() - 20]).unwrap();
    let ran = host.run(&["--grace", "0"]);
    let place = format!("{}:3:", state.display());
    assert!(ran.err.contains(&place) && ran.err.contains("the line is cut off; it counts"), "{}", ran.err);
    assert!(ran.code == Some(4) && ran.err.contains("reboot 3 of 3 "), "{}", ran.err);
    assert_eq!(host.run(&["--grace", "0"]).code, Some(10));
    fs::write(&state, "").unwrap();
    let json = host.run(&["--show", "--json"]).json();
    assert_eq!((&json["count"], &json["damage"][0]["line"]), (&1.into(), &1.into()), "{json}");

    fs::remove_file(&state).unwrap();
    fs::create_dir(&state).unwrap();
    let before = host.reboots();
    let ran = host.run(&["--grace", "0"]);
    assert_eq!((ran.code, host.reboots()), (Some(11), before), "{}", ran.err);
    assert!(ran.err.contains("it is not a file: what cannot be counted is not done, so no reboot"), "{}", ran.err);
    assert_eq!(host.run(&["--show"]).code, Some(1));
}

#[test]
fn a_command_that_fails_is_told() {
    let host = Host::new("exit");
    for command in ["exit 7", "/nonexistent/reboot"] {
        let ran = host.run(&["--grace", "0", "--reboot-command", command]);
        assert_eq!(ran.code, Some(11), "{}", ran.err);
        assert!(ran.err.contains(&format!("{command} exited with code ")), "{}", ran.err);
        assert!(ran.err.contains("the host is not rebooted. It counts all the same"), "{}", ran.err);
    }
    assert_eq!(host.counted(), 2);
}

#[test]
fn a_service_that_is_kept_for_the_whole_window_makes_the_reboots_forgotten() {
    let host = Host::new("exit");
    assert_eq!(host.run(&["--grace", "0"]).code, Some(4));
    let _service = host.service();
    let guard = Guard::start(&host, &["--window", "1", "--dry-run"]);
    guard.until("the reboots before are forgotten");
    guard.signal(Signal::TERM);
    guard.end();
    assert_eq!(host.counted(), 1, "a dry run forgets only what was said");
    let guard = Guard::start(&host, &["--window", "1"]);
    guard.until("pcheck has run for 1 s: the reboots before are forgotten");
    assert_eq!(host.counted(), 0);
    assert!(Path::new(&host.0.path("state/reboots")).exists());
    guard.signal(Signal::TERM);
    assert_eq!(guard.end().0, Some(0));
}
