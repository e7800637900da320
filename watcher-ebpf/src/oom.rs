//! `mark_victim`: the kernel has run out of memory, on the host or in a control group, and kills this process for it.
//!
//! It comes after the SIGKILL, which is all that other programs see of it, and in the context of whoever wanted memory.
//! A process that was dying anyway is marked as well, without a signal: it keeps the cause that it has.

use aya_ebpf::programs::RawTracePointContext;
use watcher_abi::{NO_PID_NAMESPACE, origin};

use crate::{interest, maps::config, task::Task};

const SIGKILL: u32 = 9;

#[inline(always)]
pub fn on_out_of_memory(ctx: &RawTracePointContext) {
    if config!(mark_victim_has_task) != 0 {
        let Some(pid) = Task::argument(ctx, 0).pid_seen_by_daemon() else { return };
        mark(pid);
    } else if config!(pid_ns_inum) == NO_PID_NAMESPACE {
        // Before Linux 6.8: the kernel's own number, which no other pid namespace can make use of here.
        mark(ctx.arg::<u64>(0) as u32);
    }
}

/// The pid alone will do: only a signal that was sent to the right process has ever been noted down here.
#[inline(always)]
fn mark(pid: u32) {
    let Some(blame) = interest::blame_of_pid(pid) else { return };
    // SAFETY: room in a map value, which stays valid while the program runs.
    unsafe {
        if (*blame).signal == SIGKILL && (*blame).origin == origin::KERNEL {
            (*blame).origin = origin::OUT_OF_MEMORY;
        }
    }
}
