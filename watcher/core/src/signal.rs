//! Signals by name.

use std::fmt;

/// First real-time signal, as the kernel counts (libraries keep one or two for themselves).
const FIRST_REAL_TIME: u8 = 32;

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

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = usize::from(self.0).checked_sub(1).and_then(|index| NAMES.get(index));
        match named {
            Some(name) => f.write_str(name),
            None => write!(f, "SIGRT{}", self.0.saturating_sub(FIRST_REAL_TIME)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_linux_names() {
        let shown = [1, 2, 6, 9, 11, 15, 31, 34].map(|number| Signal(number).to_string());
        assert_eq!(shown, ["SIGHUP", "SIGINT", "SIGABRT", "SIGKILL", "SIGSEGV", "SIGTERM", "SIGSYS", "SIGRT2"]);
    }
}
