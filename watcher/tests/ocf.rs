//! The resource agent for Pacemaker, run as Pacemaker runs it, and by `ocf-tester` where that is installed. Instead of a cluster a
//! script of the test takes the news: the story with a cluster is told by `tests/e2e/cluster`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pfile_support;

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use pfile_support::{Folder, Ran, Service, shown};
use rustix::process::{Pid, Signal, kill_process};

const AGENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dist/ocf/pcheck");

const SUCCESS: Option<i32> = Some(0);
const GENERIC: Option<i32> = Some(1);
const ARGS: Option<i32> = Some(2);
const UNIMPLEMENTED: Option<i32> = Some(3);
const INSTALLED: Option<i32> = Some(5);
const CONFIGURED: Option<i32> = Some(6);
const NOT_RUNNING: Option<i32> = Some(7);

/// A node, with a service that is watched.
struct Node {
    folder: Folder,
    service: Option<Service>,
}

impl Node {
    fn new(action: &str) -> Self {
        let folder = Folder::new();
        let script = folder.script("restart.sh", "#!/bin/sh\n");
        let service = folder.service("service", &["1000"]);
        let process = shown(&folder.path("service"));
        folder.file(
            "a.pfile",
            format!("IPCKEY 0x1\nMSG_CHECK_INTERVAL 1\nMONITOR_INTERVAL 1\n{process}:{script}:86400:{action}\n"),
        );
        // What the cluster is told.
        folder.script("crm_resource", &format!("#!/bin/sh\necho \"$*\" >>{}\n", shown(&folder.path("told"))));
        Self { folder, service: Some(service) }
    }

    fn path(&self, name: &str) -> String {
        shown(&self.folder.path(name))
    }

    /// The parameters, and where all lies that is of this node.
    fn environment(&self, command: &mut Command) {
        let path = format!("{}:{}", self.path(""), std::env::var("PATH").unwrap());
        command.env("PATH", path).env("HA_RSCTMP", self.path("tmp")).env("OCF_RESOURCE_INSTANCE", "watch");
        command.env("OCF_RESKEY_pfile", self.path("a.pfile")).env("OCF_RESKEY_binary", env!("CARGO_BIN_EXE_watcher"));
        command.env("OCF_RESKEY_run_dir", self.path("run")).env("OCF_RESKEY_options", "--tier poll --log stderr");
        command.env("OCF_RESKEY_CRM_meta_on_node", "node1");
    }

