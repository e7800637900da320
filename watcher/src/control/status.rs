//! How a process that watches stands, and what it costs, on the wire. The same members are what `watcher status --json`
//! prints (`docs/json.md`): they are added, never changed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use watcher_core::{
    Mono, Pid, Seen, Span, Tier, Wall,
    fleet::{EntryView, Refused},
    fleets::{Recovery, ScriptsNow},
};

use super::{
    answer::Who,
    view::{self, WhoLine, unix_seconds},
};
use crate::sys::{cost::Cost, raw_tracepoint::Runs};

/// How the watch over one pfile stands, and the process that it is part of.
#[derive(Debug)]
pub struct Status {
    /// At this moment.
    pub now: Mono,
    /// The watch.
    pub who: Who,
    /// Rules that it should have taken and has not.
    pub refused: Option<Refused>,
    /// Its process, where that was asked for.
    pub process: Option<Process>,
    /// Its entries.
    pub entries: Vec<EntryView>,
}

/// A process that watches, for one pfile or for many.
#[derive(Debug)]
pub struct Process {
    /// It.
    pub pid: Pid,
    /// Since when it watches.
    pub began: Wall,
    /// How it learns of deaths.
    pub tier: Tier,
    /// That it has left a better tier, and why.
    pub tier_left: Option<String>,
    /// Pfiles that it should watch, and does not.
    pub unwatched: Unwatched,
    /// How many pfiles it watches,
    pub pfiles: usize,
    /// with so many entries,
    pub entries: usize,
    /// and so many processes.
    pub watched: usize,
    /// What it has cost.
    pub cost: Cost,
    /// What it was told.
    pub seen: Seen,
    /// How often its kernel programs ran, and for how long, each by its name; `None`: it has none.
    pub programs: Option<Programs>,
    /// How many entries are down, and are to come back.
    pub down: usize,
    /// Its scripts.
    pub scripts: ScriptsNow,
    /// How far those have come back that fell together, now or last.
    pub recovery: Option<Recovery>,
}

/// Pfiles that should be watched, and are not.
#[derive(Clone, Debug, Default)]
pub struct Unwatched {
    /// Some of them.
    pub some: Vec<(PathBuf, WhyNot)>,
    /// How many more there are.
    pub more: usize,
}

/// Why a pfile is not watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// An entry has ended the watch: its retries are used up.
    RetryOver(String),
    /// It cannot be watched, such as for a mistake in it.
    Refused(String),
}

/// Kernel programs.
#[derive(Debug)]
pub struct Programs {
    /// Whether the kernel counts their runs now.
    pub counted: bool,
    /// Each of them.
    pub runs: Vec<(String, Runs)>,
}

/// What comes before the lines of entries.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct StatusLine {
    /// So many lines follow.
    pub count: usize,
    /// The watch.
    pub who: WhoLine,
    /// Rules that it should have taken and has not.
    pub refused: Option<RefusedLine>,
    /// Its process, where that was asked for.
    pub process: Option<ProcessLine>,
}

/// Rules that were not taken.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RefusedLine {
    /// When, in seconds since 1970.
    pub unix_time: f64,
    /// Why.
    pub why: String,
}

/// A process that watches.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ProcessLine {
    /// It.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Since when it watches, in seconds since 1970.
    pub since_unix_time: f64,
    /// How it learns of deaths.
    pub tier: String,
    /// That it has left a better tier, and why.
    pub tier_left: Option<String>,
    /// Pfiles that it should watch, and does not: the first of them.
    pub unwatched: Vec<UnwatchedLine>,
    /// How many more of these there are.
    pub more_unwatched: usize,
    /// How many pfiles it watches.
    pub pfiles: usize,
    /// How many entries they have.
    pub entries: usize,
    /// How many processes are watched.
    pub watched: usize,
    /// What it has cost.
    pub cost: CostLine,
    /// What it was told.
    pub events: EventsLine,
    /// Its kernel programs, where it has any.
    pub kernel_programs: Option<ProgramsLine>,
    /// How many entries are down, and are to come back.
    pub down: usize,
    /// Its scripts.
    pub scripts: ScriptsLine,
    /// How far those have come back that fell together.
    pub recovery: Option<RecoveryLine>,
}

/// A pfile that is not watched.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct UnwatchedLine {
    /// Which.
    pub pfile: String,
    /// The same as hexadecimal digits, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pfile_hex: Option<String>,
    /// Whether an entry has ended its watch; if not, it cannot be watched.
    pub retry_over: bool,
    /// Why.
    pub why: String,
}

/// What a process has cost.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CostLine {
    /// Processor time for its own instructions, in seconds.
    pub cpu_user_s: f64,
    /// Processor time of the kernel for it.
    pub cpu_system_s: f64,
    /// How often it was woken.
    pub wake_ups: u64,
    /// Memory in use, in bytes.
    pub rss_bytes: Option<u64>,
}

/// What a process was told.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct EventsLine {
    /// Records about processes that die.
    pub deaths: u64,
    /// Processes that were found to be gone.
    pub ends: u64,
    /// Starts of programs.
    pub starts: u64,
    /// Records about sockets.
    pub sockets: u64,
    /// Lost records about processes.
    pub lost: u64,
    /// Lost records about sockets.
    pub lost_sockets: u64,
}

