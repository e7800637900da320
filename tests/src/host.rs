//! A small host for pcheck: a folder with a pfile, scripts, and a service under a path of its own.

use std::{
    env,
    fs::{self, File, OpenOptions},
    os::unix::{fs::symlink, process::ExitStatusExt as _},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::Instant,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use tempfile::TempDir;
use watcher::sys::proc;
use watcher_core::Pid;

use crate::{
    is_emulated,
    pcheck::die_with_the_test,
    program::{Ended, built, run, script, watcher},
    story,
    wait::{DEADLINE, until},
};

/// A tier. What is published must be the same on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    Ebpf,
    Pidfd,
    Connector,
    Poll,
}

impl Tier {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
            Self::Pidfd => "pidfd",
            Self::Connector => "connector",
            Self::Poll => "poll",
        }
    }

    /// Whether stories are to be told on it.
    pub fn is_wanted(self) -> bool {
        tier_is_wanted(self.name())
    }

    /// For a story that is the same on each: the first of those that are wanted.
    pub fn best() -> Self {
        EACH_TIER.iter().copied().find(|tier| tier.is_wanted()).expect("WATCHER_TEST_TIERS names one that stories know")
    }
}

/// Whether stories are to be told on the tier with this name. On a host that does not have them all, the variable
/// `WATCHER_TEST_TIERS` names those that it has: `connector,poll`.
pub fn tier_is_wanted(name: &str) -> bool {
    let is_named = env::var("WATCHER_TEST_TIERS").map_or(true, |wanted| wanted.split(',').any(|wanted| wanted == name));
    is_named && (name != Tier::Connector.name() || connector_is_in_reach())
}

/// Whether these tests run where the process connector speaks at all: in a container it does not. Any other reason not to
/// work is a fault.
pub fn connector_is_in_reach() -> bool {
    static IN_REACH: OnceLock<bool> = OnceLock::new();
    *IN_REACH.get_or_init(|| {
        let report: Value = serde_json::from_str(&run(&mut watcher(["doctor", "--json"])).stdout).expect("JSON");
        let tiers = report["tiers"].as_array().expect("a list");
        let tier = tiers.iter().find(|tier| tier["name"] == Tier::Connector.name()).expect("it is listed");
        let reason = tier["reason"].as_str().filter(|reason| reason.contains("namespace"));
        if let Some(reason) = reason {
            eprintln!("skipped here: every story of tier connector, since {reason}");
        }
        reason.is_none()
    })
}

/// All of them.
pub const EACH_TIER: &[Tier] = &[Tier::Ebpf, Tier::Pidfd, Tier::Connector, Tier::Poll];

/// Tells a story on each tier, at the same time.
pub fn on_each_tier(story: impl Fn(Tier) + Sync) {
    story::at_the_same_time(&[("this story", EACH_TIER, &story)]);
}

/// The host. Its services end when it is dropped.
#[derive(Debug)]
pub struct Host {
    pub folder: TempDir,
    /// Services live as long as this is open.
    _life: File,
    daemon: OnceLock<Daemon>,
}

/// It is killed when dropped.
#[derive(Debug)]
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first lines of a pfile.
pub const PARAM: &str = "IPCKEY 0x1\nMSG_CHECK_INTERVAL 1\nMONITOR_INTERVAL 1\n";

impl Host {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let life = folder.path().join("life");
        mknodat(CWD, &life, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
        let life = OpenOptions::new().read(true).write(true).open(life).expect("a FIFO");
        let host = Self { folder, _life: life, daemon: OnceLock::new() };
        host.install("svc");
        host
    }

    /// Another name for the program of the services.
    pub fn install(&self, name: &str) -> String {
        symlink(built("service"), self.folder.path().join(name)).expect("a link");
        self.path(name)
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("text").to_owned()
    }

    /// The path of the service: its `argv[0]`.
    pub fn svc(&self) -> String {
        self.path("svc")
    }

    pub fn pfile(&self) -> String {
        self.path("pfile")
    }

    pub fn run_dir(&self) -> String {
        self.path("run")
    }

    /// The folder of the pcheck of this host in the run directory.
    pub fn own_dir(&self) -> PathBuf {
        self.folder.path().join("run/00000001")
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        // Renamed, so that whoever reads it sees the old one or the new one.
        let (path, aside) = (self.path(name), self.path(&format!("{name}.new")));
        fs::write(&aside, text).expect("the folder is writable");
        fs::rename(aside, &path).expect("the folder is writable");
        path
    }

    /// A restart script: `$H` is this host's folder.
    pub fn script(&self, name: &str, body: &str) -> String {
        let path = self.path(name);
        script(&path, &format!("#!/bin/sh\nH={}\n{body}\n", self.path("")));
        path
    }

    /// A restart script that starts the service with these words.
    pub fn restarts(&self, name: &str, words: &str) -> String {
        self.script(name, &format!("{} >/dev/null 2>&1 </dev/null &", self.command(words)))
    }

    /// What a script runs to start the service with these words.
    pub fn command(&self, words: &str) -> String {
        format!("{} {words}", self.svc())
    }

