//! The sockets of a watched port: what the kernel tells unasked, and what it says when it is asked.
//!
//! As with deaths, news are hints: numbers that follow from events drift where events get lost, so whoever acts on them
//! looks first ([`PortFacts`]).

use core::{fmt, net::SocketAddr};

use crate::Mono;

/// A network namespace, by its inode. The number is used again when the namespace has gone: it is to be tied to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetNs(pub u32);

/// A TCP port in a network namespace, or such a namespace as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortKey {
    /// Where.
    pub netns: NetNs,
    /// Which; 0: the namespace as a whole.
    pub port: u16,
}

impl PortKey {
    /// The namespace as a whole: for [`SocketAlarm::Ephemeral`] and [`SocketAlarm::Memory`].
    #[must_use]
    pub const fn whole(netns: NetNs) -> Self {
        Self { netns, port: 0 }
    }
}

/// What may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SocketAlarm {
    /// The accept queue is full: the next connection does not get in.
    AcceptFull,
    /// The accept queue is nearly full.
    AcceptQueue,
    /// Many connections were closed by their peers and not by the service.
    CloseWait,
    /// No local port was left for a connection.
    Ephemeral,
    /// Many connections.
    Established,
    /// The process has nearly as many descriptors as it may have.
    Descriptors,
    /// Connections were turned away.
    Drops,
    /// Many connections are half open: their clients have not answered.
    HalfOpen,
    /// Nobody listens on the port any more.
    ListenerGone,
    /// TCP was refused memory.
    Memory,
}

impl SocketAlarm {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::AcceptFull,
        Self::AcceptQueue,
        Self::CloseWait,
        Self::Descriptors,
        Self::Drops,
        Self::Ephemeral,
        Self::Established,
        Self::HalfOpen,
        Self::ListenerGone,
        Self::Memory,
    ];

    /// As it is written in `--json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AcceptFull => "accept_full",
            Self::AcceptQueue => "accept_queue",
            Self::CloseWait => "close_wait",
            Self::Descriptors => "descriptors",
            Self::Drops => "drops",
            Self::Ephemeral => "ephemeral",
            Self::Established => "established",
            Self::HalfOpen => "half_open",
            Self::ListenerGone => "listener_gone",
            Self::Memory => "memory",
        }
    }
}

impl SocketAlarm {
    /// Whether nobody can be served any more, or soon.
    #[must_use]
    pub const fn is_grave(self) -> bool {
        match self {
            Self::AcceptFull | Self::CloseWait | Self::Descriptors | Self::ListenerGone => true,
            Self::AcceptQueue | Self::Drops | Self::Ephemeral | Self::Established | Self::HalfOpen | Self::Memory => {
                false
            }
        }
    }

    /// Whether the service may have stopped to answer.
    #[must_use]
    pub const fn asks_for_a_check(self) -> bool {
        match self {
            Self::AcceptFull
            | Self::AcceptQueue
            | Self::CloseWait
            | Self::Descriptors
            | Self::Drops
            | Self::HalfOpen
            | Self::ListenerGone => true,
            Self::Ephemeral | Self::Established | Self::Memory => false,
        }
    }
}

/// What a look at a port has found. `None`: it could not be seen, or was not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortReport {
    /// Sockets that listen.
    pub listeners: u64,
    /// Connections that wait in the fullest accept queue,
    pub queue: u64,
    /// and how many fit in.
    pub room: Option<u64>,
    /// Connections that were turned away since they listen.
    pub drops: Option<u64>,
    /// Connections.
    pub established: Option<u64>,
    /// Connections that only the peer has closed.
    pub close_wait: Option<u64>,
    /// Connections whose clients have not answered yet.
    pub half_open: Option<u64>,
    /// Descriptors of the process, and how many it may have.
    pub descriptors: Option<(u64, u64)>,
}

/// An alarm was raised or cleared. It tells a level, not an edge: the same may be told twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketNews {
    /// Where.
    pub key: PortKey,
    /// What.
    pub alarm: SocketAlarm,
    /// Whether it is so now, or no longer. [`SocketAlarm::Ephemeral`] and [`SocketAlarm::Memory`] are only ever raised.
    pub raised: bool,
    /// What was found: connections that wait to be accepted, sockets in the state, listening sockets, connections without a
    /// port since the watch began, pages of memory.
    pub value: u64,
    /// What that is measured by: room in the queue, the threshold, 1, 0 (nothing), pages that TCP may have (0: unknown).
    pub limit: u64,
    /// When.
    pub at: Mono,
}

/// From when to when an alarm is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// Raised from here on.
    pub raise: u32,
    /// Cleared from here down.
    pub clear: u32,
}

/// When the kernel tells. `None`: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Accept queue, in percent of its limit; cleared *below* the lower one.
    pub queue_percent: Option<Band>,
    /// Sockets in CLOSE_WAIT.
    pub close_wait: Option<Band>,
    /// Sockets in ESTABLISHED.
    pub established: Option<Band>,
}

impl Default for Thresholds {
    /// Queue: 80 % and 50 %; CLOSE_WAIT: 64 and 32; connections: never.
    fn default() -> Self {
        Self {
            queue_percent: Some(Band { raise: 80, clear: 50 }),
            close_wait: Some(Band { raise: 64, clear: 32 }),
            established: None,
        }
    }
}

/// Sockets of a local port that are counted all the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounts {
    /// Sockets that listen.
    pub listeners: u64,
    /// Connections.
    pub established: u64,
    /// Connections that only the peer has closed.
    pub close_wait: u64,
}

/// What the kernel says of a local port when it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortFacts {
    /// The sockets that listen on it, on whatever address.
    pub listeners: Vec<ListenerFacts>,
    /// The others, by state.
    pub states: StateCounts,
}

impl PortFacts {
    /// What is also counted all the time.
    #[must_use]
    pub fn counts(&self) -> PortCounts {
        let StateCounts { established, close_wait, .. } = self.states;
        PortCounts { listeners: self.listeners.len() as u64, established, close_wait }
    }
}

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerFacts {
    /// Where.
    pub address: SocketAddr,
    /// The number of the socket, as it stands in `/proc/PID/fd`.
    pub inode: u64,
    /// Whose it is.
    pub uid: u32,
    /// Connections that wait to be accepted.
    pub queue: u32,
    /// How many may wait before the next one is turned away: one more than what `listen` was given. `/proc` does not tell.
    pub limit: Option<u32>,
    /// What was dropped since it began to listen: connections that were turned away, mostly. (A listener with
    /// `TCP_DEFER_ACCEPT` also drops the last segment of each handshake.) `/proc` does not tell.
    pub drops: Option<u32>,
}

/// Sockets of a port that do not listen, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "these are the names of RFC 9293")]
pub struct StateCounts {
    pub established: u64,
    pub syn_sent: u64,
    pub syn_recv: u64,
    pub fin_wait1: u64,
    pub fin_wait2: u64,
    pub time_wait: u64,
    pub close_wait: u64,
    pub last_ack: u64,
    pub closing: u64,
}

impl fmt::Display for NetNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(inode) = self;
        write!(f, "net:[{inode}]")
    }
}
