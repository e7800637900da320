//! Looks at watched processes, of which some may fail: such a process counts as alive, is looked at again, and that is told
//! once.

use std::collections::BTreeSet;

use watcher_core::ProcId;

use super::inspect::{Look, try_to_look};
use crate::sys::limits;

/// So many that could not be seen are looked at again in one go.
const AT_ONCE: usize = 200;

/// What looks.
#[derive(Debug, Default)]
pub struct Eyes {
    /// Those at whom the last look failed.
    unseen: BTreeSet<ProcId>,
    complaint: Option<String>,
}

impl Eyes {
    /// Looks at one process.
    pub fn look(&mut self, proc: ProcId) -> Look {
        match try_to_look(proc) {
            Ok(seen) => {
                self.unseen.remove(&proc);
                seen
            }
            Err(error) => {
                if self.unseen.is_empty() {
                    self.complaint = Some(format!(
                        "Process {} cannot be looked at, and counts as alive until it can: {}",
                        proc.pid,
                        limits::sentence(&error)
                    ));
                }
                self.unseen.insert(proc);
                Look::Unseen
            }
        }
    }

    /// Some of those at whom a look has failed.
    #[must_use]
    pub fn unseen(&self) -> Vec<ProcId> {
        self.unseen.iter().take(AT_ONCE).copied().collect()
    }

    /// Whether there are none.
    #[must_use]
    pub fn see_all(&self) -> bool {
        self.unseen.is_empty()
    }

    /// It is watched no longer.
    pub fn forget(&mut self, proc: ProcId) {
        self.unseen.remove(&proc);
    }

    /// A sentence for the log, if there is one: not again until all could be seen.
    pub fn take_complaint(&mut self) -> Option<String> {
        self.complaint.take()
    }
}
