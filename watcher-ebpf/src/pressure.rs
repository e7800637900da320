//! `sock_exceed_buf_limit`: a socket was refused memory. It may fire for every segment while that lasts.
//!
//! Attached only while a network namespace is watched, and told at most every ten seconds for each.

use aya_ebpf::{helpers::bpf_ktime_get_ns, programs::RawTracePointContext};
use watcher_abi::{NAMESPACE_EVERY_NS, WHOLE_NAMESPACE, alarm};

use crate::{
    ports::{Slot, add, load, store},
    sock::{self, Sock},
};

#[inline(always)]
pub fn on_memory(ctx: &RawTracePointContext) {
    let sock = Sock::argument(ctx, 0);
    if !sock.is_tcp() {
        return;
    }
    let Some(key) = sock.key(WHOLE_NAMESPACE) else { return };
    let Some(slot) = Slot::of(&key) else { return };
    add!(slot, without_memory, 1);
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    let told = load!(slot, without_memory_told_ns);
    if told != 0 && now.wrapping_sub(told) < NAMESPACE_EVERY_NS {
        return;
    }
    let limit = sock::memory_limit(ctx.arg::<u64>(1)).unwrap_or(0);
    if slot.tell(&key, alarm::MEMORY, true, ctx.arg::<u64>(2), limit) {
        store!(slot, without_memory_told_ns, now);
    }
}
