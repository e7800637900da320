//! The sockets of a watched port: what the kernel tells unasked, and what it says when it is asked.
//!
//! As with deaths, news are hints: numbers that follow from events drift where events get lost, so whoever acts on them
//! looks first ([`PortFacts`]).

use core::{fmt, net::SocketAddr};

use crate::{Mono, Pid, Span};

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
    /// Connections that only the peer has closed; where the kernel tells, those alone that somebody has accepted,
    pub close_wait: Option<u64>,
    /// and for how long the oldest of them at least: its peer was last heard so long ago.
    pub close_wait_oldest: Option<Span>,
    /// The same of the youngest that is needed for as many as [`Thresholds::close_wait`] is raised from.
    pub close_wait_many: Option<Span>,
    /// Connections whose clients have not answered yet.
    pub half_open: Option<u64>,
    /// Descriptors of the process, and how many it may have,
    pub descriptors: Option<(u64, u64)>,
    /// or those of this child of it, which is nearer to having none left.
    pub of_child: Option<Pid>,
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
    /// port since the watch began, answers that had to be sent again within a second, pages of memory.
    pub value: u64,
    /// What that is measured by: room in the queue, the threshold, 1, 0 (nothing), the threshold, pages that TCP may have
    /// (0: unknown).
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

/// From when on something is wrong. `None`: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Accept queue, in percent of its limit; cleared *below* the lower one.
    pub queue_percent: Option<Band>,
    /// Sockets in CLOSE_WAIT.
    pub close_wait: Option<Band>,
    /// The same, however few they are: for how long one of them has been so.
    pub close_wait_age: Option<Span>,
    /// Sockets in ESTABLISHED.
    pub established: Option<Band>,
    /// Descriptors, in percent of what the process may have.
    pub descriptors: Option<Band>,
}

impl Default for Thresholds {
    /// Queue: 80 % and 50 %; CLOSE_WAIT: 64 and 32, one of them at any age; connections: never; descriptors: 90 % and 80 %.
    fn default() -> Self {
        Self {
            queue_percent: Some(Band { raise: 80, clear: 50 }),
            close_wait: Some(Band { raise: 64, clear: 32 }),
            close_wait_age: None,
            established: None,
            descriptors: Some(Band { raise: 90, clear: 80 }),
        }
    }
}

impl Thresholds {
    /// A queue with less room than this is full whenever somebody comes, and says nothing.
    pub const TINY_ROOM: u64 = 4;

    /// Many connections in CLOSE_WAIT are a leak when they have been so for this long: a healthy service closes them at once,
    /// or when it has taken those before them.
    pub const LEAK_AGE: Span = Span::of_seconds(3);

    /// So many half-open connections are no ordinary load, however long the backlog is.
    const FLOOD: u64 = 1_024;

    /// The same where nobody knows how long it is.
    const FLOOD_OF_UNKNOWN: u64 = 128;

    /// Half-open connections, for an accept queue with so much room: the same shares of what `listen` was told. (That is the
    /// room without the one more.)
    #[must_use]
    pub fn half_open(&self, room: Option<u64>) -> Option<Band> {
        let Band { raise, clear } = self.queue_percent?;
        let many = match room.filter(|room| *room >= Self::TINY_ROOM) {
            Some(room) => ((room - 1).saturating_mul(raise.into())).div_ceil(100).clamp(1, Self::FLOOD),
            None => Self::FLOOD_OF_UNKNOWN,
        };
        let many = u32::try_from(many).unwrap_or(u32::MAX);
        let calm = u64::from(many) * u64::from(clear) / u64::from(raise.max(1));
        Some(Band { raise: many, clear: u32::try_from(calm).unwrap_or(u32::MAX).min(many - 1) })
    }

    /// So many connections more, each of which takes a descriptor, and it is worth a look: at least a sixteenth of what the
    /// process may have. `None`: it is short of them already, or nobody wants to know.
    #[must_use]
    pub fn descriptors_left(&self, used: u64, limit: u64) -> Option<u64> {
        let short_from = limit.saturating_mul(self.descriptors?.raise.into()) / 100;
        let left = short_from.checked_sub(used).filter(|left| *left > 0)?;
        Some(left.max(limit / 16))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_open_connections_are_measured_by_the_backlog() {
        let band = |room| Thresholds::default().half_open(room).map(|Band { raise, clear }| (raise, clear));
        for (room, expected) in [
            (Some(17), (13, 8)),
            (Some(129), (103, 64)),
            (Some(4), (3, 1)),
            (Some(4_097), (1_024, 640)),
            (Some(2), (128, 80)),
            (None, (128, 80)),
        ] {
            assert_eq!(band(room), Some(expected), "{room:?}");
        }
        assert_eq!(Thresholds { queue_percent: None, ..Thresholds::default() }.half_open(None), None);
    }

    #[test]
    fn a_look_is_due_when_connections_may_have_used_up_the_descriptors() {
        let left = |used, limit| Thresholds::default().descriptors_left(used, limit);
        assert_eq!(left(8, 40), Some(28));
        assert_eq!(left(900, 1_024), Some(64), "not at each of the last few");
        assert_eq!((left(921, 1_024), left(2_000, 1_024)), (None, None), "it is short of them");
        assert_eq!(left(5, u64::MAX), Some(u64::MAX / 16), "no limit worth the name");
    }
}
