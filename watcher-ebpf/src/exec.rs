//! `sched_process_exec`: fires for every program that is started on the host, in its context, under its new name.
//!
//! Attached only while somebody waits for a program. The name is all that is judged here; whether it is the right
//! program (its path, its arguments) is for user space to find out.

use aya_ebpf::programs::RawTracePointContext;
use watcher_abi::{COMM_LEN, ExecRecord, KIND_EXEC};

use crate::{emit, interest, task::Task};

#[inline(always)]
pub fn on_exec(ctx: &RawTracePointContext) {
    let task = Task::argument(ctx, 0);
    let mut comm = [0; COMM_LEN];
    task.comm(&mut comm);
    if !interest::is_waited_for(&comm) {
        return;
    }
    // One after the other, each leaving at once, for the verifiers before Linux 6.3.
    let Some(pid) = task.pid_seen_by_daemon() else { return };
    // By now it leads: an exec ends all other threads, and the one that called it takes the leader's place.
    let Some(start_ns) = task.start_ns() else { return emit::count_lost_exec() };
    emit::start(ExecRecord { kind: KIND_EXEC, pid, stamp_ns: emit::stamp_ns(), start_ns, comm });
}
