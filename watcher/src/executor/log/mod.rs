//! The log: syslog, standard error, or both. It never blocks, and never ends anybody: what cannot be written now waits, and
//! what cannot wait is counted.

mod outlet;
mod stderr;
mod syslog;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use watcher_core::{Level, Wall};

use self::{
    outlet::{MOST, NotNow, Outlet},
    stderr::Stderr,
    syslog::Syslog,
};
use super::harmless::harmless;
use crate::sys::{clock, local_time, own};

/// Where syslog listens.
pub const SYSLOG: &str = "/dev/log";

/// Longer messages are cut: readers of syslog may cut anywhere, or take none of it.
const LONGEST: usize = 2048;

/// What a death and a restart tell, and some lines that the script says.
const OF_A_RESTART: usize = 8;

/// When to try again: a reader that is slow, and one that is not there.
const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_secs(1);

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// To both.
    Both,
    /// To standard error.
    Stderr,
    /// To syslog.
    Syslog,
}

/// The log of one program.
#[derive(Debug)]
pub struct Log {
    to: LogTo,
    ident: &'static str,
    syslog: Outlet<Syslog>,
    stderr: Outlet<Stderr>,
    /// Whether it was said that syslog is not there.
    complained: bool,
    /// What comes of messages then, as long as this program runs.
    fate: &'static str,
    try_again: Option<Instant>,
}

impl Log {
    /// Opens it. Nothing can fail here: syslog may come later.
    #[must_use]
    pub fn open(to: LogTo, ident: &'static str) -> Self {
        Self::with(to, ident, SYSLOG.into(), Stderr::of_this_process())
    }

    /// For a program that tells something and ends: it does not wait for a syslog that is not there.
    #[must_use]
    pub fn for_once(self) -> Self {
        Self { fate: "messages are lost", ..self }
    }

    fn with(to: LogTo, ident: &'static str, syslog: PathBuf, stderr: Stderr) -> Self {
        let (syslog, stderr) = (Outlet::new(Syslog::at(syslog)), Outlet::new(stderr));
        Self { to, ident, syslog, stderr, complained: false, fate: "messages wait for it", try_again: None }
    }

    /// So many entries are watched: all may be restarted at once, and a reader takes its time.
    pub fn expect_of(&mut self, entries: usize) {
        let most = MOST + entries * OF_A_RESTART;
        (self.syslog.most, self.stderr.most) = (most, most);
    }

    /// Tells it one line.
    pub fn tell(&mut self, level: Level, line: &[u8]) {
        let line = cut(line);
        if matches!(self.to, LogTo::Syslog | LogTo::Both) {
            self.syslog.push(self.for_syslog(level, &line));
        }
        if matches!(self.to, LogTo::Stderr | LogTo::Both) {
            self.stderr.push(self.for_stderr(&line));
        }
        self.retry();
    }

    /// Whether lines wait.
    #[must_use]
    pub fn must_flush(&self) -> bool {
        self.syslog.must_flush() || self.stderr.must_flush()
    }

    /// Waits until it is time to [`Self::retry`]: for ever when no line waits.
    pub async fn ready(&self) {
        match self.try_again {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Tries to write what waits.
    pub fn retry(&mut self) {
        let lost = |count: u64| format!("{count} messages lost").into_bytes();
        let to_syslog = self.syslog.flush(|count| for_syslog(self.ident, Level::Warning, &lost(count)));
        if let Err(NotNow::Absent(why)) = &to_syslog
            && !self.complained
        {
            self.complained = true;
            let place = self.syslog.sink.path().display();
            let fate = self.fate;
            let line = format!("syslog cannot be reached ({place}: {why}): {fate}; --log stderr shows them here");
            self.stderr.push(self.for_stderr(line.as_bytes()));
        }
        let to_stderr = self.stderr.flush(|count| for_stderr(self.ident, &lost(count)));
        let wait = match (to_syslog, to_stderr) {
            (Ok(()), Ok(())) => None,
            (Err(NotNow::Full), _) | (_, Err(NotNow::Full)) => Some(SOON),
            (Err(NotNow::Absent(_)), _) | (_, Err(NotNow::Absent(_))) => Some(LATER),
        };
        self.try_again = wait.map(|wait| Instant::now() + wait);
    }

    /// Writes what waits, as far as that works within this time. For the end of the program: it blocks.
    pub fn flush(&mut self, limit: Duration) {
        const PAUSE: Duration = Duration::from_millis(10);
        let end = Instant::now() + limit;
        self.retry();
        while self.must_flush() && Instant::now() < end {
            std::thread::sleep(PAUSE);
            self.retry();
        }
    }

    fn for_syslog(&self, level: Level, line: &[u8]) -> Vec<u8> {
        for_syslog(self.ident, level, line)
    }

    fn for_stderr(&self, line: &[u8]) -> Vec<u8> {
        for_stderr(self.ident, line)
    }
}

/// As the C library's `syslog` writes it.
fn for_syslog(ident: &str, level: Level, line: &[u8]) -> Vec<u8> {
    stamped(ident, level, line, clock::wall())
}

fn stamped(ident: &str, level: Level, line: &[u8], wall: Wall) -> Vec<u8> {
    const DAEMON: u32 = 3 << 3;
    let severity = match level {
        Level::Critical => 2,
        Level::Error => 3,
        Level::Warning => 4,
        Level::Notice => 5,
    };
    let head = format!("<{}>{} {ident}[{}]: ", DAEMON | severity, local_time::syslog_stamp(wall), own::pid());
    [head.as_bytes(), line].concat()
}

fn for_stderr(ident: &str, line: &[u8]) -> Vec<u8> {
    [format!("{ident}[{}]: ", own::pid()).as_bytes(), line, b"\n"].concat()
}

/// One line without control characters, not too long, and not cut inside a letter.
fn cut(line: &[u8]) -> Vec<u8> {
    let line = harmless(line);
    let mut end = line.len().min(LONGEST);
    let is_inside = |at: usize| line.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    if is_inside(end) {
        end = (end.saturating_sub(3)..end).rev().find(|at| !is_inside(*at)).unwrap_or(end);
    }
    line.get(..end).unwrap_or_default().to_vec()
}
