//! Which running processes the entries of a pfile mean, and why the others that look like them are not meant.

mod asked;

use std::io;

use serde::Serialize;
use watcher_core::pfile::{
    Entry, EntryNumber, Pfile, Strings,
    select::{NamedBy, Obstacle, Process, Processes, Verdict, judge},
};

pub use asked::{HttpReport, StallReport};

use crate::sys::proc_table;

/// What was found. Documented in `docs/json.md`; members are added, never changed.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of this layout.
    pub schema: u32,
    /// The pfile.
    pub file: String,
    /// Each entry that was asked for.
    pub entries: Vec<EntryReport>,
    /// Of how many processes this user may not know the program: one of them may be meant.
    pub hidden: usize,
}

/// One entry.
#[derive(Debug, Serialize)]
pub struct EntryReport {
    /// Its number.
    pub entry: usize,
    /// The program.
    pub process: String,
    /// What brings it back.
    pub script: String,
    /// The period that the retry count belongs to, in seconds.
    pub grace_s: u32,
    /// How many restarts are tried before a retry-over.
    pub retries: u32,
    /// What happens then, as written.
    pub retry_over_act: String,
    /// Its stall checks, in order.
    pub stall_checks: Vec<StallReport>,
    /// What the command line must contain, as written.
    pub include_strings: Option<String>,
    /// What it must not contain, as written.
    pub exclude_strings: Option<String>,
    /// The process that is watched: the oldest that matches.
    pub watched: Option<u32>,
    /// All that match, oldest first.
    pub matches: Vec<Match>,
    /// Those that nearly match, oldest first.
    pub nearly: Vec<Near>,
}

/// A process that matches.
#[derive(Debug, Serialize)]
pub struct Match {
    /// Which.
    pub pid: u32,
    /// Its command line.
    pub command_line: String,
    /// What the entry's path is equal to.
    pub named_by: By,
    /// Strings that it contains, as it must.
    pub contains: Vec<String>,
}

/// A process that nearly matches.
#[derive(Debug, Serialize)]
pub struct Near {
    /// Which.
    pub pid: u32,
    /// Its command line.
    pub command_line: String,
    /// What excludes it.
    pub because: Vec<Reason>,
}

/// Why a process does not match.
#[derive(Debug, Serialize)]
#[serde(tag = "why", content = "what", rename_all = "snake_case")]
pub enum Reason {
    /// It contains this string.
    Contains(String),
    /// It lacks this string.
    Lacks(String),
    /// It is known by this path.
    OtherPath(String),
    /// It is a zombie.
    Zombie,
}

/// What the entry's path is equal to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The first word of the command line.
    Argv0,
    /// The program that runs.
    Exe,
}

impl Report {
    /// Looks at the running processes.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn make(file: String, pfile: &Pfile, only: Option<EntryNumber>) -> io::Result<Self> {
        let mut all = proc_table::processes()?;
        all.sort_by_key(|process| (process.proc.start, process.proc.pid));
        let processes = Processes::new(all);
        let wanted = pfile.numbered().filter(|(number, _)| only.is_none_or(|only| only == *number));
        let entries = wanted.map(|(number, entry)| EntryReport::of(number, &entry.value, &processes)).collect();
        Ok(Self { schema: 1, file, entries, hidden: processes.hidden() })
    }

    /// Whether every entry matches something.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.entries.iter().all(|entry| entry.watched.is_some())
    }
}

impl EntryReport {
    fn of(number: EntryNumber, entry: &Entry, processes: &Processes) -> Self {
        let (include, exclude) = (entry.include_strings(), entry.exclude_strings());
        let written = |strings: Option<&Strings>| strings.map(|strings| strings.written().to_string());
        let matching: Vec<_> = processes.matching(entry).collect();
        let (mut matches, mut nearly) = (Vec::new(), Vec::new());
        for process in processes.iter() {
            match judge(entry, process) {
                Verdict::Differs => {}
                Verdict::Matches(by) => matches.push(Match::of(process, by, include)),
                Verdict::Nearly(obstacles) => nearly.push(Near::of(process, &obstacles)),
            }
        }
        Self {
            entry: number.number(),
            process: entry.process.value.to_string(),
            script: entry.script.value.to_string(),
            grace_s: entry.grace.value.0,
            retries: entry.retries.value,
            retry_over_act: entry.retry_over.value.written().to_string(),
            stall_checks: entry.stall_checks.iter().map(|check| StallReport::of(entry, &check.value)).collect(),
            include_strings: written(include),
            exclude_strings: written(exclude),
            watched: Processes::chosen(&matching).map(|process| process.proc.pid.number()),
            matches,
            nearly,
        }
    }
}

impl Match {
    fn of(process: &Process, named_by: NamedBy, include: Option<&Strings>) -> Self {
        let named_by = match named_by {
            NamedBy::Argv0 => By::Argv0,
            NamedBy::Exe => By::Exe,
        };
        let contains = include.into_iter().flat_map(Strings::words).map(lossy).collect();
        let Process { proc, command_line, .. } = process;
        Self { pid: proc.pid.number(), command_line: command_line.to_string(), named_by, contains }
    }
}

impl Near {
    fn of(process: &Process, obstacles: &[Obstacle<'_>]) -> Self {
        let because = obstacles.iter().map(|obstacle| match obstacle {
            Obstacle::Contains(word) => Reason::Contains(lossy(word)),
            Obstacle::Lacks(word) => Reason::Lacks(lossy(word)),
            Obstacle::OtherPath(path) => Reason::OtherPath(lossy(path)),
            Obstacle::Zombie => Reason::Zombie,
        });
        let because = because.collect();
        Self { pid: process.proc.pid.number(), command_line: process.command_line.to_string(), because }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
