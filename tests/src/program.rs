//! The program under test, as a user runs it.

use std::{
    env,
    ffi::OsStr,
    io::BufReader,
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
};

use watcher::sys::{pidfd, proc};
use watcher_core::Pid;

use crate::wait::DEADLINE;

/// A binary of this workspace, as it was built for these tests.
pub fn built(name: &str) -> PathBuf {
    let this = env::current_exe().expect("the test knows where it is");
    // Tests lie in target/PROFILE/deps, binaries beside it.
    let folder = this.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).expect("target/PROFILE");
    let binary = folder.join(name);
    assert!(binary.exists(), "{} is missing: `cargo xtask test` builds it", binary.display());
    binary
}

/// A copy of a program, written by another process: what one of our own threads has open for writing, a child that another
/// thread is making at that moment has open, too, and then it cannot be run.
pub fn copy(from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) {
    assert!(Command::new("cp").arg(from).arg(to).status().expect("cp starts").success());
}

/// Writes a file that can be run, by another process for the same reason. Whoever reads it sees the old one or the new one.
pub fn script(path: impl AsRef<OsStr>, text: &str) {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"printf %s "$2" >"$1.new" && chmod 755 "$1.new" && mv "$1.new" "$1""#, "-"]);
    assert!(shell.arg(path).arg(text).stdin(Stdio::null()).status().expect("sh starts").success());
}

/// `watcher` with these arguments.
pub fn watcher<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(built("watcher"));
    command.args(arguments).env_remove("WATCHER_LOG");
    command
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ended {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// A command that runs while the test goes on. It is killed when dropped, or when it takes far too long: a hang is a
/// failure.
#[derive(Debug)]
pub struct Running {
    pub child: Child,
    _watchdog: Watchdog,
    pub stdout: BufReader<ChildStdout>,
    pub stderr: BufReader<ChildStderr>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        Self { _watchdog: Watchdog::of(&child), child, stdout, stderr }
    }

    /// The next line on standard output; empty at its end.
    pub fn line(&mut self) -> String {
        line_of(&mut self.stdout)
    }

    /// The next line on standard error; empty at its end.
    pub fn talk(&mut self) -> String {
        line_of(&mut self.stderr)
    }

    /// Waits for its end; its exit code.
    pub fn end(&mut self) -> Option<i32> {
        self.child.wait().expect("it is our child").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has been reaped already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Kills a child after the deadline, unless it is dropped before.
#[derive(Debug)]
struct Watchdog(#[expect(dead_code, reason = "its end calls the dog off")] mpsc::Sender<()>);

impl Watchdog {
    fn of(child: &Child) -> Self {
        let pid = Pid::new(child.id()).expect("a pid");
        // An old kernel has none.
        let pidfd = pidfd::open(pid);
        let began = proc::facts(pid).ok().flatten().map(|facts| facts.proc);
        let (call_off, called_off) = mpsc::channel();
        thread::spawn(move || {
            if called_off.recv_timeout(*DEADLINE) == Err(RecvTimeoutError::Timeout) {
                // It may have ended by itself, unreaped.
                let _ = match pidfd {
                    Ok(pidfd) => pidfd::send(&pidfd, libc::SIGKILL as u8),
                    Err(_) if proc::facts(pid).ok().flatten().map(|facts| facts.proc) == began => {
                        proc::kill(pid, libc::SIGKILL as u8)
                    }
                    Err(_) => Ok(()),
                };
            }
        });
        Self(call_off)
    }
}

fn line_of(stream: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("text");
    line.truncate(line.trim_end().len());
    line
}
