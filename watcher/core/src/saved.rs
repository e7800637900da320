//! What must survive when the watch is killed and started again.

use std::ops::{Deref, DerefMut};

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
    /// Restarts counted against the limit.
    pub retry_count: u32,
    /// Restarts since the start.
    pub restart_count: u32,
    /// Suspended by the operator.
    pub paused: bool,
    /// Given up after a retry-over.
    pub gave_up: bool,
    /// What most entries have nothing of.
    pub rare: Rare,
}

/// What is remembered of entries that have died, were restarted, or that the operator has changed. Of most there is nothing,
/// and that takes no room.
#[derive(Clone, Debug, Default)]
pub struct Rare(Option<Box<RarelySaved>>);

/// See [`Rare`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RarelySaved {
    /// When its process died, if it did.
    pub died_at: Option<Mono>,
    /// When the first of the restarts was that count against the limit.
    pub window_opened: Option<Mono>,
    /// When the last restart was.
    pub last_restart: Option<Mono>,
    /// The same, for showing.
    pub rerun: Option<Wall>,
    /// Values set by the operator: retries, grace in seconds.
    pub set_retries: Option<u32>,
    /// See above.
    pub set_grace: Option<u32>,
    /// The script that is running, and since when.
    pub script: Option<(ProcId, Mono)>,
    /// Stall checks that are off: what padmin shows of each, or nothing; empty when none is.
    pub stalls: Vec<Option<StallStatus>>,
}

static NOTHING: RarelySaved = RarelySaved {
    died_at: None,
    window_opened: None,
    last_restart: None,
    rerun: None,
    set_retries: None,
    set_grace: None,
    script: None,
    stalls: Vec::new(),
};

impl From<RarelySaved> for Rare {
    fn from(rare: RarelySaved) -> Self {
        Self((rare != NOTHING).then(|| Box::new(rare)))
    }
}

impl Deref for Rare {
    type Target = RarelySaved;

    fn deref(&self) -> &RarelySaved {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for Rare {
    fn deref_mut(&mut self) -> &mut RarelySaved {
        self.0.get_or_insert_with(|| Box::new(NOTHING.clone()))
    }
}

impl PartialEq for Rare {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Rare {}