/// Kernel programs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ProgramsLine {
    /// Whether the kernel counts their runs now (`kernel.bpf_stats_enabled`).
    pub counted: bool,
    /// How often all of them ran while it did.
    pub runs: u64,
    /// For how long, in seconds.
    pub time_s: f64,
    /// Each of them.
    pub programs: Vec<ProgramLine>,
}

/// A kernel program.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ProgramLine {
    /// Which.
    pub name: String,
    /// How often it ran.
    pub runs: u64,
    /// For how long, in seconds.
    pub time_s: f64,
}

/// Restart scripts.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ScriptsLine {
    /// So many may run at once.
    pub limit: usize,
    /// So many run that count against it.
    pub counted: usize,
    /// So many run.
    pub running: usize,
    /// So many wait.
    pub waiting: usize,
    /// For how many seconds the first of those does.
    pub longest_wait_s: Option<f64>,
}

/// Many that fell together.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RecoveryLine {
    /// Whether it is over.
    pub over: bool,
    /// How many seconds ago it began.
    pub began_s: f64,
    /// For how many seconds it goes on, or went on.
    pub took_s: f64,
    /// How many fell.
    pub fallen: usize,
    /// How many of them have come back,
    pub back: usize,
    /// were given up,
    pub gave_up: usize,
    /// or were suspended, or went from the rules.
    pub aside: usize,
    /// How many are still to come back.
    pub pending: usize,
    /// How many seconds more it takes, if it goes on as it went until now.
    pub left_s: Option<f64>,
}

impl StatusLine {
    pub(super) fn of(status: &Status) -> Self {
        let Status { now, who, refused, process, entries } = status;
        let refused =
            refused.as_ref().map(|Refused { at, why }| RefusedLine { unix_time: unix_seconds(*at), why: why.clone() });
        Self {
            count: entries.len(),
            who: WhoLine::of(who),
            refused,
            process: process.as_ref().map(|process| ProcessLine::of(process, *now)),
        }
    }
}

impl ProcessLine {
    pub(super) fn of(process: &Process, now: Mono) -> Self {
        let Process {
            pid,
            began,
            tier,
            tier_left,
            unwatched: Unwatched { some, more },
            pfiles,
            entries,
            watched,
            cost: Cost { user, system, wake_ups, rss },
            seen: Seen { deaths, ends, starts, sockets, lost, lost_sockets },
            programs,
            down,
            scripts: ScriptsNow { limit, counted, running, waiting, waiting_since },
            recovery,
        } = process;
        Self {
            pid: pid.number(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since_unix_time: unix_seconds(*began),
            tier: tier.name().to_owned(),
            tier_left: tier_left.clone(),
            unwatched: some.iter().map(UnwatchedLine::of).collect(),
            more_unwatched: *more,
            pfiles: *pfiles,
            entries: *entries,
            watched: *watched,
            cost: CostLine {
                cpu_user_s: user.seconds(),
                cpu_system_s: system.seconds(),
                wake_ups: *wake_ups,
                rss_bytes: *rss,
            },
            events: EventsLine {
                deaths: *deaths,
                ends: *ends,
                starts: *starts,
                sockets: *sockets,
                lost: *lost,
                lost_sockets: *lost_sockets,
            },
            kernel_programs: programs.as_ref().map(ProgramsLine::of),
            down: *down,
            scripts: ScriptsLine {
                limit: *limit,
                counted: *counted,
                running: *running,
                waiting: *waiting,
                longest_wait_s: waiting_since.map(|since| now.since(since).seconds()),
            },
            recovery: recovery.as_ref().map(|recovery| RecoveryLine::of(recovery, now)),
        }
    }
}

impl UnwatchedLine {
    fn of((pfile, why): &(PathBuf, WhyNot)) -> Self {
        let (retry_over, why) = match why {
            WhyNot::RetryOver(why) => (true, why.clone()),
            WhyNot::Refused(why) => (false, why.clone()),
        };
        let (pfile, pfile_hex) = view::text(pfile.as_os_str().as_encoded_bytes());
        Self { pfile, pfile_hex, retry_over, why }
    }

    /// Its path, byte for byte.
    #[must_use]
    pub fn pfile(&self) -> Vec<u8> {
        view::bytes(&self.pfile, self.pfile_hex.as_deref())
    }
}

impl ProgramsLine {
    fn of(Programs { counted, runs }: &Programs) -> Self {
        let line = |(name, runs): &(String, Runs)| ProgramLine {
            name: name.clone(),
            runs: runs.count,
            time_s: Span(runs.time_ns).seconds(),
        };
        let sum = |what: fn(&Runs) -> u64| runs.iter().map(|(_, runs)| what(runs)).fold(0, u64::saturating_add);
        Self {
            counted: *counted,
            runs: sum(|runs| runs.count),
            time_s: Span(sum(|runs| runs.time_ns)).seconds(),
            programs: runs.iter().map(line).collect(),
        }
    }
}

impl RecoveryLine {
    fn of(recovery: &Recovery, now: Mono) -> Self {
        let Recovery { began, ended, fallen, back, gave_up, aside } = *recovery;
        Self {
            over: ended.is_some(),
            began_s: now.since(began).seconds(),
            took_s: recovery.took(now).seconds(),
            fallen,
            back,
            gave_up,
            aside,
            pending: recovery.pending(),
            left_s: recovery.left(now).map(Span::seconds),
        }
    }
}
