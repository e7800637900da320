//! A host for monitors: a folder for their records, links by their names, and the services that they ask.
#![allow(dead_code, unused_imports, reason = "each test file uses what it needs")]

mod service;

use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

pub(crate) use service::{Closed, Service};
use tempfile::TempDir;

/// Longer than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A folder with links named like the original's commands, in which records are kept.
pub(crate) struct Host(TempDir);

impl Host {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["clp_httpmon", "clp_smtpmon"] {
            symlink(env!("CARGO_BIN_EXE_watcher"), folder.path().join(name)).unwrap();
        }
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Names of what lies beside the records of a command.
    pub(crate) fn records(&self, command: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("run").join(command)).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A command with its words, its log on standard error, and its records here.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut words = words.split_whitespace();
        let mut command = Command::new(self.path(words.next().unwrap()));
        command.args(words).args(["--log", "stderr", "--run-dir"]).arg(self.path("run")).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &str) -> Ran {
        ran(&mut self.command(words))
    }

    pub(crate) fn start(&self, words: &str) -> Monitor {
        Monitor::of(&mut self.command(words))
    }
}

/// Runs a command to its end.
pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A monitor that runs. It ends with the test.
pub(crate) struct Monitor {
    child: Child,
    lines: Receiver<String>,
}

impl Monitor {
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || stderr.lines().try_for_each(|line| tell.send(line.unwrap())));
        Self { child, lines }
    }

    /// One that has said that it begins.
    pub(crate) fn begun(mut self) -> Self {
        assert!(self.line().contains(" started monitoring the "));
        assert!(self.line().contains(" will start monitoring the "));
        self
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its log, without its name and pid.
    pub(crate) fn line(&mut self) -> String {
        let line = self.lines.recv_timeout(LIMIT).expect("a line of the log");
        let ident = format!("[{}]: ", self.pid());
        line.split_once(&ident).unwrap_or_else(|| panic!("{line:?} has no {ident:?}")).1.to_owned()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end: the lines that were left, and the exit code.
    pub(crate) fn end(mut self) -> (Vec<String>, Option<i32>) {
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => {
                    lines.push(line.split_once("]: ").map_or_else(|| line.clone(), |(_, text)| text.to_owned()))
                }
                // The pipe closes with the process.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; so far it has said {lines:?}"),
            }
        }
        (lines, self.child.wait().unwrap().code())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // It may have ended.
        let _killed = self.child.kill();
        self.child.wait().unwrap();
    }
}
