//! Which TCP ports are watched, as the kernel programs see it: a bit a port, then one table entry a watched port, which
//! names a slot of counters and thresholds that user space reads and writes through shared pages.

/// Words of the bitmap that holds one bit for every port.
pub const PORT_WORDS: u32 = (u16::MAX as u32 + 1) / u64::BITS;

/// [`PortKey::port`] of what concerns a network namespace as a whole. (No socket in use has it.)
pub const WHOLE_NAMESPACE: u32 = 0;

/// A queue that was over its threshold is not told to be below it again for so long: of several listeners on one port one
/// may be stuck while the others are well, and each handshake tells of another.
pub const QUEUE_HOLD_NS: u64 = 1_000_000_000;

/// Want of local ports, and of memory, is told at most this often for each network namespace.
pub const NAMESPACE_EVERY_NS: u64 = 10_000_000_000;

/// Answers to clients that did not finish their handshakes are counted for so long, from the first one on.
pub const FLOOD_WINDOW_NS: u64 = 1_000_000_000;

/// That they are many is told at most this often for each port.
pub const FLOOD_EVERY_NS: u64 = 3_000_000_000;

/// States of a TCP socket, as the tracepoint tells them.
/// <https://github.com/torvalds/linux/blob/v6.12/include/net/tcp_states.h#L12>
#[allow(missing_docs, reason = "these are the names of RFC 9293")]
pub mod state {
    pub const ESTABLISHED: u32 = 1;
    pub const SYN_SENT: u32 = 2;
    pub const SYN_RECV: u32 = 3;
    pub const CLOSE: u32 = 7;
    pub const CLOSE_WAIT: u32 = 8;
    pub const LISTEN: u32 = 10;
}

/// Values of [`SocketRecord::alarm`](crate::SocketRecord::alarm), which also number the words of [`PortSlot::raised`].
pub mod alarm {
    /// The accept queue is nearly full.
    pub const ACCEPT_QUEUE: u32 = 0;
    /// The accept queue is full: the next connection will not get in.
    pub const ACCEPT_FULL: u32 = 1;
    /// Many connections that the peer has closed and the service has not.
    pub const CLOSE_WAIT: u32 = 2;
    /// Many connections.
    pub const ESTABLISHED: u32 = 3;
    /// Nobody listens any more.
    pub const LISTENER_GONE: u32 = 4;
    /// No local port was left for a connection.
    pub const EPHEMERAL: u32 = 5;
    /// TCP was refused memory.
    pub const MEMORY: u32 = 6;
    /// Many clients do not finish their handshakes.
    pub const HALF_OPEN: u32 = 7;
    /// So many connections have come that the process may run out of descriptors.
    pub const DESCRIPTORS: u32 = 8;
    /// How many there are.
    pub const COUNT: usize = 9;
}

/// Key of the table of watched ports.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortKey {
    /// Inode of the network namespace.
    pub netns: u32,
    /// Local port, or [`WHOLE_NAMESPACE`].
    pub port: u32,
}

/// What is counted for a watched port, and when it is told. Words only: either side may write its own at any time.
///
/// A number of sockets is the sum of a *base*, which user space writes, and of a *delta*, to which the programs add: so
/// either is corrected without a look at what the other does.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortSlot {
    /// Accept queue, in percent of its limit: raised from here on; 0: never.
    pub queue_raise_percent: u64,
    /// The same: cleared below this.
    pub queue_clear_percent: u64,
    /// CLOSE_WAIT: raised from so many on; 0: never.
    pub close_wait_raise: u64,
    /// The same: cleared at so many.
    pub close_wait_clear: u64,
    /// ESTABLISHED: raised from so many on; 0: never.
    pub established_raise: u64,
    /// The same: cleared at so many.
    pub established_clear: u64,
    /// ESTABLISHED and CLOSE_WAIT together, which take a descriptor each: told from so many on; 0: never.
    pub held_raise: u64,
    /// 1 when the bases are right. Before that no number is judged.
    pub is_based: u64,
    /// Sockets that listened when the delta was 0.
    pub listeners_base: i64,
    /// The same of ESTABLISHED.
    pub established_base: i64,
    /// The same of CLOSE_WAIT.
    pub close_wait_base: i64,
    /// Change of the number of listening sockets since.
    pub listeners: i64,
    /// The same of ESTABLISHED.
    pub established: i64,
    /// The same of CLOSE_WAIT.
    pub close_wait: i64,
    /// Accept queue at the last handshake that was completed, with the connection that it brought.
    pub queue: u64,
    /// How many fit into it.
    pub queue_limit: u64,
    /// The longest that it was seen.
    pub queue_highest: u64,
    /// When it was last seen over its threshold, on the kernel's clock.
    pub queue_high_ns: u64,
    /// SYN-ACKs that were sent again, since their client had not finished the handshake.
    pub synacks: u64,
    /// How many these were when the present second of counting began.
    pub synacks_before: u64,
    /// When that was, on the kernel's clock.
    pub synacks_since_ns: u64,
    /// When it was last told that they are many, on the kernel's clock.
    pub synacks_told_ns: u64,
    /// With [`WHOLE_NAMESPACE`]: connections that found no local port.
    pub without_port: u64,
    /// The same: when that was last told, on the kernel's clock.
    pub without_port_told_ns: u64,
    /// The same: how often TCP was refused memory.
    pub without_memory: u64,
    /// The same: when that was last told, on the kernel's clock.
    pub without_memory_told_ns: u64,
    /// 1 for each alarm that has been raised and not cleared, as far as it was possible to tell.
    pub raised: [u64; alarm::COUNT],
}

/// Whether an alarm changes: to what, or not at all. It is raised at `raise` (0: never) and cleared at `clear` or below.
#[must_use]
#[inline]
pub const fn judge(count: i64, raise: u64, clear: u64, is_raised: bool) -> Option<bool> {
    let count = if count < 0 { 0 } else { count as u64 };
    if raise == 0 {
        None
    } else if !is_raised && count >= raise {
        Some(true)
    } else if is_raised && count <= clear && count < raise {
        Some(false)
    } else {
        None
    }
}

/// So many SYN-ACKs that had to be sent again within [`FLOOD_WINDOW_NS`] are many for a listener with this backlog: a sixteenth
/// of it, 4 to 64.
///
/// A client that never answers costs two to five of them and keeps its place for 7 to 63 s, so a flood that fills most of a
/// backlog causes at least so many a second, however slow it is.
#[must_use]
#[inline]
pub const fn flood_from(backlog: u64) -> u64 {
    let share = backlog / 16;
    if share < 4 {
        4
    } else if share > 64 {
        64
    } else {
        share
    }
}

const _: () = {
    assert!(PORT_WORDS == 1024);
    assert!(size_of::<PortKey>() == 8);
    assert!(size_of::<PortSlot>() == 35 * 8);
    assert!(align_of::<PortSlot>() == 8);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_the_thresholds_nothing_changes() {
        for (count, is_raised, expected) in [
            (63, false, None),
            (64, false, Some(true)),
            (65, true, None),
            (33, true, None),
            (32, true, Some(false)),
            (-5, true, Some(false)),
            (32, false, None),
        ] {
            assert_eq!(judge(count, 64, 32, is_raised), expected, "{count}");
        }
        assert_eq!(judge(1_000, 0, 0, false), None, "switched off");
    }

    #[test]
    fn a_flood_is_measured_by_the_backlog() {
        assert_eq!([0, 16, 128, 511, 4_096, 65_535].map(flood_from), [4, 4, 8, 31, 64, 64]);
    }
}
