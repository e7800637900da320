//! A folder with a script, the processes that it starts, and whoever watches them. All of it ends with the bench.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::{Pid as RawPid, Signal, kill_process},
};
use tempfile::TempDir;
use watcher_core::Mono;
use watcher_tests::program::built;

use crate::{INTERVAL, floor};

/// A folder, and the stamps of the scripts that run.
pub(crate) struct Ground {
    folder: TempDir,
    stamps: fs::File,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        mknodat(CWD, at("stamps"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a fifo");
        let stamps = fs::File::options().read(true).write(true).open(at("stamps")).expect("both of its ends");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/restart/script.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-static", "-O2", "-o"]).arg(at("program")).arg(source);
        compiler.arg(format!("-DFOLDER=\"{}\"", folder.path().display()));
        compiler.arg(format!("-DPROGRAM=\"{}\"", at("program").display()));
        assert!(compiler.status().expect("a C compiler").success(), "the script is built");
        symlink(at("program"), at("script")).expect("a link");
        Self { folder, stamps }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The process of an entry.
    pub(crate) fn victim(&self, entry: usize) -> RawPid {
        let text = fs::read_to_string(self.at(&format!("pid.{entry}"))).expect("its script has run");
        text.trim().parse().ok().and_then(RawPid::from_raw).expect("a pid")
    }

    /// When a script began to run, and for which entry: the next one.
    pub(crate) fn stamp(&self) -> (Mono, usize) {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\n") {
            (&self.stamps).read_exact(&mut byte).expect("somebody writes");
            line.extend(byte);
        }
        let line = String::from_utf8(line).expect("text");
        let (stamp, entry) = line.trim().split_once(' ').expect("two numbers");
        (Mono(stamp.parse().expect("a number")), entry.parse().expect("a number"))
    }

    /// A pfile for so many entries.
    pub(crate) fn pfile(&self, entries: usize) -> PathBuf {
        let at = |name: &str| self.at(name).display().to_string();
        let (program, script) = (at("program"), at("script"));
        let entry = |number| format!("{program}:{script}:86400:3:exit:include_strings=n{number}.\n");
        let entries: String = (1..=entries).map(entry).collect();
        let param = format!("IPCKEY 0x1f000001\nMONITOR_INTERVAL {INTERVAL}\nSHM_DUMP_FILE {}\n", at("dump"));
        fs::write(self.at("pfile"), param + &entries).expect("room");
        self.at("pfile")
    }

    /// A pcheck. It has to start the processes of its entries.
    pub(crate) fn pcheck(&self, entries: usize, tier: &str) -> Watching {
        let mut command = Command::new(built("watcher"));
        command.arg("pcheck").arg("-f").arg(self.pfile(entries)).arg("--run-dir").arg(self.at("run"));
        let mut watching = Watching::start(command.args(["--log", "stderr", "--tier", tier]), ") Up");
        for _ in 0..entries {
            watching.await_restarted();
            self.stamp();
        }
        watching
    }
}

/// Somebody who watches and restarts, with all that he starts.
pub(crate) struct Watching {
    keeper: Child,
    pub(crate) pid: u32,
    log: BufReader<ChildStderr>,
    /// By what he says that somebody was restarted.
    restarted: &'static str,
}

impl Watching {
    /// Starts him.
    pub(crate) fn start(command: &Command, restarted: &'static str) -> Self {
        let mut keeper = Command::new(built("keeps"));
        keeper.arg(command.get_program()).args(command.get_args());
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = keeper.spawn().expect("the keeper starts");
        let mut pid = String::new();
        BufReader::new(keeper.stdout.take().expect("piped")).read_line(&mut pid).expect("the keeper speaks");
        let log = BufReader::new(keeper.stderr.take().expect("piped"));
        Self { keeper, pid: pid.trim().parse().expect("a pid"), log, restarted }
    }

    /// The bare loop.
    pub(crate) fn floor(ground: &Ground, entries: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("it is there"));
        command.arg(floor::OPTION).arg(ground.at("script")).arg(entries.to_string());
        let mut watching = Self::start(&command, floor::RESTARTED);
        for _ in 0..entries {
            watching.await_restarted();
            ground.stamp();
        }
        watching
    }

    /// Waits until somebody was restarted.
    pub(crate) fn await_restarted(&mut self) {
        let mut line = String::new();
        while !line.contains(self.restarted) {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).expect("text"), 0, "it has ended");
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _reaped = self.keeper.wait();
    }
}

pub(crate) fn kill(victim: RawPid) {
    kill_process(victim, Signal::KILL).expect("it runs");
}
