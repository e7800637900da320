//! What a daemon and a pcheck that has joined it say to each other: the daemon decides, and the pcheck runs the scripts, so
//! that they inherit all that it has, and tells its own log.

pub mod member;
pub(super) mod session;
mod wire;

use std::{collections::BTreeMap, path::PathBuf};

use tokio::sync::mpsc;
use watcher_core::{Level, Pid, ProcId, RunEnd, RunId, ScriptOrder, Signal, pfile::UnknownOptions};

use super::Ended;
pub(super) use wire::JoinWire;

/// A pcheck that has joined, or wants to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuestId(pub u64);

/// What a pcheck asks that wants to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// It.
    pub pid: Pid,
    /// Its pfile, by its full path.
    pub pfile: PathBuf,
    /// Device and inode of that file.
    pub file: (u64, u64),
    /// What to do about options that are not known.
    pub unknown_options: UnknownOptions,
    /// Its release: what is said next may be another language in each.
    pub release: String,
    /// Where and as what it runs: by name, and as the kernel tells it.
    pub circumstances: BTreeMap<String, String>,
}

/// What the daemon says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It has to stand alone: why, as a sentence.
    Alone(String),
    /// End a script.
    EndRun {
        /// Which run.
        run: RunId,
        /// By force.
        force: bool,
    },
    /// The watch is over, and all that it held is free.
    Ended(Ended),
    /// The pfile cannot be watched by anybody.
    Failed {
        /// Since somebody watches it.
        already_running: bool,
        /// Why, as a sentence.
        why: String,
    },
    /// The pfile is watched from now on.
    Joined,
    /// It is there, as it was asked.
    Here,
    /// A line for the log.
    Log(Level, Vec<u8>),
    /// So many lines were not sent: they were not taken fast enough.
    Lost(u64),
    /// All rules are in force, and everybody who is there is watched.
    Ready,
    /// The rules are read again.
    Reloading,
    /// Run a script; its output goes into this file.
    Run(Box<ScriptOrder>, PathBuf),
}

/// What the pcheck says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Write the dump.
    Dump,
    /// It has gone. It never says so: its connection does.
    Gone,
    /// It wants to know whether anybody is there: one that was stopped does not say so.
    Knock,
    /// Read the rules again.
    Reload,
    /// A script has ended, or was never started.
    RunEnded(RunId, RunEnd),
    /// A script runs.
    RunStarted(RunId, ProcId),
    /// It was asked to stop by this signal.
    Stop(Signal),
}

/// A connection that stays.
#[derive(Debug)]
pub struct Session {
    /// Whose.
    pub guest: GuestId,
    /// What is to be said. It ends when the sender goes, and all was said.
    pub words: mpsc::Receiver<Word>,
    /// Where goes what is heard.
    pub heard: mpsc::Sender<(GuestId, Heard)>,
}
