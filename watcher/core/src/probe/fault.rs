//! Why an attempt failed.

use std::fmt;

/// What a probe was at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Finding the address of a name.
    Resolve,
    /// Making a connection.
    Connect,
    /// Agreeing on keys.
    Tls,
    /// Sending what is asked.
    Send,
    /// Waiting for the answer, or for more of it.
    Answer,
}

/// Why an attempt failed. Completes the sentence "the service …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no address for its name.
    Address {
        /// What the resolver says, as a number.
        code: i32,
        /// The same as text.
        why: String,
    },
    /// It ended the connection before its answer was whole.
    Closed {
        /// What the probe was at.
        step: Step,
    },
    /// No connection can be made.
    Connect {
        /// Why.
        errno: i32,
    },
    /// Its answer is not of the language that was spoken: how it begins, or what is wrong.
    Foreign {
        /// As text.
        what: String,
    },
    /// Its answer is not the one that is wanted.
    Mismatch {
        /// As text.
        what: String,
    },
    /// We were not running for a part of the time: nothing is known.
    Overrun,
    /// What it said could not be received.
    Receive {
        /// Why.
        errno: i32,
    },
    /// What is asked could not be sent.
    Send {
        /// Why.
        errno: i32,
    },
    /// It did not answer in time.
    Silent {
        /// What the probe was at.
        step: Step,
        /// What had come of the answer by then, if anything.
        got: usize,
    },
    /// We have no socket for it.
    Socket {
        /// Why.
        errno: i32,
    },
    /// It answers with an error code.
    Status {
        /// It.
        code: u16,
        /// The line, as text.
        line: String,
    },
    /// TLS failed: the server refuses it, breaks it, or is not the one that it should be.
    Tls {
        /// Why.
        why: String,
    },
    /// The authorities that certificates are to be checked against cannot be read.
    Trust {
        /// Why.
        why: String,
    },
    /// The server lives, but speaks only such TLS as we do not: an older one, or one with certificates or names of ours.
    TlsUnusable {
        /// What it said.
        why: String,
    },
}

impl Fault {
    /// Whether the fault may be the service's. What is missing on our side, or between it and us, says nothing of it.
    #[must_use]
    pub fn may_be_of_service(&self) -> bool {
        /// `EADDRNOTAVAIL`, and `EAGAIN` in its place: no local port is free. `ENOMEM`, `ENOBUFS`: no memory for a socket.
        /// `ENOSPC`: no more sockets may be waited for.
        const OURS: [i32; 5] = [11, 12, 28, 99, 105];
        match self {
            Self::Connect { errno } | Self::Receive { errno } | Self::Send { errno } => !OURS.contains(errno),
            Self::Address { .. }
            | Self::Overrun
            | Self::Socket { .. }
            | Self::TlsUnusable { .. }
            | Self::Trust { .. }
            | Self::Silent { step: Step::Resolve, .. } => false,
            Self::Closed { .. }
            | Self::Foreign { .. }
            | Self::Mismatch { .. }
            | Self::Silent { .. }
            | Self::Status { .. }
            | Self::Tls { .. } => true,
        }
    }

    /// Whether it may be so only since we had no time to ask, or to listen: whoever waits for us may lose patience.
    #[must_use]
    pub fn may_be_for_want_of_time(&self) -> bool {
        /// Request Timeout, as HTTP says it; 421: SMTP.
        const IMPATIENT: [u16; 2] = [408, 421];
        match self {
            Self::Closed { .. } | Self::Overrun | Self::Receive { .. } | Self::Send { .. } | Self::Silent { .. } => {
                true
            }
            Self::Connect { errno } => *errno == 110,
            Self::Status { code, .. } => IMPATIENT.contains(code),
            Self::Address { .. }
            | Self::Foreign { .. }
            | Self::Mismatch { .. }
            | Self::Socket { .. }
            | Self::Tls { .. }
            | Self::TlsUnusable { .. }
            | Self::Trust { .. } => false,
        }
    }

