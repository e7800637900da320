//! Runs of scripts: what is to be run, and how it ended.

use std::fmt;

use crate::{
    Ending, EntryId, Pid, RunId,
    pfile::{AbsolutePath, EntryNumber},
};

/// A script to be run, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptOrder {
    /// This run.
    pub run: RunId,
    /// The entry whose process it brings back.
    pub entry: EntryId,
    /// The entry's number: `PS_PENT_ID`.
    pub number: EntryNumber,
    /// What is run.
    pub script: AbsolutePath,
    /// The entry's process: `PS_PNAME`.
    pub process: AbsolutePath,
    /// The process that has gone, where one was known: `PS_PID`.
    pub old: Option<Pid>,
    /// Which retry this is, from 1: `PS_RETRY_COUNT`.
    pub retry_count: u32,
    /// Why: `PS_REASON`.
    pub reason: Reason,
    /// How the process ended, where that is known: `PS_CAUSE` and its likes.
    pub ending: Ending,
    /// The same, as a sentence that follows "the process": who or what ended it.
    pub cause: Option<String>,
}

/// Why a restart is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// There are too few or too many processes.
    Count,
    /// The process has gone, or was not there.
    Down,
    /// It did not answer.
    Stall,
    /// It was found dead, and its parent had not taken notice.
    Zombie,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Count, Self::Down, Self::Stall, Self::Zombie];

    /// As scripts are told. Every process is a zombie for a moment: it counts as one when a look has found it so, not when
    /// the kernel told of its end.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Down => "down",
            Self::Stall => "stall",
            Self::Zombie => "zombie",
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The script ended.
    Ended(Ending),
    /// It could not be run at all: why, as a sentence.
    NotStarted(String),
}

impl RunEnd {
    /// Whether the script has not done, or cannot have done, what it is for. Of one whose end nobody saw that is not known.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        !matches!(self, Self::Ended(Ending::Exited { code: 0 } | Ending::Unknown))
    }
}

/// Completes the sentence "the script …".
impl fmt::Display for RunEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(ending) => ending.fmt(f),
            Self::NotStarted(why) => write!(f, "was not started: {why}"),
        }
    }
}
