//! Scripts that do what scripts do: hang, flood, ignore, vanish, and leave daemons behind.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::time::timeout;
use watcher_core::{
    Ending, EntryId, Event, Pid, ProcId, Reason, RunEnd, RunId, ScriptOrder, Signal,
    pfile::{AbsolutePath, EntryNumber},
};

use super::{Line, Scripts, TEND_EVERY};
use crate::{executor::inspect, sys::proc};

const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn order(script: &str) -> ScriptOrder {
    ScriptOrder {
        run: RunId(1),
        entry: EntryId(0),
        number: EntryNumber::of_index(0),
        script: AbsolutePath::new(script.as_bytes()).unwrap(),
        process: AbsolutePath::new(b"/usr/bin/java").unwrap(),
        old: None,
        retry_count: 2,
        reason: Reason::Down,
        ending: Ending::Unknown,
        cause: None,
    }
}

/// A folder with a script, and what has come of it.
struct Stage {
    folder: TempDir,
    scripts: Scripts,
    events: Vec<Event>,
    lines: Vec<Line>,
}

impl Stage {
    fn new() -> Self {
        let scripts = Scripts::new().unwrap();
        Self { folder: tempfile::tempdir().unwrap(), scripts, events: Vec::new(), lines: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Written by another process: none of those that other tests start at this moment inherits it open for writing.
    fn write(&self, text: &str) -> PathBuf {
        let path = self.path("script");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "printf %s \"$2\" >\"$1\" && chmod 755 \"$1\"", "-"]).arg(&path).arg(text);
        assert!(shell.stdin(Stdio::null()).status().unwrap().success());
        path
    }

    fn start(&mut self, run: u64, path: &Path) {
        let output = self.path(&format!("{run}.out"));
        self.scripts.start(ScriptOrder { run: RunId(run), ..order(path.to_str().unwrap()) }, Some(output));
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + LIMIT;
        while !holds(self) {
            assert!(Instant::now() < end, "never: {what}; {:?}", self.events);
            let _nothing_new = timeout(TEND_EVERY, self.scripts.ready()).await;
            self.scripts.tend(&mut self.events, &mut self.lines);
        }
    }

    fn ends(&self) -> Vec<&RunEnd> {
        let mut ends = Vec::new();
        for event in &self.events {
            if let Event::RunEnded { end, .. } = event {
                ends.push(end);
            }
        }
        ends
    }

    fn script(&self) -> Option<ProcId> {
        self.events
            .iter()
            .find_map(|event| if let Event::RunStarted { script, .. } = event { Some(*script) } else { None })
    }

    async fn run(&mut self, text: &str) -> RunEnd {
        let path = self.write(text);
        self.start(1, &path);
        self.until("the script ends", |stage| !stage.ends().is_empty()).await;
        self.ends()[0].clone()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn pid(&self, name: &str) -> Option<Pid> {
        self.text(name).strip_suffix('\n')?.parse().ok().and_then(Pid::new)
    }
}

/// A process that a script has left behind; it ends with the test.
struct LeftBehind(ProcId);

impl LeftBehind {
    fn new(pid: Pid) -> Self {
        Self(proc::facts(pid).unwrap().unwrap().proc)
    }

