//! `tcp_retransmit_synack`: about a second ago somebody began a connection, and has not gone on with it. Now and then a segment
//! gets lost; many at once are a flood of SYNs, of which no change of state tells.
//!
//! Attached only while a port is watched.

use aya_ebpf::{helpers::bpf_ktime_get_ns, programs::RawTracePointContext};
use watcher_abi::{FLOOD_EVERY_NS, FLOOD_WINDOW_NS, PortKey, alarm, flood_from};

use crate::{
    ports::{self, Slot, add, load, store},
    sock::Sock,
};

#[inline(always)]
pub fn on_synack(ctx: &RawTracePointContext) {
    // The one that listens; the connection does not exist yet.
    let sock = Sock::argument(ctx, 0);
    let Some(port) = sock.port() else { return };
    if !ports::bit_is_set(port) {
        return;
    }
    let Some(key) = sock.key(port) else { return };
    let Some(slot) = Slot::of(&key) else { return };
    let Some(backlog) = sock.backlog() else { return };
    sent_again(slot, &key, backlog);
}

#[inline(always)]
fn sent_again(slot: Slot, key: &PortKey, backlog: u64) {
    add!(slot, synacks, 1);
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    let sent = load!(slot, synacks);
    if now.wrapping_sub(load!(slot, synacks_since_ns)) >= FLOOD_WINDOW_NS {
        store!(slot, synacks_since_ns, now);
        store!(slot, synacks_before, sent.wrapping_sub(1));
        return;
    }
    let (count, many) = (sent.wrapping_sub(load!(slot, synacks_before)), flood_from(backlog));
    // Somebody looks at it already, or has been told a moment ago.
    if count < many || slot.is_raised(alarm::HALF_OPEN) || load!(slot, queue_raise_percent) == 0 {
        return;
    }
    let told = load!(slot, synacks_told_ns);
    if (told == 0 || now.wrapping_sub(told) >= FLOOD_EVERY_NS) && slot.tell(key, alarm::HALF_OPEN, true, count, many) {
        store!(slot, synacks_told_ns, now);
    }
}
