//! Signals by name.

use std::fmt;

/// First real-time signal that programs may use: the C library keeps the two before it for itself.
const FIRST_REAL_TIME: u8 = 34;

/// Last signal there is.
const LAST: u8 = 64;

/// Linux signals 1 to 31 in order, as on x86 and ARM.
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// A signal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal(pub u8);

impl Signal {
    /// Asks to end.
    pub const TERM: Self = Self(15);
    /// Ends.
    pub const KILL: Self = Self(9);
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = usize::from(self.0).checked_sub(1).and_then(|index| NAMES.get(index));
        match (named, self.0) {
            (Some(name), _) => f.write_str(name),
            (None, FIRST_REAL_TIME) => f.write_str("SIGRTMIN"),
            (None, LAST) => f.write_str("SIGRTMAX"),
            (None, number @ FIRST_REAL_TIME..LAST) => write!(f, "SIGRTMIN+{}", number - FIRST_REAL_TIME),
            (None, number) => write!(f, "signal {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_linux_names() {
        let shown = [1, 2, 6, 9, 11, 15, 31].map(|number| Signal(number).to_string());
        assert_eq!(shown, ["SIGHUP", "SIGINT", "SIGABRT", "SIGKILL", "SIGSEGV", "SIGTERM", "SIGSYS"]);
        let shown = [0, 33, 34, 37, 64].map(|number| Signal(number).to_string());
        assert_eq!(shown, ["signal 0", "signal 33", "SIGRTMIN", "SIGRTMIN+3", "SIGRTMAX"]);
    }
}
