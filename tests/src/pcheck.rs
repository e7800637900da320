//! A running pcheck, by the lines of its log.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use watcher_core::Pid;

use crate::{host::signal, wait::DEADLINE};

/// It is killed when dropped, and when the test dies.
#[derive(Debug)]
pub struct Pcheck {
    child: Child,
    lines: Receiver<(Instant, String)>,
    /// When the last line came.
    pub last: Instant,
    /// What it was.
    latest: String,
}

/// A child is killed when the thread ends that has started it.
pub fn die_with_the_test(command: &mut Command) {
    // SAFETY: a system call is all that is done in the child.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

impl Pcheck {
    /// Starts it; its lines are those of standard error.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if !is_of_the_host(&line) {
                    // Nobody may want to know.
                    let _told = tell.send((Instant::now(), line));
                }
            }
        });
        Self { child, lines, last: Instant::now(), latest: String::new() }
    }

    /// Starts it, and takes the line that says so.
    pub fn started(command: &mut Command) -> Self {
        let mut pcheck = Self::start(command);
        let line = pcheck.line();
        assert!(line.starts_with("Start pcheck: "), "{line}");
        pcheck
    }

    pub fn pid(&self) -> Pid {
        Pid::new(self.child.id()).expect("a pid")
    }

    /// The next line, without the name and pid that every line begins with.
    pub fn line(&mut self) -> String {
        self.next_line().unwrap_or_else(|| panic!("pcheck has ended: {:?}", self.child.wait()))
    }

    /// The next line that is not only an explanation: those are told on tiers that know one.
    pub fn published(&mut self) -> String {
        loop {
            let line = self.line();
            if is_published(&line) {
                return line;
            }
        }
    }

    /// Takes these lines, explanations aside.
    pub fn expect<L: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = L>) {
        for line in lines {
            assert_eq!(self.published(), line.as_ref());
        }
    }

    /// Takes the line that tells that this process is there: its pid.
    pub fn up(&mut self, process: &str) -> Pid {
        let line = self.published();
        let pid = line.strip_prefix(&format!("({process} ,pid=")).and_then(|rest| rest.strip_suffix(") Up"));
        let pid = pid.and_then(|pid| Pid::new(pid.parse().ok()?));
        pid.unwrap_or_else(|| panic!("not the Up of {process}: {line}"))
    }

    /// Takes lines up to one that contains this text.
    pub fn until(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.contains(text)) {
            let line = self.next_line();
            lines.push(line.unwrap_or_else(|| panic!("pcheck has ended without {text:?}: {lines:#?}")));
        }
        lines
    }

    /// Takes lines for so long: of what is not told, nothing else tells.
    pub fn during(&mut self, span: Duration) -> Vec<String> {
        let (end, mut lines) = (Instant::now() + span, Vec::new());
        while let Ok((_, line)) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            lines.push(line);
        }
        lines
    }

    pub fn signal(&self, number: i32) {
        signal(self.pid(), number);
    }

    /// Takes all lines up to its end, and its exit code.
    pub fn end(mut self) -> (Vec<String>, Option<i32>) {
        let lines: Vec<_> = std::iter::from_fn(|| self.next_line()).collect();
        let code = self.child.wait().expect("it is our child").code();
        (lines, code)
    }

    /// Asks it to end, which it must do; the lines that came before.
    pub fn stop(self) -> Vec<String> {
        self.signal(libc::SIGTERM);
        let (mut lines, code) = self.end();
        assert_eq!(code, Some(0), "{lines:#?}");
        let last = lines.split_off(lines.len().saturating_sub(2));
        assert_eq!(last, ["SIGTERM Catch (15)!!", "Stop pcheck!!"]);
        lines
    }

    /// Asks it to end: all lines that come before it has, and its exit code.
    pub fn end_by_term(self) -> (Vec<String>, Option<i32>) {
        self.signal(libc::SIGTERM);
        self.end()
    }

    /// `kill -9`
    pub fn kill(mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    fn next_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(*DEADLINE) {
            Ok((at, line)) => {
                self.last = at;
                let head = format!("pcheck[{}]: ", self.child.id());
                let text = line.strip_prefix(&head).unwrap_or_else(|| panic!("{line:?} does not begin with {head:?}"));
                text.clone_into(&mut self.latest);
                Some(text.to_owned())
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("pcheck says nothing after {:?}", self.latest),
        }
    }
}

impl Drop for Pcheck {
    fn drop(&mut self) {
        // Both fail when it has been reaped already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this line is of a process of somebody else, which hangs just now, or of a host with too much to do.
fn is_of_the_host(line: &str) -> bool {
    line.contains("]: Listing processes hangs at ")
}

/// Whether this line is the same on every tier.
pub fn is_published(line: &str) -> bool {
    !line.starts_with("Process [")
        || line.ends_with("] Down")
        || [" wanted are ", ": the service "].iter().any(|same| line.contains(same))
}
