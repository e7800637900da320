//! What an operator can order, and what is answered.

use crate::pfile::{EntryNumber, Interval, Seconds};

/// An order of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Write the dump file.
    Dump,
    /// Suspend watching: of one entry, or of all.
    Pause(Option<EntryNumber>),
    /// Read the rules again.
    Reload,
    /// Go on watching: one entry, or all. Entries that were given up begin anew.
    Resume(Option<EntryNumber>),
    /// Change a value until the next reload.
    Set(Setting),
    /// End.
    Shutdown,
}

/// A value that can be changed while running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The grace of one entry, or of all.
    Grace(Option<EntryNumber>, Seconds),
    /// `MONITOR_INTERVAL`.
    MonitorInterval(Interval),
    /// The retry count of one entry, or of all.
    Retries(Option<EntryNumber>, u32),
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// Not done: why, as a sentence.
    Refused(String),
}
