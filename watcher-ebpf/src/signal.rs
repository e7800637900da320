//! `signal_generate`: fires for every signal on the host, in the context of whoever sends it.
//!
//! What may end a watched process is noted down beside its entry, the last one only. Nobody is told before it dies.

use aya_ebpf::{helpers::generated::bpf_get_current_uid_gid, programs::RawTracePointContext};
use watcher_abi::{Blame, COMM_LEN, NS_PER_TICK, origin};

use crate::{
    emit, interest,
    task::{self, Task},
};

/// In place of the address of a `siginfo`: sent in the name of the running process.
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched/signal.h#L391>
const SEND_SIG_NOINFO: u64 = 0;
/// The same: sent by the kernel.
const SEND_SIG_PRIV: u64 = 1;

/// Result of sending: the process ignores it, or is dying already.
/// <https://github.com/torvalds/linux/blob/v6.12/include/trace/events/signal.h#L42>
const IGNORED: u32 = 1;

/// `si_code` of `kill`, `sigqueue` and `tgkill`.
const BY_USERS: [i32; 3] = [0, -1, -6];

/// Signals whose default action ends nobody: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH.
const HARMLESS: u32 = set(&[17, 18, 19, 20, 21, 22, 23, 28]);
/// What the processor, or the kernel in its place, has against a process: ILL, TRAP, BUS, FPE, SEGV, SYS.
const FAULTS: u32 = set(&[4, 5, 7, 8, 11, 31]);
/// What the kernel sends to a process in its own name, for what it did: PIPE, XFSZ.
const OFFENCES: u32 = set(&[13, 25]);
/// What ends a process in an orderly way when it comes from the kernel (a terminal, a limit, a power failure), though it is
/// handled: HUP, INT, QUIT, TERM, XCPU, PWR.
const REQUESTS: u32 = set(&[1, 2, 3, 15, 24, 30]);

const fn set(signals: &[u32]) -> u32 {
    let (mut bits, mut index) = (0, 0);
    while index < signals.len() {
        bits |= 1 << signals[index];
        index += 1;
    }
    bits
}

#[inline(always)]
fn is_in(set: u32, signal: u32) -> bool {
    signal < u32::BITS && set >> signal & 1 != 0
}

#[inline(always)]
pub fn on_signal(ctx: &RawTracePointContext) {
    let signal = ctx.arg::<u64>(0) as u32;
    if is_in(HARMLESS, signal) || ctx.arg::<u64>(4) as u32 == IGNORED {
        return;
    }
    let target = Task::argument(ctx, 2);
    let Some(pid) = target.pid_seen_by_daemon() else { return };
    if !interest::bit_is_set(pid) {
        return;
    }
    note_down(signal, ctx.arg::<u64>(1), pid, &target);
}

/// One after the other, each leaving at once, for the verifiers before Linux 6.3. What cannot be read stays unexplained.
#[inline(always)]
fn note_down(signal: u32, info: u64, pid: u32, target: &Task) {
    let Some(leader) = target.leader() else { return };
    let Some(start_ns) = leader.start_ns() else { return };
    let Some(blame) = interest::blame_of(pid, start_ns / NS_PER_TICK) else { return };
    let Some(exit) = target.group_exit() else { return };
    // The kernel decides before this tracepoint fires. So it may be this very signal that the process dies of; but one
    // that dies of another, or of the first of two alike, or exits, is past being ended by this one.
    // SAFETY: room in a map value, which stays valid while the program runs.
    if exit.decided && (exit.code & 0x7f != signal || unsafe { (*blame).fatal } != 0) {
        return;
    }
    let Some(sender) = Task::running().leader() else { return };
    let Some(origin) = origin_of(info, signal, sender == leader) else { return };
    let Some(handler) = target.handler(signal) else { return };
    // Runtimes handle faults, timers and signals between their own threads all the time, and go on.
    let is_handled = handler > 1;
    if is_handled && origin != origin::USER && !(origin == origin::KERNEL && is_in(REQUESTS, signal)) {
        return;
    }
    // SAFETY: as above; signals to one process are sent one at a time, under its lock.
    unsafe {
        (*blame).stamp_ns = emit::stamp_ns();
        (*blame).signal = signal;
        (*blame).origin = origin;
        (*blame).fatal = exit.decided as u32;
    }
    match origin {
        origin::USER | origin::OWN => write_sender(blame, &sender),
        _ => write_nobody(blame),
    }
}

#[inline(always)]
fn write_sender(blame: *mut Blame, sender: &Task) {
    let mut comm = [0; COMM_LEN];
    sender.comm(&mut comm);
    // SAFETY: as in `note_down`; the helper has no precondition.
    unsafe {
        (*blame).sender_pid = sender.pid_seen_by_daemon().unwrap_or(0);
        (*blame).sender_uid = bpf_get_current_uid_gid() as u32;
        (*blame).comm = comm;
    }
}

#[inline(always)]
fn write_nobody(blame: *mut Blame) {
    // SAFETY: as in `note_down`.
    unsafe {
        (*blame).sender_pid = 0;
        (*blame).sender_uid = 0;
        (*blame).comm = [0; COMM_LEN];
    }
}

#[inline(always)]
fn origin_of(info: u64, signal: u32, by_itself: bool) -> Option<u32> {
    let by_whom = if by_itself { origin::OWN } else { origin::USER };
    if info == SEND_SIG_PRIV {
        return Some(origin::KERNEL);
    }
    if info == SEND_SIG_NOINFO {
        return Some(if by_itself && is_in(OFFENCES, signal) { origin::FAULT } else { by_whom });
    }
    let code = task::si_code(info)?;
    Some(if code == BY_USERS[0] || code == BY_USERS[1] || code == BY_USERS[2] {
        by_whom
    } else if code > 0 && is_in(FAULTS, signal) {
        origin::FAULT
    } else {
        origin::KERNEL
    })
}
