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
/// What ends programs whose reader is gone.
pub(super) const BROKEN_PIPE: Signal = Signal(libc::SIGPIPE as u8);
/// The command line is wrong, for `padmin` and `pcheck`, which have codes of their own.
pub const STAND_IN_USAGE: u8 = 1;

/// The codes of `padmin`; [`STAND_IN_USAGE`] is one of them.
pub mod padmin {
    /// No pcheck watches for this pfile.
    pub const NO_PCHECK: u8 = 2;
    /// pcheck says no.
    pub const REFUSED: u8 = 3;
    /// pcheck does not answer in time.
    pub const TIMED_OUT: u8 = 4;
}

/// The codes of `status`, as plugins of monitoring systems have them.
pub mod status {
    /// All is well.
    pub const OK: u8 = 0;
    /// Something is not as it should be, and is taken care of, or was wanted so.
    pub const WARNING: u8 = 1;
    /// Somebody has to do something.
    pub const CRITICAL: u8 = 2;
    /// It cannot be found out; also when the command line is wrong.
    pub const UNKNOWN: u8 = 3;
}

/// The codes of `watcher wait`, beside those of the pcheck that it waits for.
pub mod wait {
    /// Nobody watches that pfile.
    pub const NOT_WATCHED: u8 = 5;
    /// Whoever watched has gone without a word.
    pub const VANISHED: u8 = 6;
    /// It is watched still.
    pub const TIMED_OUT: u8 = 7;
}

/// The codes of `watcher reboot-guard`, beside those of the pcheck that it guards.
pub mod reboot_guard {
    /// pcheck has given up, and there have been too many reboots.
    pub const ENOUGH: u8 = 10;
    /// pcheck has given up, and there should be a reboot, but there is none: it cannot be counted, or the command failed.
    pub const FAILED: u8 = 11;
}

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

/// Ends after a command line that asks for help, or is not understood.
pub(super) fn not_parsed(error: &clap::Error, usage: u8) -> ExitCode {
    // If nobody reads it there is nobody left to tell.
    let _told = error.print();
    ExitCode::from(if error.use_stderr() { usage } else { DONE })
}

/// Ends as stopped by a signal.
pub(super) fn stopped(Signal(number): Signal) -> ExitCode {
    ExitCode::from(STOPPED.saturating_add(number))
}
