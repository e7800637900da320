//! `inet_sock_set_state`: fires for every change of state of every TCP socket on the host, in whatever context the
//! segment, the system call or the timer runs that caused it. So all is put down to the socket, nothing to who runs.
//!
//! Attached only while a port is watched. Connections of other ports leave after a look at one bit.

use aya_ebpf::{helpers::bpf_ktime_get_ns, programs::RawTracePointContext};
use watcher_abi::{NAMESPACE_EVERY_NS, PortKey, QUEUE_HOLD_NS, WHOLE_NAMESPACE, alarm, state};

use crate::{
    ports::{self, Level, Slot, add, load, store},
    sock::{Queue, Sock},
};

#[inline(always)]
pub fn on_state(ctx: &RawTracePointContext) {
    let sock = Sock::argument(ctx, 0);
    let Some(port) = sock.port() else { return };
    if !ports::bit_is_set(port) {
        return;
    }
    let (old, new) = (ctx.arg::<u64>(1) as u32, ctx.arg::<u64>(2) as u32);
    // A client that gets no local port goes back to where it came from without one.
    if port == WHOLE_NAMESPACE && !(old == state::SYN_SENT && new == state::CLOSE) {
        return;
    }
    // One after the other, each leaving at once, for the verifiers before Linux 6.3.
    if !sock.is_tcp() {
        return;
    }
    let Some(key) = sock.key(port) else { return };
    let Some(slot) = Slot::of(&key) else { return };
    if port == WHOLE_NAMESPACE {
        without_port(slot, &key);
    } else {
        listener(slot, &key, old, new);
        connection(slot, &key, &sock, old, new);
    }
}

#[inline(always)]
fn without_port(slot: Slot, key: &PortKey) {
    add!(slot, without_port, 1);
    let now = now();
    let told = load!(slot, without_port_told_ns);
    if told != 0 && now.wrapping_sub(told) < NAMESPACE_EVERY_NS {
        return;
    }
    if slot.tell(key, alarm::EPHEMERAL, true, load!(slot, without_port), 0) {
        store!(slot, without_port_told_ns, now);
    }
}

/// A connection is a copy of its listener, down to the state: only what goes to or comes from CLOSE is a listener.
#[inline(always)]
fn listener(slot: Slot, key: &PortKey, old: u32, new: u32) {
    let change = match (old, new) {
        (state::CLOSE, state::LISTEN) => 1,
        (state::LISTEN, state::CLOSE) => -1,
        _ => return,
    };
    add!(slot, listeners, change);
    let is_gone = slot.is_raised(alarm::LISTENER_GONE);
    let count = load!(slot, listeners_base) + load!(slot, listeners);
    if load!(slot, is_based) == 0 {
        return;
    }
    if count <= 0 && !is_gone {
        slot.tell(key, alarm::LISTENER_GONE, true, 0, 1);
    } else if count > 0 && is_gone {
        slot.tell(key, alarm::LISTENER_GONE, false, count as u64, 1);
    }
}

#[inline(always)]
fn connection(slot: Slot, key: &PortKey, sock: &Sock, old: u32, new: u32) {
    if old == state::LISTEN && new == state::SYN_RECV {
        if let Some(found) = sock.queue_with_this() {
            queue(slot, key, found);
        }
        return;
    }
    let established = change(state::ESTABLISHED, old, new);
    if established != 0 {
        add!(slot, established, established);
        let count = load!(slot, established_base) + load!(slot, established);
        let (raise, clear) = (load!(slot, established_raise), load!(slot, established_clear));
        if load!(slot, is_based) != 0 {
            slot.weigh(key, Level { alarm: alarm::ESTABLISHED, count, raise, clear });
        }
        if established > 0 {
            held(slot, key, count);
        }
    }
    let close_wait = change(state::CLOSE_WAIT, old, new);
    if close_wait != 0 {
        add!(slot, close_wait, close_wait);
        let count = load!(slot, close_wait_base) + load!(slot, close_wait);
        let (raise, clear) = (load!(slot, close_wait_raise), load!(slot, close_wait_clear));
        if load!(slot, is_based) != 0 {
            slot.weigh(key, Level { alarm: alarm::CLOSE_WAIT, count, raise, clear });
        }
    }
}

/// One connection more. Whether the process runs out of descriptors is for user space to find out, which then says anew when it
/// wants to know.
#[inline(always)]
fn held(slot: Slot, key: &PortKey, established: i64) {
    let raise = load!(slot, held_raise);
    if raise == 0 || load!(slot, is_based) == 0 {
        return;
    }
    let count = established + load!(slot, close_wait_base) + load!(slot, close_wait);
    if count >= raise as i64 && !slot.is_raised(alarm::DESCRIPTORS) {
        slot.tell(key, alarm::DESCRIPTORS, true, count as u64, raise);
    }
}

/// What this change of state adds to the number of sockets in a state.
#[inline(always)]
fn change(of: u32, old: u32, new: u32) -> i64 {
    (new == of) as i64 - (old == of) as i64
}

#[inline(always)]
fn queue(slot: Slot, key: &PortKey, Queue { length, limit }: Queue) {
    store!(slot, queue, length);
    store!(slot, queue_limit, limit);
    if length > load!(slot, queue_highest) {
        store!(slot, queue_highest, length);
    }
    let (raise, clear) = (load!(slot, queue_raise_percent), load!(slot, queue_clear_percent));
    let is_near = slot.is_raised(alarm::ACCEPT_QUEUE);
    let is_full = slot.is_raised(alarm::ACCEPT_FULL);
    if is_over(length, limit, raise) {
        store!(slot, queue_high_ns, now());
        if !is_near {
            slot.tell(key, alarm::ACCEPT_QUEUE, true, length, limit);
        }
        if length >= limit && !is_full {
            slot.tell(key, alarm::ACCEPT_FULL, true, length, limit);
        }
    } else if (is_near || is_full) && has_calmed(length, limit, clear, load!(slot, queue_high_ns)) {
        if is_full {
            slot.tell(key, alarm::ACCEPT_FULL, false, length, limit);
        }
        if is_near {
            slot.tell(key, alarm::ACCEPT_QUEUE, false, length, limit);
        }
    }
}

#[inline(always)]
fn is_over(length: u64, limit: u64, percent: u64) -> bool {
    percent != 0 && length * 100 >= limit * percent
}

/// Whether it is low enough, and was not high a moment ago.
#[inline(always)]
fn has_calmed(length: u64, limit: u64, percent: u64, high_ns: u64) -> bool {
    length * 100 < limit * percent && now().wrapping_sub(high_ns) >= QUEUE_HOLD_NS
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_ns() }
}
