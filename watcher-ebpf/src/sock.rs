//! The only reads of kernel memory that concern sockets. Offsets come from the BTF of the running kernel, by way of
//! [`CONFIG`].
//!
//! [`CONFIG`]: crate::maps::CONFIG

use aya_ebpf::programs::RawTracePointContext;
use watcher_abi::PortKey;

use crate::{maps::config, memory::read};

/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/in.h#L38>
const IPPROTO_TCP: u32 = 6;

/// Address of a `struct sock`.
pub struct Sock(u64);

/// How many connections wait to be accepted.
pub struct Queue {
    pub length: u64,
    pub limit: u64,
}

impl Sock {
    /// The socket that is this argument of the tracepoint.
    #[inline(always)]
    pub fn argument(ctx: &RawTracePointContext, index: usize) -> Self {
        Self(ctx.arg::<u64>(index))
    }

    /// The local port. (`skc_num` is the same number, but it is 0 already when a socket closes.)
    #[inline(always)]
    pub fn port(&self) -> Option<u32> {
        read::<u16>(self.0, config!(inet_sport)).map(|port| u32::from(u16::from_be(port)))
    }

    #[inline(always)]
    pub fn is_tcp(&self) -> bool {
        match read::<u32>(self.0, config!(sk_protocol)) {
            Some(protocol) => protocol & config!(sk_protocol_mask) == IPPROTO_TCP,
            None => false,
        }
    }

    /// The socket's port, or something else, in the socket's network namespace.
    #[inline(always)]
    pub fn key(&self, port: u32) -> Option<PortKey> {
        let net: u64 = read(self.0, config!(sk_net))?;
        let netns = read(net, config!(net_inum))?;
        Some(PortKey { netns, port })
    }

    /// How many connections `listen` was told to keep.
    #[inline(always)]
    pub fn backlog(&self) -> Option<u64> {
        let limit: u32 = read(self.0, config!(sk_max_ack_backlog))?;
        Some(u64::from(limit & config!(sk_ack_backlog_mask)))
    }

    /// The accept queue of the listener that this new connection was made of, and with it.
    ///
    /// A connection begins as a copy of its listener, byte by byte, and so are these members. The kernel lets one more in
    /// than the limit says: <https://github.com/torvalds/linux/blob/v6.12/include/net/sock.h#L1020>
    #[inline(always)]
    pub fn queue_with_this(&self) -> Option<Queue> {
        let mask = config!(sk_ack_backlog_mask);
        let length: u32 = read(self.0, config!(sk_ack_backlog))?;
        let limit: u32 = read(self.0, config!(sk_max_ack_backlog))?;
        Some(Queue { length: u64::from(length & mask) + 1, limit: u64::from(limit & mask) + 1 })
    }
}

/// How many pages a protocol whose `struct proto` lies at this address may take: the last of `tcp_mem`.
#[inline(always)]
pub fn memory_limit(protocol: u64) -> Option<u64> {
    let limits: u64 = read(protocol, config!(proto_sysctl_mem))?;
    read(limits, 2 * size_of::<u64>() as u32)
}