    fn lives(&self) -> bool {
        inspect::look(self.0) == inspect::Look::Alive
    }
}

impl Drop for LeftBehind {
    fn drop(&mut self) {
        if self.lives() {
            let raw = rustix::process::Pid::from_raw(self.0.pid.number() as i32).unwrap();
            let _gone = rustix::process::kill_process(raw, rustix::process::Signal::KILL);
        }
    }
}

#[tokio::test]
async fn a_script_runs_and_its_end_and_its_words_are_told() {
    let mut stage = Stage::new();
    assert!(!stage.scripts.must_tend());
    let end = stage.run("#!/bin/sh\npwd; echo \"$PS_PENT_ID $PS_REASON $#\" >&2; cat; exit 7\n").await;
    assert_eq!(end, RunEnd::Ended(Ending::Exited { code: 7 }));
    assert!(matches!(stage.events[..], [Event::RunStarted { run: RunId(1), .. }, Event::RunEnded { .. }]));
    let said: Vec<_> = stage.lines.iter().map(|(_, line)| String::from_utf8_lossy(line)).collect();
    assert_eq!(said, ["Restart script of (/usr/bin/java) says: /", "Restart script of (/usr/bin/java) says: 1 down 0"]);
    assert!(!stage.scripts.must_tend());
    assert!(!proc::exists(stage.script().unwrap().pid), "it was reaped");
}

#[tokio::test]
async fn a_script_that_hangs_is_ended_with_its_whole_group() {
    let mut stage = Stage::new();
    let path = stage.write("#!/bin/sh\nsleep 1000 &\necho $! >\"${0%/*}/member\"; wait\n");
    stage.start(1, &path);
    stage.until("it runs", |stage| stage.pid("member").is_some()).await;
    let member = LeftBehind::new(stage.pid("member").unwrap());
    stage.scripts.end(RunId(1), false, &mut stage.events);
    stage.until("it ends", |stage| !stage.ends().is_empty()).await;
    assert_eq!(stage.ends(), [&RunEnd::Ended(Ending::Killed { signal: Signal(15), core_dumped: false })]);
    assert!(!member.lives());
}

#[tokio::test]
async fn members_that_outlive_the_leader_are_waited_for_until_force_is_used() {
    let mut stage = Stage::new();
    let member = "trap \"\" TERM; echo $$ >\"${0%/*}/member\"; exec sleep 1000";
    let path = stage.write(&format!("#!/bin/sh\nsh -c '{member}' \"$0\" & wait\n"));
    stage.start(1, &path);
    stage.until("it runs", |stage| stage.pid("member").is_some()).await;
    let member = LeftBehind::new(stage.pid("member").unwrap());
    let leader = stage.script().unwrap().pid;
    stage.scripts.end(RunId(1), false, &mut stage.events);
    stage
        .until("the leader is a zombie", |_| proc::facts(leader).unwrap().is_some_and(|facts| facts.leader_zombie))
        .await;
    tokio::time::sleep(TEND_EVERY).await;
    stage.scripts.tend(&mut stage.events, &mut stage.lines);
    assert!(stage.ends().is_empty() && member.lives());
    stage.scripts.end(RunId(1), true, &mut stage.events);
    stage.until("it ends", |stage| !stage.ends().is_empty()).await;
    stage.until("its member is gone", |_| !member.lives()).await;
    assert!(!proc::exists(leader));
}

#[tokio::test]
async fn a_script_that_ignores_sigterm_or_is_stopped_ends_by_force() {
    let mut stage = Stage::new();
    let path =
        stage.write("#!/bin/sh\ntrap '' TERM\necho $$ >\"${0%/*}/pid\"\nkill -STOP $$\nwhile :; do sleep 1; done\n");
    stage.start(1, &path);
    stage.until("it runs", |stage| stage.pid("pid").is_some()).await;
    stage.scripts.end(RunId(1), false, &mut stage.events);
    tokio::time::sleep(TEND_EVERY).await;
    stage.scripts.tend(&mut stage.events, &mut stage.lines);
    assert!(stage.ends().is_empty());
    stage.scripts.end(RunId(1), true, &mut stage.events);
    stage.until("it ends", |stage| !stage.ends().is_empty()).await;
    assert_eq!(stage.ends(), [&RunEnd::Ended(Ending::Killed { signal: Signal(9), core_dumped: false })]);
}

#[tokio::test]
async fn a_service_that_keeps_the_output_open_delays_nobody_and_outlives_pcheck() {
    let mut stage = Stage::new();
    let service = "echo $$ >\"${0%/*}/service\"; while :; do echo tick || exit; sleep 0.01; done";
    let end = stage.run(&format!("#!/bin/sh\nsetsid sh -c '{service}' \"$0\" &\nexit 0\n")).await;
    assert_eq!(end, RunEnd::Ended(Ending::Exited { code: 0 }));
    stage.until("the service runs", |stage| stage.pid("service").is_some()).await;
    let service = LeftBehind::new(stage.pid("service").unwrap());
    stage.scripts.end(RunId(1), true, &mut stage.events);
    stage.scripts = Scripts::new().unwrap();
    let written = stage.text("1.out").len();
    stage.until("it goes on writing", |stage| stage.text("1.out").len() > written + 20).await;
    assert!(service.lives());
}

#[tokio::test]
async fn a_gigabyte_of_output_takes_little_room() {
    let mut stage = Stage::new();
    let path = stage.write("#!/bin/sh\nhead -c 1000000000 /dev/zero | tr '\\0' 'x'\n");
    stage.start(1, &path);
    let largest = std::cell::Cell::new(0);
    stage
        .until("it ends", |stage| {
            let size = fs::metadata(stage.path("1.out")).map_or(0, |data| data.len());
            largest.set(largest.get().max(size));
            !stage.ends().is_empty()
        })
        .await;
    // Before each look it has grown for one period, on a busy machine for several.
    assert!(largest.get() < 500_000_000, "{}", largest.get());
    let lines: Vec<_> = stage.lines.iter().map(|(_, line)| String::from_utf8_lossy(line)).collect();
    assert!(lines.len() == 2 && lines[0].len() < 500, "{}", lines.len());
    assert!(lines[1].contains("says at least ") && lines[1].contains("bytes more: see "), "{}", lines[1]);
    Scripts::tend_folder(stage.folder.path());
    assert!(fs::metadata(stage.path("1.out")).unwrap().len() <= 1024 * 1024);
}

#[tokio::test]
async fn what_cannot_be_run_says_what_to_do() {
    let mut stage = Stage::new();
    let path = stage.write("#!/nowhere/sh\n");
    let name = path.display().to_string();
    let set_mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let mut why = async |path: &Path| {
        stage.events.clear();
        stage.start(1, path);
        stage.until("it fails", |stage| !stage.ends().is_empty()).await;
        assert_eq!(stage.events.len(), 1);
        match stage.ends()[0] {
            RunEnd::NotStarted(why) => why.clone(),
            RunEnd::Ended(ending) => panic!("{ending}"),
        }
    };
    assert_eq!(why(&path).await, "the interpreter that its first line names does not exist: /nowhere/sh");
    assert_eq!(why(Path::new("/nowhere/script")).await, "it does not exist");
    assert_eq!(why(Path::new("/tmp")).await, "it is not a file");
    set_mode(0o644);
    assert_eq!(why(&path).await, format!("it is not executable (chmod 755 {name})"));
    if rustix::process::geteuid().is_root() {
        set_mode(0o777);
        let expected =
            format!("others than root may change what root would run: anybody may write {name} (chmod o-w {name})");
        assert_eq!(why(&path).await, expected);
    }
}

#[tokio::test]
async fn an_output_that_cannot_be_made_hinders_nobody() {
    let mut stage = Stage::new();
    let path = stage.write("#!/bin/sh\necho lost\n");
    stage.scripts.start(order(path.to_str().unwrap()), Some("/nowhere/1.out".into()));
    stage.until("it ends", |stage| !stage.ends().is_empty()).await;
    assert_eq!(stage.ends(), [&RunEnd::Ended(Ending::Exited { code: 0 })]);
    let line = String::from_utf8_lossy(&stage.lines[0].1);
    assert!(stage.lines.len() == 1 && line.contains("/nowhere/1.out cannot be made: No such file"), "{line}");
}

#[tokio::test]
async fn two_hundred_scripts_at_once_are_all_reaped() {
    let mut stage = Stage::new();
    let path = stage.write("#!/bin/sh\nexit 3\n");
    for run in 0..200 {
        stage.start(run, &path);
    }
    stage.until("all end", |stage| stage.ends().len() == 200).await;
    assert!(stage.ends().iter().all(|end| **end == RunEnd::Ended(Ending::Exited { code: 3 })));
    let scripts = stage
        .events
        .iter()
        .filter_map(|event| if let Event::RunStarted { script, .. } = event { Some(script.pid) } else { None });
    assert_eq!(scripts.filter(|pid| proc::exists(*pid)).count(), 0);
}

#[tokio::test]
async fn a_start_that_hangs_can_be_given_up() {
    let mut stage = Stage::new();
    let path = stage.write("#!/bin/sh\nsleep 1000\n");
    stage.start(1, &path);
    // Its start has not been collected yet: as if it hung.
    stage.scripts.end(RunId(1), true, &mut stage.events);
    stage.scripts.end(RunId(1), true, &mut stage.events);
    assert!(matches!(stage.ends()[..], [RunEnd::NotStarted(_)]));
    for run in 2..1000 {
        stage.start(run, &path);
    }
    assert_eq!(stage.scripts.runs.len(), 1, "it is not tried again while it hangs: that would take a thread each");
    stage.scripts.ready().await;
    let mut told = Vec::new();
    stage.scripts.collect(&mut told, &mut stage.lines);
    assert_eq!(told.len(), 998);
    stage.until("nothing is left", |stage| !stage.scripts.must_tend()).await;
    assert_eq!(stage.events.len(), 1, "a late start is not told");
}
