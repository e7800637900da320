//! Extensions: what the original does not know, in comment lines that begin with `#@`, so that it still loads the file.

use std::fmt;

use super::{AbsolutePath, Bytes, Check, Seconds};

/// One `key=value` of a `#@` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Lints that are not told.
    Allow(Vec<Check>),
    /// From how full an accept queue on it is told, in percent.
    Backlog(u32),
    /// Certificates to check against, instead of the system's.
    Ca(AbsolutePath),
    /// From how many connections in CLOSE_WAIT on it is told.
    CloseWait(u32),
    /// From how long on a connection has been in CLOSE_WAIT it is told, however few there are.
    CloseWaitAge(Seconds),
    /// From how many connections on it is told.
    Connections(u32),
    /// From how many descriptors on it is told, in percent of what the process may have.
    Descriptors(u32),
    /// Warn so many days before the certificate ends.
    ExpiryWarn(u32),
    /// A header of the request, as `Name: value`.
    Header(Bytes),
    /// What the body of the answer must contain.
    Match(Bytes),
    /// What the headers of the answer must contain.
    MatchHeader(Bytes),
    /// How to ask.
    Method(Method),
    /// The path that is asked for.
    Path(Bytes),
    /// Time limit of the restart script.
    ScriptTimeout(Seconds),
    /// A service whose sockets have been of no use for so long counts as stalled.
    SocketStall(Seconds),
    /// Verdicts on stalls are held when more than so many of a hundred services fail; none: never.
    StallGuard(Option<u32>),
    /// Status codes that count as an answer.
    Status(Vec<StatusRange>),
    /// Time limit of one check.
    Timeout(Seconds),
    /// Whether the certificate is checked.
    Verify(bool),
}

impl Extension {
    /// The keys.
    pub const KEYS: [&'static str; 19] = [
        "allow",
        "backlog",
        "ca",
        "close_wait",
        "close_wait_age",
        "connections",
        "descriptors",
        "expiry_warn",
        "header",
        "match",
        "match_header",
        "method",
        "path",
        "script_timeout",
        "socket_stall",
        "stall_guard",
        "status",
        "timeout",
        "verify",
    ];

    /// Its key.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Backlog(_) => "backlog",
            Self::Ca(_) => "ca",
            Self::CloseWait(_) => "close_wait",
            Self::CloseWaitAge(_) => "close_wait_age",
            Self::Connections(_) => "connections",
            Self::Descriptors(_) => "descriptors",
            Self::ExpiryWarn(_) => "expiry_warn",
            Self::Header(_) => "header",
            Self::Match(_) => "match",
            Self::MatchHeader(_) => "match_header",
            Self::Method(_) => "method",
            Self::Path(_) => "path",
            Self::ScriptTimeout(_) => "script_timeout",
            Self::SocketStall(_) => "socket_stall",
            Self::StallGuard(_) => "stall_guard",
            Self::Status(_) => "status",
            Self::Timeout(_) => "timeout",
            Self::Verify(_) => "verify",
        }
    }

    /// Of what it says something.
    pub(super) const fn belongs_to(&self) -> BelongsTo {
        match self {
            Self::Allow(_) => BelongsTo::Both,
            Self::StallGuard(_) => BelongsTo::File,
            Self::Backlog(_)
            | Self::Ca(_)
            | Self::CloseWait(_)
            | Self::CloseWaitAge(_)
            | Self::Connections(_)
            | Self::Descriptors(_)
            | Self::ExpiryWarn(_)
            | Self::Header(_)
            | Self::Match(_)
            | Self::MatchHeader(_)
            | Self::Method(_)
            | Self::Path(_)
            | Self::ScriptTimeout(_)
            | Self::SocketStall(_)
            | Self::Status(_)
            | Self::Timeout(_)
            | Self::Verify(_) => BelongsTo::Entry,
        }
    }

    /// Whether it may be given several times.
    pub(super) const fn is_repeatable(&self) -> bool {
        match self {
            Self::Allow(_) | Self::Header(_) => true,
            Self::Backlog(_)
            | Self::Ca(_)
            | Self::CloseWait(_)
            | Self::CloseWaitAge(_)
            | Self::Connections(_)
            | Self::Descriptors(_)
            | Self::ExpiryWarn(_)
            | Self::Match(_)
            | Self::MatchHeader(_)
            | Self::Method(_)
            | Self::Path(_)
            | Self::ScriptTimeout(_)
            | Self::SocketStall(_)
            | Self::StallGuard(_)
            | Self::Status(_)
            | Self::Timeout(_)
            | Self::Verify(_) => false,
        }
    }

    /// Which stall checks have a use for it.
    #[must_use]
    pub const fn needs(&self) -> Needs {
        match self {
            Self::Allow(_) | Self::ScriptTimeout(_) | Self::StallGuard(_) => Needs::Nothing,
            Self::Ca(_) | Self::ExpiryWarn(_) | Self::Verify(_) => Needs::TlsCheck,
            Self::Backlog(_)
            | Self::CloseWait(_)
            | Self::CloseWaitAge(_)
            | Self::Connections(_)
            | Self::Descriptors(_)
            | Self::SocketStall(_)
            | Self::Timeout(_) => Needs::AnyCheck,
            Self::Header(_)
            | Self::Match(_)
            | Self::MatchHeader(_)
            | Self::Method(_)
            | Self::Path(_)
            | Self::Status(_) => Needs::WebCheck,
        }
    }
}

/// Where an extension may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BelongsTo {
    /// With an entry, or before all of them.
    Both,
    /// With an entry.
    Entry,
    /// Before all entries.
    File,
}

/// What an entry must have for an extension to be of any use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// A stall check of any kind.
    AnyCheck,
    /// Nothing.
    Nothing,
    /// A `_bi_webservs` block.
    TlsCheck,
    /// A `_bi_webserv` or `_bi_webservs` block.
    WebCheck,
}

/// HTTP methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks for the whole answer.
    Get,
    /// Asks for the headers only, as the original does.
    Head,
}

impl Method {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
        }
    }
}

/// Status codes from `first` to `last`, both of 100 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// A range, unless a number is no status code or it runs backwards.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        let codes = 100..=599;
        (codes.contains(&first) && codes.contains(&last) && first <= last).then_some(Self { first, last })
    }

    /// The lowest code.
    #[must_use]
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest code.
    #[must_use]
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether a code is one of them.
    #[must_use]
    pub const fn contains(self, code: u16) -> bool {
        self.first <= code && code <= self.last
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (first, last) if first == last => first.fmt(f),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}
