//! Stall checks: a service that is up but does not answer. The libraries that a pfile names are never opened; their
//! names choose among the checks that are built in.

use std::fmt;

use super::{Bytes, Placed, Seconds};

/// A kind of stall check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StallKind {
    /// `_bi_socket`: a TCP connection can be made.
    Socket,
    /// `_bi_webserv`: HTTP is answered.
    Web,
    /// `_bi_webservs`: HTTPS is answered.
    WebTls,
}

impl StallKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Socket, Self::Web, Self::WebTls];

    /// Name of the block.
    #[must_use]
    pub const fn block(self) -> &'static str {
        match self {
            Self::Socket => "_bi_socket",
            Self::Web => "_bi_webserv",
            Self::WebTls => "_bi_webservs",
        }
    }

    /// Name of the library.
    #[must_use]
    pub const fn library(self) -> &'static str {
        match self {
            Self::Socket => "lib_bi_socket.so",
            Self::Web => "lib_bi_webserv.so",
            Self::WebTls => "lib_bi_webservs.so",
        }
    }

    /// How the manual misspells the middle of both names.
    pub(super) const fn misspelt(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Socket => None,
            Self::Web => Some(("_bi_websevr", "lib_bi_websevr.so")),
            Self::WebTls => Some(("_bi_websevs", "lib_bi_websevs.so")),
        }
    }

    /// What padmin shows in brackets.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            Self::Socket => "skt",
            Self::Web => "web",
            Self::WebTls => "ssl",
        }
    }

    /// How many arguments it takes, at least and at most.
    pub(super) const fn arguments(self) -> (usize, usize) {
        match self {
            Self::Socket => (2, 2),
            Self::Web => (2, 3),
            Self::WebTls => (2, 5),
        }
    }
}

/// A stall check of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StallCheck {
    pub(super) kind: StallKind,
    pub(super) library: Bytes,
    pub(super) timing: StallTiming,
    pub(super) target: StallTarget,
    pub(super) after_stall: AfterStall,
    pub(super) after_failed_kill: AfterFailedKill,
}

impl StallCheck {
    /// Where the samples have the libraries.
    const LIBRARIES: &str = "/opt/HA/PSWE/lib";

    /// A check with everything else as in the samples. Not every target can be said in a block of every kind.
    #[must_use]
    pub fn new(kind: StallKind, timing: StallTiming, target: StallTarget) -> Self {
        let library = Bytes::from(format!("{}/{}", Self::LIBRARIES, kind.library()).as_str());
        let (after_stall, after_failed_kill) = (AfterStall::GoOn, AfterFailedKill::RetryOver);
        Self { kind, library, timing, target, after_stall, after_failed_kill }
    }

    /// What is asked.
    #[must_use]
    pub const fn kind(&self) -> StallKind {
        self.kind
    }

    /// The library that the file names; it is never opened.
    #[must_use]
    pub const fn library(&self) -> &Bytes {
        &self.library
    }

    /// How often, and for how long in vain.
    #[must_use]
    pub const fn timing(&self) -> StallTiming {
        self.timing
    }

    /// Who is asked.
    #[must_use]
    pub const fn target(&self) -> &StallTarget {
        &self.target
    }

    /// Whether checking goes on after a stall.
    #[must_use]
    pub const fn after_stall(&self) -> AfterStall {
        self.after_stall
    }

    /// What happens when the stalled process cannot be ended.
    #[must_use]
    pub const fn after_failed_kill(&self) -> AfterFailedKill {
        self.after_failed_kill
    }
}

/// How often is checked, and how long no check may succeed: never more often than every 10 s, never a stall by one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallTiming {
    interval: Seconds,
    retry_over: Seconds,
}

impl Default for StallTiming {
    fn default() -> Self {
        Self { interval: Self::DEFAULT_INTERVAL, retry_over: Self::DEFAULT_RETRY_OVER }
    }
}

impl StallTiming {
    /// Shortest interval.
    pub const SHORTEST: Seconds = Seconds(10);
    /// Interval where none is given.
    pub const DEFAULT_INTERVAL: Seconds = Seconds(60);
    /// Retry-over time where none is given.
    pub const DEFAULT_RETRY_OVER: Seconds = Seconds(600);

    /// Both, unless the interval is too short, or longer than the retry-over time.
    #[must_use]
    pub fn new(interval: Seconds, retry_over: Seconds) -> Option<Self> {
        (Self::SHORTEST <= interval && interval <= retry_over).then_some(Self { interval, retry_over })
    }

    /// From one check to the next.
    #[must_use]
    pub const fn interval(self) -> Seconds {
        self.interval
    }

    /// It is a stall when no check has succeeded for so long.
    #[must_use]
    pub const fn retry_over(self) -> Seconds {
        self.retry_over
    }
}

/// Who is asked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StallTarget {
    /// TCP port.
    pub port: Port,
    /// Host; this one where none is given.
    pub host: Option<Placed<Bytes>>,
    /// Time limit of one check, where one is given.
    pub timeout: Option<Seconds>,
    /// Path that is asked for, where one is given.
    pub path: Option<Bytes>,
}

impl StallTarget {
    /// Whether this host is asked.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.host.as_ref().is_none_or(|host| match host.value.as_slice() {
            b"localhost" | b"::1" | b"[::1]" => true,
            other => other.starts_with(b"127."),
        })
    }
}

/// A TCP port, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port(u16);

impl Port {
    /// A port, unless the number cannot be one.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        u16::try_from(number).ok().filter(|number| *number != 0).map(Self)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What happens to the stall check once a stall was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterStall {
    /// It goes on.
    GoOn,
    /// It ends; deaths are still looked for.
    Stop,
}

/// What happens when the stalled process could not be ended. The stall check ends in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailedKill {
    /// Nothing more.
    Nothing,
    /// The entry's retry-over action.
    RetryOver,
}
