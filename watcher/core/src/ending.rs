//! How a process ended.

use std::fmt;

use crate::Signal;

/// How a process ended, as its parent is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited by itself with this code.
    Exited {
        /// The code, 0 to 255.
        code: u8,
    },
    /// A signal ended it.
    Killed {
        /// Which.
        signal: Signal,
        /// Whether memory was dumped.
        core_dumped: bool,
    },
    /// Nobody could tell: its parent has taken the answer, or this tier does not see it.
    Unknown,
}

impl Ending {
    /// Reads a wait status: `code << 8`, or the signal number, plus 0x80 when a core was dumped.
    #[must_use]
    pub const fn from_wait_status(status: u32) -> Self {
        match status & 0x7f {
            0 => Self::Exited { code: (status >> 8 & 0xff) as u8 },
            signal => Self::Killed { signal: Signal(signal as u8), core_dumped: status & 0x80 != 0 },
        }
    }
}

/// Completes the sentence "the process …".
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "exited with code {code}"),
            Self::Killed { signal, core_dumped: false } => write!(f, "killed by {signal}"),
            Self::Killed { signal, core_dumped: true } => write!(f, "killed by {signal}, core dumped"),
            Self::Unknown => f.write_str("ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses_are_read_as_waitpid_users_read_them() {
        let killed = |signal, core_dumped| Ending::Killed { signal: Signal(signal), core_dumped };
        assert_eq!(Ending::from_wait_status(0), Ending::Exited { code: 0 });
        assert_eq!(Ending::from_wait_status(0x500), Ending::Exited { code: 5 });
        assert_eq!(Ending::from_wait_status(0xff00), Ending::Exited { code: 255 });
        assert_eq!(Ending::from_wait_status(9), killed(9, false));
        assert_eq!(Ending::from_wait_status(0x8b), killed(11, true));
    }
}
