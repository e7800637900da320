//! Who or what is to blame for the end of a process.

use std::fmt;

use crate::{Comm, Ending, Mono, Pid, Signal, Span};

/// The last signal that was sent to a process and may have ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blame {
    /// Which.
    pub signal: Signal,
    /// Why it was sent.
    pub origin: Origin,
    /// Who sent it, where that was a process.
    pub sender: Option<Sender>,
    /// When it was sent.
    pub at: Mono,
}

/// Why a signal was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By the kernel, for what the process itself did: a bad address, a broken pipe.
    Fault,
    /// By the kernel, for another reason: a terminal, a timer, the end of a container.
    Kernel,
    /// By the kernel, since memory ran out, on the host or in a control group.
    OutOfMemory,
    /// By the process itself: `abort`, `raise`.
    Own,
    /// By another process.
    User,
}

impl Origin {
    /// As it is written in `--json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Kernel => "kernel",
            Self::OutOfMemory => "out_of_memory",
            Self::Own => "own",
            Self::User => "user",
        }
    }
}

/// A process that sent a signal, as it was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its pid, where it can be seen from here. It may be another's by now.
    pub pid: Option<Pid>,
    /// Its real user.
    pub uid: u32,
    /// Its command name.
    pub comm: Comm,
}

/// How long after a signal that did not kill it the end of a process is put down to that signal. Service managers give
/// up waiting for an orderly end after 90 s.
const AFTERMATH: Span = Span(120_000_000_000);

impl Blame {
    /// Whether this signal has to do with such an end at such a time. A signal that was handled, long ago, has not.
    #[must_use]
    pub fn explains(&self, ending: Ending, end: Mono) -> bool {
        if self.killed(ending) {
            return true;
        }
        let asked_for = match self.origin {
            Origin::Kernel | Origin::User => end.since(self.at) <= AFTERMATH,
            // These kill, or were survived.
            Origin::Fault | Origin::OutOfMemory | Origin::Own => false,
        };
        asked_for && ending != Ending::Unknown
    }

    fn killed(&self, ending: Ending) -> bool {
        match ending {
            Ending::Killed { signal, core_dumped: _ } => signal == self.signal,
            Ending::Exited { .. } | Ending::Unknown => false,
        }
    }
}

/// `SIGKILL sent by bash (pid 4711, uid 0)`: completes "killed by …" and "… after …".
impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signal, origin, sender, at: _ } = self;
        match (origin, sender) {
            (Origin::Fault, _) => write!(f, "{signal}, its own fault"),
            (Origin::Kernel, _) => write!(f, "{signal} sent by the kernel"),
            (Origin::OutOfMemory, _) => write!(f, "{signal} by the kernel, out of memory"),
            (Origin::Own, _) => write!(f, "{signal} sent by itself"),
            (Origin::User, Some(sender)) => write!(f, "{signal} sent by {sender}"),
            (Origin::User, None) => write!(f, "{signal} sent by another process"),
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, uid, comm } = self;
        match pid {
            Some(pid) => write!(f, "{comm} (pid {pid}, uid {uid})"),
            None => write!(f, "{comm} (outside of this pid namespace, uid {uid})"),
        }
    }
}

/// How a process ended, and by whose doing where that is known: completes "the process …".
///
/// A signal that it was asked to end by counts although it did not kill: `exited with code 0 after SIGTERM sent by …`.
#[must_use]
pub fn explain(ending: Ending, end: Mono, blame: Option<&Blame>) -> String {
    match (blame.filter(|blame| blame.explains(ending, end)), ending) {
        (None, _) | (_, Ending::Unknown) => ending.to_string(),
        (Some(blame), Ending::Killed { core_dumped, .. }) if blame.killed(ending) => {
            format!("killed by {blame}{}", if core_dumped { ", core dumped" } else { "" })
        }
        (Some(blame), Ending::Killed { .. } | Ending::Exited { .. }) => format!("{ending} after {blame}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Mono = Mono(1_000_000_000_000);

    fn blame(signal: u8, origin: Origin, sender: Option<Sender>) -> Blame {
        Blame { signal: Signal(signal), origin, sender, at: Mono(END.0 - 1) }
    }

    fn bash() -> Option<Sender> {
        Some(Sender { pid: Pid::new(4711), uid: 0, comm: Comm::new(*b"bash\0\0\0\0\0\0\0\0\0\0\0\0") })
    }

    fn killed(signal: u8) -> Ending {
        Ending::Killed { signal: Signal(signal), core_dumped: false }
    }

    #[test]
    fn a_fatal_signal_is_told_with_its_origin() {
        let said = [
            (9, Origin::User, bash(), "killed by SIGKILL sent by bash (pid 4711, uid 0)"),
            (9, Origin::OutOfMemory, None, "killed by SIGKILL by the kernel, out of memory"),
            (9, Origin::Kernel, None, "killed by SIGKILL sent by the kernel"),
            (11, Origin::Fault, None, "killed by SIGSEGV, its own fault"),
            (6, Origin::Own, bash(), "killed by SIGABRT sent by itself"),
        ];
        for (signal, origin, sender, sentence) in said {
            assert_eq!(explain(killed(signal), END, Some(&blame(signal, origin, sender))), sentence);
        }
        let dumped = Ending::Killed { signal: Signal(11), core_dumped: true };
        let fault = blame(11, Origin::Fault, None);
        assert_eq!(explain(dumped, END, Some(&fault)), "killed by SIGSEGV, its own fault, core dumped");
    }

    #[test]
    fn an_orderly_end_is_put_down_to_who_asked_for_it() {
        let exited = Ending::Exited { code: 0 };
        let mut asked = blame(15, Origin::User, bash());
        let told = "exited with code 0 after SIGTERM sent by bash (pid 4711, uid 0)";
        assert_eq!(explain(exited, END, Some(&asked)), told);
        assert_eq!(explain(killed(9), END, Some(&asked)), told.replace("exited with code 0", "killed by SIGKILL"));
        asked.at = Mono(END.0 - AFTERMATH.0 - 1);
        assert_eq!(explain(exited, END, Some(&asked)), "exited with code 0", "too long ago");
        assert_eq!(explain(killed(15), END, Some(&asked)), "killed by SIGTERM sent by bash (pid 4711, uid 0)");
    }

    #[test]
    fn what_was_survived_explains_no_other_end() {
        let exited = Ending::Exited { code: 1 };
        assert_eq!(explain(exited, END, Some(&blame(11, Origin::Fault, None))), "exited with code 1");
        assert_eq!(explain(exited, END, Some(&blame(10, Origin::Own, bash()))), "exited with code 1");
        assert_eq!(explain(Ending::Unknown, END, Some(&blame(15, Origin::User, bash()))), "ended");
        assert_eq!(explain(exited, END, None), "exited with code 1");
    }

    #[test]
    fn a_sender_in_another_pid_namespace_has_no_number() {
        let sender = bash().map(|sender| Sender { pid: None, ..sender });
        let told = blame(9, Origin::User, sender).to_string();
        assert_eq!(told, "SIGKILL sent by bash (outside of this pid namespace, uid 0)");
    }
}