    /// Its name in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Address { .. } => "address",
            Self::Closed { .. } => "closed",
            Self::Connect { .. } => "connect",
            Self::Foreign { .. } => "foreign",
            Self::Mismatch { .. } => "mismatch",
            Self::Overrun => "overrun",
            Self::Receive { .. } => "receive",
            Self::Send { .. } => "send",
            Self::Silent { .. } => "silent",
            Self::Socket { .. } => "socket",
            Self::Status { .. } => "status",
            Self::Tls { .. } => "tls",
            Self::TlsUnusable { .. } => "tls_unusable",
            Self::Trust { .. } => "trust",
        }
    }
}

impl Step {
    const fn while_it(self) -> &'static str {
        match self {
            Self::Resolve => "has no address, for the resolver does not answer",
            Self::Connect => "lets no connection be made",
            Self::Tls => "does not complete the TLS handshake",
            Self::Send => "does not take the request",
            Self::Answer => "does not answer",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { why, .. } => write!(f, "has no address: {why}"),
            Self::Closed { step } => match step {
                Step::Tls => f.write_str("ends the connection in the TLS handshake"),
                Step::Answer | Step::Connect | Step::Resolve | Step::Send => {
                    f.write_str("ends the connection without a whole answer")
                }
            },
            Self::Connect { errno } => write!(f, "lets no connection be made: {}", Errno(*errno)),
            Self::Foreign { what } | Self::Mismatch { what } => f.write_str(what),
            Self::Overrun => f.write_str("was not asked in time"),
            Self::Receive { errno } => write!(f, "breaks the connection: {}", Errno(*errno)),
            Self::Send { errno } => write!(f, "does not take the request: {}", Errno(*errno)),
            Self::Silent { step, got: 0 } => write!(f, "{} in time", step.while_it()),
            Self::Silent { got, .. } => write!(f, "does not complete its answer in time: {got} bytes of it came"),
            Self::Socket { errno } => write!(f, "cannot be asked: {}", Errno(*errno)),
            Self::Status { code: 400.., line } => write!(f, "answers with an error: {line}"),
            Self::Status { line, .. } => write!(f, "answers what does not count as an answer: {line}"),
            Self::Tls { why } => write!(f, "fails in TLS: {why}"),
            Self::TlsUnusable { why } => write!(f, "cannot be asked by TLS 1.2 or 1.3 as it is spoken here: {why}"),
            Self::Trust { why } => write!(f, "cannot be verified: {why}"),
        }
    }
}

/// An error number as text: those that probes meet.
struct Errno(i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            11 | 99 => "no local port is free",
            12 => "out of memory",
            13 => "permission denied",
            23 | 24 => "too many open files",
            28 => "too many sockets are waited for",
            32 => "broken pipe",
            97 => "address family not supported",
            101 => "network unreachable",
            103 => "connection aborted",
            104 => "connection reset",
            105 => "no buffer space",
            110 => "connection timed out",
            111 => "connection refused",
            113 => "no route to host",
            number => return write!(f, "error {number}"),
        };
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_host_lacks_is_no_fault_of_the_service() {
        for errno in [11, 12, 28, 99, 105] {
            for fault in [Fault::Connect { errno }, Fault::Receive { errno }, Fault::Send { errno }] {
                assert!(!fault.may_be_of_service(), "{fault}");
            }
        }
        for errno in [13, 32, 101, 103, 104, 110, 111, 113] {
            for fault in [Fault::Connect { errno }, Fault::Receive { errno }, Fault::Send { errno }] {
                assert!(fault.may_be_of_service(), "{fault}");
            }
        }
        for fault in [
            Fault::Trust { why: String::new() },
            Fault::TlsUnusable { why: String::new() },
            Fault::Socket { errno: 24 },
            Fault::Overrun,
        ] {
            assert!(!fault.may_be_of_service(), "{fault}");
        }
    }
}
