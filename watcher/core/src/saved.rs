//! What must survive when the watch is killed and started again.

use crate::{Mono, ProcId, Wall, fleet::StallStatus, pfile::Bytes};

/// What is remembered of an entry. Times are those of this boot; after another one they mean nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedEntry {
    /// The entry as it stands in the file, in the one form that `print` gives it: by this it is found again.
    pub text: Bytes,
    /// Which of several entries with the same text it is, from 0.
    pub occurrence: u32,
    /// The process that was watched last.
    pub proc: Option<ProcId>,
    /// When that process died, if it did.
    pub died_at: Option<Mono>,
    /// Restarts counted against the limit.
    pub retry_count: u32,
    /// When the first of them was.
    pub window_opened: Option<Mono>,
    /// When the last restart was.
    pub last_restart: Option<Mono>,
    /// Restarts since the start.
    pub restart_count: u32,
    /// When the last one was, for showing.
    pub rerun: Option<Wall>,
    /// Suspended by the operator.
    pub paused: bool,
    /// Given up after a retry-over.
    pub gave_up: bool,
    /// Values set by the operator: retries, grace in seconds.
    pub set_retries: Option<u32>,
    /// See above.
    pub set_grace: Option<u32>,
    /// The script that is running, and since when.
    pub script: Option<(ProcId, Mono)>,
    /// Stall checks that are off: what padmin shows of each, or nothing; empty when none is.
    pub stalls: Vec<Option<StallStatus>>,
}