    fn run_with(&self, action: &str, variables: &[(&str, &str)]) -> Ran {
        let mut command = Command::new(AGENT);
        self.environment(command.arg(action));
        let output = command.envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn run(&self, action: &str) -> Ran {
        self.run_with(action, &[])
    }

    /// As the cluster does it every ten seconds; the first time it has no interval.
    fn monitor(&self) -> Ran {
        self.run_with("monitor", &[("OCF_RESKEY_CRM_meta_interval", "10000")])
    }

    fn started(action: &str) -> Self {
        let node = Self::new(action);
        let ran = node.run("start");
        assert_eq!(ran.code, SUCCESS, "{ran:?}");
        node
    }

    fn pcheck(&self) -> Pid {
        let text = fs::read_to_string(self.folder.path("tmp/pcheck-watch/pid")).unwrap();
        Pid::from_raw(text.split(' ').next().unwrap().parse().unwrap()).unwrap()
    }

    /// What the cluster was told.
    fn told(&self) -> String {
        fs::read_to_string(self.folder.path("told")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Whatever has come of the test, nothing runs on.
        self.run("stop");
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "in vain: waited until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_starts_and_stops_and_says_how_it_stands() {
    let node = Node::new("3:exit");
    assert_eq!(node.run("monitor").code, NOT_RUNNING);
    assert_eq!(node.run("reload").code, NOT_RUNNING);
    for _ in 0..2 {
        let ran = node.run("start");
        assert_eq!(ran.code, SUCCESS, "{ran:?}");
        assert_eq!(node.monitor().code, SUCCESS);
        assert_eq!(node.run_with("monitor", &[("OCF_CHECK_LEVEL", "10")]).code, SUCCESS);
    }
    let first = node.pcheck();
    assert_eq!(node.run("reload").code, SUCCESS);
    assert_eq!(node.pcheck(), first, "the same pcheck");
    // A parameter that has changed takes another pcheck.
    let options = [("OCF_RESKEY_options", "--tier poll --log stderr --sweep 60")];
    let ran = node.run_with("reload", &options);
    assert_eq!(ran.code, SUCCESS, "{ran:?}");
    assert_ne!(node.pcheck(), first);
    for _ in 0..2 {
        assert_eq!(node.run("stop").code, SUCCESS);
        assert_eq!(node.monitor().code, NOT_RUNNING);
    }
    assert_eq!(node.told(), "", "what the cluster does itself is no news to it");
    assert!(!node.folder.path("tmp/pcheck-watch").exists(), "nothing is left behind");
    let lives = fs::read_to_string(format!("/proc/{}/cmdline", node.service.as_ref().unwrap().pid()));
    assert!(lives.is_ok_and(|words| !words.is_empty()), "the service lives on");
}

#[test]
fn the_end_of_pcheck_is_told_at_once_with_its_reason() {
    for (action, reason) in [("0:exit", "RETRY_OVER:EXIT"), ("0:shutdown", "RETRY_OVER:SHUTDOWN")] {
        let mut node = Node::started(action);
        node.service.take();
        until("the cluster is told", || node.told() == "--fail --resource watch --node node1\n");
        let ran = node.monitor();
        assert_eq!(ran.code, GENERIC);
        assert!(ran.err.contains(reason), "{ran:?}");
        assert_eq!(node.run("monitor").code, NOT_RUNNING, "a probe only asks whether something runs");
        assert_eq!(node.run("stop").code, SUCCESS);
        assert_eq!(node.monitor().code, NOT_RUNNING);
    }
    // By force, and by a friend's hand.
    for (signal, reason) in [(Signal::KILL, "has ended with code 137"), (Signal::TERM, "but not by the cluster")] {
        let node = Node::started("3:exit");
        kill_process(node.pcheck(), signal).unwrap();
        until("the cluster is told", || node.told() == "--fail --resource watch --node node1\n");
        let ran = node.monitor();
        assert!(ran.code == GENERIC && ran.err.contains(reason), "{ran:?}");
    }
}

#[test]
fn a_pcheck_that_hangs_is_found_by_the_deep_monitor_and_ended_by_force() {
    let node = Node::started("3:exit");
    kill_process(node.pcheck(), Signal::STOP).unwrap();
    assert_eq!(node.monitor().code, SUCCESS);
    let deep = [("OCF_CHECK_LEVEL", "10"), ("OCF_RESKEY_CRM_meta_interval", "60000")];
    let ran = node.run_with("monitor", &deep);
    assert!(ran.code == GENERIC && ran.err.contains("does not answer"), "{ran:?}");
    assert_eq!(node.run_with("stop", &[("OCF_RESKEY_stop_timeout", "1")]).code, SUCCESS);
    assert_eq!(node.monitor().code, NOT_RUNNING);
    // What the one that was killed had been told is not held against the next.
    assert_eq!(node.run("start").code, SUCCESS);
    let shown = Command::new(env!("CARGO_BIN_EXE_watcher"))
        .args(["padmin", "-f", &node.path("a.pfile"), "--run-dir", &node.path("run"), "-c", "show pent"])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("monitor_sts          = on"), "{shown}");
}

#[test]
fn a_stop_waits_for_a_restart_script_that_runs() {
    let mut node = Node::new("3:exit");
    let (begun, done) = (node.path("begun"), node.path("done"));
    node.folder.script("restart.sh", &format!("#!/bin/sh\n: >{begun}\nsleep 2\n: >{done}\n"));
    assert_eq!(node.run("start").code, SUCCESS);
    node.service.take();
    until("the script runs", || Path::new(&begun).exists());
    assert_eq!(node.run_with("stop", &[("OCF_RESKEY_stop_timeout", "50")]).code, SUCCESS);
    assert!(Path::new(&done).exists(), "it would have started the service after the cluster had stopped it");
    assert_eq!(node.told(), "");
}

#[test]
fn what_is_wrong_is_told_by_code_and_reason() {
    let node = Node::new("3:exit");
    for action in ["validate-all", "start"] {
        let with = |variable, value| node.run_with(action, &[(variable, value)]);
        assert_eq!(with("OCF_RESKEY_pfile", "").code, CONFIGURED);
        assert_eq!(with("OCF_RESKEY_stop_timeout", "soon").code, CONFIGURED);
        assert_eq!(with("OCF_RESKEY_binary", "/nonexistent/watcher").code, INSTALLED);
        assert_eq!(with("OCF_RESKEY_pfile", "/nonexistent/a.pfile").code, INSTALLED);
        let wrong = node.folder.file("wrong.pfile", "IPCKEY 0x1\n/a:/b:86400:3:exitt\n");
        let ran = with("OCF_RESKEY_pfile", &wrong);
        assert!(ran.code == ARGS && ran.err.contains(&format!("{wrong}:2:15: error: ")), "{ran:?}");
    }
    assert_eq!(node.run("validate-all").code, SUCCESS);
    for action in ["promote", "notify", ""] {
        assert_eq!(node.run(action).code, UNIMPLEMENTED, "{action}");
    }
    assert!(node.run("meta-data").out.contains("<parameter name=\"pfile\""));
    // A start that fails says so; the cluster is not told a second time.
    let ran = node.run_with("start", &[("OCF_RESKEY_options", "--tier nonsense")]);
    assert!(ran.code == GENERIC && ran.err.contains("has ended with code 1"), "{ran:?}");
    assert_eq!(node.run("stop").code, SUCCESS);
    assert_eq!(node.run("start").code, SUCCESS);
    let ran = node.run_with("start", &[("OCF_RESOURCE_INSTANCE", "another")]);
    assert!(ran.code == GENERIC && ran.err.contains("somebody else watches for "), "{ran:?}");
    assert_eq!(node.told(), "");
}

#[test]
fn shellcheck_has_no_complaint() {
    assert!(Command::new("sh").arg("-n").arg(AGENT).status().unwrap().success());
    match Command::new("shellcheck").arg(AGENT).output() {
        // Not on every developer's machine; `sh -n` has looked at it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => panic!("{error}"),
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
    }
}

#[test]
fn ocf_tester_has_no_complaint() {
    let node = Node::new("3:exit");
    let mut tester = Command::new("ocf-tester");
    node.environment(&mut tester);
    tester.args(["-n", "watch", "-o", &format!("pfile={}", node.path("a.pfile")), AGENT]).stdin(Stdio::null());
    match tester.output() {
        // `cargo xtask cluster` installs it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => panic!("{error}"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains("passed all tests"), "{said}");
        }
    }
}
