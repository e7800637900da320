//! `sched_process_exit`: fires for every thread on the host, in the context of the thread that exits.
//!
//! The order of the tests is the order of their price. Whatever is not watched leaves after a look at one bit.
//!
//! Since Linux 7.0 it can be preempted, and the kernel skips a program that it finds at work on this CPU already: whoever
//! dies meanwhile is not noticed. That this is such a kernel is told with the first death; there, two of it run, one after the
//! other, and a death is missed only where both are interrupted. Who comes second finds that the death was claimed.

use aya_ebpf::{EbpfContext as _, programs::RawTracePointContext};
use watcher_abi::{KIND_EXIT, NO_PID_NAMESPACE, NS_PER_TICK};

use crate::{
    emit::{self, Death},
    interest::{self, Claim},
    maps::config,
    task::Task,
};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    First,
    Second,
}

#[inline(always)]
pub fn on_exit(ctx: &RawTracePointContext, turn: Turn) {
    // The argument exists since Linux 6.16: the result of the decrement that made the thread group dead, exact.
    // (Where it does not exist this branch is dead code to the verifier, which would refuse the read.)
    let exact = config!(has_group_dead) != 0;
    if exact && ctx.arg::<u64>(1) as u8 == 0 {
        return;
    }
    let task = Task::argument(ctx, 0);
    let Some(pid) = pid_seen_by_daemon(ctx, &task) else { return };
    if !interest::bit_is_set(pid) {
        return;
    }
    // Before that a thread group is dead when nobody lives in it. Two threads that exit together can both see that;
    // the claim below lets one of them through.
    if !exact && task.live_threads() != Some(0) {
        return;
    }
    report(pid, &task, turn);
}

#[inline(always)]
fn pid_seen_by_daemon(ctx: &RawTracePointContext, task: &Task) -> Option<u32> {
    match config!(pid_ns_inum) {
        NO_PID_NAMESPACE => Some(ctx.tgid()),
        inum => task.pid_in_namespace(inum),
    }
}

/// The leader is asked, not the thread that happens to go last: its start time and name are those of the process.
#[inline(always)]
fn report(pid: u32, task: &Task, turn: Turn) {
    // One after the other, each leaving at once: a verifier before Linux 6.3 must see every value set before its use.
    let Some(leader) = task.leader() else { return emit::count_unreadable() };
    let Some(start_ns) = leader.start_ns() else { return emit::count_unreadable() };
    let Some(wait_status) = task.wait_status(&leader) else { return emit::count_unreadable() };
    if task.is_pinned() {
        emit::note_interruptible();
    }
    match interest::claim(pid, start_ns / NS_PER_TICK) {
        Claim::Ours { generation, blame } => emit::death(Death {
            kind: KIND_EXIT,
            pid,
            start_ns,
            generation,
            wait_status,
            last_tid: aya_ebpf::helpers::bpf_get_current_pid_tgid() as u32,
            comm: leader.comm_address(),
            blame,
        }),
        Claim::NotWatched => {}
        Claim::PidReused if turn == Turn::First => emit::count_stale(),
        Claim::PidReused => {}
    }
}
