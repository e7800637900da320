//! A network for two nodes and a client: a bridge in a namespace of its own.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use watcher_tests::{pcheck::die_with_the_test, program::run, wait::until};

/// It goes with this value; so do those that have joined.
pub(super) struct Net {
    /// What the nodes share: the disk of the test.
    pub(super) folder: TempDir,
    holder: Child,
}

const SETS_UP: &str = "ip link set lo up && ip link add br0 type bridge && ip address add 10.77.0.254/24 dev br0 && \
                       ip link set br0 up && : >ready && exec sleep 3600";

impl Net {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", SETS_UP]).current_dir(folder.path()).stdin(Stdio::null());
        die_with_the_test(&mut command);
        let holder = command.process_group(0).spawn().unwrap();
        let net = Self { folder, holder };
        until("there is a network", || net.folder.path().join("ready").exists());
        net
    }

    /// The process that holds its namespace.
    pub(super) fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// Connects the namespace of a process, there by the name `eth0`.
    pub(super) fn connect(&self, number: u8, process: u32) {
        let (own, other) = (format!("v{number}"), process.to_string());
        self.ip(&["link", "add", &own, "type", "veth", "peer", "name", "eth0", "netns", &other]);
        self.ip(&["link", "set", &own, "master", "br0", "up"]);
    }

    fn ip(&self, words: &[&str]) {
        let mut command = Command::new("nsenter");
        let ended = run(command.args(["-t", &self.pid().to_string(), "-n", "ip"]).args(words));
        assert_eq!(ended.code, Some(0), "{words:?}: {}", ended.stderr);
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is fine.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The only child of a process, once it is there.
pub(super) fn child_of(pid: u32) -> u32 {
    let mut child = None;
    until("the namespaces have a first process", || {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        child = text.split_whitespace().next().and_then(|pid| pid.parse().ok());
        child.is_some()
    });
    child.unwrap()
}