    /// A FIFO: a script that reads a line of it waits for the test.
    pub fn gate(&self, name: &str) -> String {
        mknodat(CWD, self.path(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
        self.path(name)
    }

    /// Writes the pfile: the usual parameters and these entries.
    pub fn rules(&self, entries: &str) {
        self.write("pfile", &format!("{PARAM}SHM_DUMP_FILE {}\n{entries}\n", self.path("dump")));
    }

    /// Starts the service with these words. Whoever starts it reaps it at once.
    pub fn start(&self, words: &str) -> Service {
        self.start_as("svc", words)
    }

    /// The same under another name.
    pub fn start_as(&self, name: &str, words: &str) -> Service {
        let mut child = self.spawn(name, words);
        let pid = Pid::new(child.id()).expect("a pid");
        let (tell, ended) = mpsc::channel();
        thread::spawn(move || {
            let status = child.wait().expect("it is our child");
            // Nobody may want to know.
            let _told = tell.send(status);
        });
        Service { pid, ended }
    }

    /// Starts the service; nobody reaps it before the test does.
    pub fn spawn(&self, name: &str, words: &str) -> Child {
        let mut command = Command::new(self.path(name));
        command.args(words.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the service starts")
    }

    /// pcheck on this host, ready to be started. With `WATCHER_TEST_JOINED=1` it joins a daemon on that tier.
    pub fn pcheck(&self, tier: Tier) -> Command {
        let mut command = watcher(["pcheck", "-f", &self.pfile(), "--run-dir", &self.run_dir(), "--log", "stderr"]);
        if env::var_os("WATCHER_TEST_JOINED").is_some() {
            self.daemon.get_or_init(|| self.daemon(tier));
        } else {
            command.args(["--tier", tier.name()]);
        }
        die_with_the_test(&mut command);
        command
    }

    /// `watcher run` over the pfiles in this folder of the host, ready to be started.
    pub fn run(&self, folder: &str) -> Command {
        let mut command = watcher(["run", "-d", &self.path(folder), "--run-dir", &self.run_dir(), "--log", "stderr"]);
        die_with_the_test(&mut command);
        command
    }

    /// A daemon that can be joined, and watches nothing by itself.
    fn daemon(&self, tier: Tier) -> Daemon {
        fs::create_dir(self.path("of-the-daemon")).expect("the folder is writable");
        let mut command = self.run("of-the-daemon");
        command.args(["--tier", tier.name()]);
        let log = File::create(self.path("log-of-the-daemon")).expect("the folder is writable");
        let daemon = Daemon(command.stdin(Stdio::null()).stderr(log).spawn().expect("the command starts"));
        until("it can be joined", || self.folder.path().join("run/daemon/join").exists());
        daemon
    }

    /// `padmin -f PFILE -c …`
    pub fn padmin(&self, words: &str) -> Ended {
        self.ask(&["padmin", "-c", words, "--log", "stderr"])
    }

    /// A command that asks the pcheck of this host.
    pub fn ask(&self, words: &[&str]) -> Ended {
        let (pfile, run_dir) = (self.pfile(), self.run_dir());
        let end = Instant::now() + *DEADLINE;
        loop {
            let ended = run(watcher(words).args(["-f", &pfile, "--run-dir", &run_dir]));
            // Among twenty others that are being told at the same time on an emulated machine, one may wait for so long.
            let is_busy = is_emulated() && ended.stderr.contains("pcheck has not answered within ");
            if !is_busy || Instant::now() > end {
                return ended;
            }
        }
    }

    /// What padmin shows of an entry, as JSON.
    pub fn entry(&self, number: usize) -> Value {
        let ended = self.ask(&["padmin", "--json", "-c", &format!("show pent {number}")]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        report["entries"][0].clone()
    }

    /// What is known of the service that the first stall check of an entry asks.
    pub fn stall_check(&self, number: usize) -> Value {
        self.entry(number)["stall_checks"][0].clone()
    }

    /// Waits until the first stall check of an entry has this value.
    pub fn stall_chk(&self, number: usize, value: &str) {
        until(&format!("stall_chk of entry {number} is {value}"), || self.stall_check(number)["status"] == value);
    }

    /// The process of an entry.
    pub fn pid_of(&self, number: usize) -> Pid {
        let entry = self.entry(number);
        Pid::new(entry["pid"].as_u64().expect("a pid") as u32).expect("a pid")
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// A service that the test has started. It ends with its host.
#[derive(Debug)]
pub struct Service {
    pub pid: Pid,
    ended: mpsc::Receiver<ExitStatus>,
}

impl Service {
    pub fn kill(&self) {
        kill(self.pid);
    }

    /// Waits for its end: the signal that killed it.
    pub fn end(&self) -> Option<i32> {
        self.ended.recv_timeout(*DEADLINE).expect("it ends").signal()
    }
}

/// Kills a process that this test has caused.
pub fn kill(pid: Pid) {
    signal(pid, libc::SIGKILL);
}

pub fn signal(pid: Pid, signal: i32) {
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::kill(pid.number() as i32, signal) }, 0, "process {pid} is there");
}

/// Whether a process is there, and not only its remains.
pub fn lives(pid: Pid) -> bool {
    proc::facts(pid).expect("/proc is readable").is_some_and(|facts| !facts.leader_zombie)
}
