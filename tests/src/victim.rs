//! The test's side of a victim.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

use watcher::sys::proc;
use watcher_core::{Pid, ProcId};

use crate::program::built;

/// A process that was started to be watched. It is killed and reaped when dropped.
#[derive(Debug)]
pub struct Victim {
    child: Child,
    words: BufReader<ChildStdout>,
}

impl Victim {
    /// Starts the victim with this name and waits until it is ready.
    pub fn start(name: &str) -> Self {
        Self::run(&mut Command::new(built(name)))
    }

    /// Starts a command and waits until it says `ready`.
    pub fn run(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the victim starts");
        let words = BufReader::new(child.stdout.take().expect("piped"));
        let mut victim = Self { child, words };
        victim.expect("ready");
        victim
    }

    /// Waits for a word of the victim.
    pub fn expect(&mut self, word: &str) {
        assert_eq!(self.next_word(), word, "what the victim says");
    }

    /// The next word of the victim.
    pub fn next_word(&mut self) -> String {
        let mut line = String::new();
        self.words.read_line(&mut line).expect("the victim speaks");
        line.trim_end().to_owned()
    }

    /// Tells it to go on.
    pub fn go(&mut self) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(b"go\n").and_then(|()| stdin.flush()).expect("the victim listens");
    }

    pub fn pid(&self) -> Pid {
        Pid::new(self.child.id()).expect("a pid")
    }

    /// Its identity, as `/proc` tells it.
    pub fn id(&self) -> ProcId {
        identity(self.pid())
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it is our child");
    }

    /// Waits for its end; the status as `waitpid` gives it.
    pub fn wait(&mut self) -> u32 {
        let status: ExitStatus = self.child.wait().expect("it is our child");
        status.into_raw() as u32
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Both fail when it has been reaped already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process with this number, as `/proc` tells it.
pub fn identity(pid: Pid) -> ProcId {
    proc::facts(pid).expect("/proc is readable").expect("the process is there").proc
}
