//! Exit codes, in one list.

use std::process::ExitCode;

use watcher_core::Signal;

use super::output;

/// Done, and all is well.
pub const DONE: u8 = 0;
/// The answer is no, or something went wrong; a sentence on standard error says what.
pub const TROUBLE: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// pcheck: another one runs for this pfile, or with its key.
pub const ALREADY_RUNNING: u8 = 2;
/// pcheck: an entry's retries are used up, and its action is `shutdown`.
pub const RETRY_OVER_SHUTDOWN: u8 = 3;
/// pcheck: an entry's retries are used up, and its action is `exit`.
pub const RETRY_OVER_EXIT: u8 = 4;
/// A signal stopped it: this plus the signal's number, as shells count.
pub const STOPPED: u8 = 128;

/// Ends with [`TROUBLE`] and a sentence.
pub(super) fn trouble(sentence: &str) -> ExitCode {
    output::say(sentence);
    ExitCode::from(TROUBLE)
}

/// Ends with [`USAGE`] and a sentence.
pub(super) fn usage(sentence: &str) -> ExitCode {
    output::say(sentence);
    ExitCode::from(USAGE)
}

/// Ends as stopped by a signal.
pub(super) fn stopped(Signal(number): Signal) -> ExitCode {
    ExitCode::from(STOPPED.saturating_add(number))
}
