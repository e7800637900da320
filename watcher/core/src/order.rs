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

/// What is said to whoever names an entry that is not there.
#[must_use]
pub fn no_such_entry(entry: EntryNumber, entries: usize) -> String {
    match entries {
        0 => format!("there is no entry {entry}: the pfile has none"),
        1 => format!("there is no entry {entry}: the pfile has only entry 1"),
        entries => format!("there is no entry {entry}: the pfile has entries 1 to {entries}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_no_entry_is_told_how_many_there_are() {
        let entry = EntryNumber::of_index(6);
        assert_eq!(no_such_entry(entry, 3), "there is no entry 7: the pfile has entries 1 to 3");
    }
}
