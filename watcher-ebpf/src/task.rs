//! The only reads of kernel memory that concern processes. Offsets come from the BTF of the running kernel, by way of [`CONFIG`].
//!
//! [`CONFIG`]: crate::maps::CONFIG

use aya_ebpf::{
    cty::c_void,
    helpers::generated::{bpf_get_current_task, bpf_probe_read_kernel_str},
    programs::RawTracePointContext,
};
use watcher_abi::{COMM_LEN, NO_PID_NAMESPACE};

use crate::{maps::config, memory::read};

/// `signal_struct.flags`: the whole group exits with `group_exit_code`.
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched/signal.h#L253>
const SIGNAL_GROUP_EXIT: u32 = 4;

/// Pid namespaces nest up to 32 deep (`MAX_PID_NS_LEVEL`); nobody watches from deeper than this.
const DEEPEST_LEVEL: u32 = 8;

/// Address of a `struct task_struct`.
#[derive(PartialEq, Eq)]
pub struct Task(u64);

impl Task {
    /// The thread that is this argument of the tracepoint.
    #[inline(always)]
    pub fn argument(ctx: &RawTracePointContext, index: usize) -> Self {
        Self(ctx.arg::<u64>(index))
    }

    /// The thread in whose context the program runs.
    #[inline(always)]
    pub fn running() -> Self {
        // SAFETY: the helper has no precondition.
        Self(unsafe { bpf_get_current_task() })
    }

    #[inline(always)]
    pub fn leader(&self) -> Option<Self> {
        read(self.0, config!(task_group_leader)).map(Self)
    }

    /// Start time, as the daemon's time namespace shows it.
    #[inline(always)]
    pub fn start_ns(&self) -> Option<u64> {
        let start: u64 = read(self.0, config!(task_start_boottime))?;
        Some(start.wrapping_add_signed(config!(start_offset_ns)))
    }

    #[inline(always)]
    pub fn live_threads(&self) -> Option<u32> {
        read(self.signal()?, config!(signal_live))
    }

    /// What `waitpid` will say, by the rule of `wait_task_zombie`.
    /// <https://github.com/torvalds/linux/blob/v6.12/kernel/exit.c#L1146>
    #[inline(always)]
    pub fn wait_status(&self, leader: &Self) -> Option<u32> {
        let signal = self.signal()?;
        let flags: u32 = read(signal, config!(signal_flags))?;
        if flags & SIGNAL_GROUP_EXIT != 0 {
            read(signal, config!(signal_group_exit_code))
        } else {
            read(leader.0, config!(task_exit_code))
        }
    }

    /// Whether the whole process is on its way out by a decision (not thread by thread), and if so with which code.
    #[inline(always)]
    pub fn group_exit(&self) -> Option<GroupExit> {
        let signal = self.signal()?;
        let flags: u32 = read(signal, config!(signal_flags))?;
        let code: u32 = read(signal, config!(signal_group_exit_code))?;
        Some(GroupExit { decided: flags & SIGNAL_GROUP_EXIT != 0, code })
    }

    /// Address of the handler for a signal, or 0 (the default action) or 1 (ignored).
    #[inline(always)]
    pub fn handler(&self, signal: u32) -> Option<u64> {
        let actions: u64 = read(self.0, config!(task_sighand))?;
        let index = u64::from(signal.wrapping_sub(1) & 63);
        let action = actions + u64::from(config!(sighand_action)) + index * u64::from(config!(k_sigaction_size));
        read(action, config!(k_sigaction_handler))
    }

    /// The command name, with zeros after the first NUL: what the kernel leaves there is chance.
    #[inline(always)]
    pub fn comm(&self, name: &mut [u8; COMM_LEN]) {
        // SAFETY: the helper checks the address and writes at most the length of the name. Where it fails no name is left.
        unsafe {
            bpf_probe_read_kernel_str(name.as_mut_ptr().cast(), COMM_LEN as u32, self.comm_address() as *const c_void);
        }
    }

    /// Where the command name lies.
    #[inline(always)]
    pub fn comm_address(&self) -> u64 {
        self.0 + u64::from(config!(task_comm))
    }

    /// Pid of the process as the daemon sees it; `None` when it is not visible there.
    #[inline(always)]
    pub fn pid_seen_by_daemon(&self) -> Option<u32> {
        match config!(pid_ns_inum) {
            NO_PID_NAMESPACE => read(self.0, config!(task_tgid)),
            inum => self.pid_in_namespace(inum),
        }
    }

    /// Pid of the process in the pid namespace with this inode; `None` when it is not visible there.
    #[inline(always)]
    pub fn pid_in_namespace(&self, inum: u32) -> Option<u32> {
        let pid: u64 = read(self.signal()?, config!(signal_tgid_pid))?;
        let level: u32 = read(pid, config!(pid_level))?;
        let mut depth = 1;
        while depth < DEEPEST_LEVEL && depth <= level {
            let upid = pid + u64::from(config!(pid_numbers)) + u64::from(depth * config!(upid_size));
            let namespace: u64 = read(upid, config!(upid_ns))?;
            if read::<u32>(namespace, config!(pid_ns_inum_offset))? == inum {
                return read(upid, config!(upid_nr));
            }
            depth += 1;
        }
        None
    }

    /// Whether the kernel keeps the thread, which is the one that runs, on its CPU. It does so while a program runs that it may
    /// interrupt, and no other: the program has to go on where it began.
    #[inline(always)]
    pub fn is_pinned(&self) -> bool {
        let offset = config!(task_migration_disabled);
        offset != 0 && read::<u16>(self.0, offset).unwrap_or(0) != 0
    }

    #[inline(always)]
    fn signal(&self) -> Option<u64> {
        read(self.0, config!(task_signal))
    }
}

/// What a process on its way out ends with.
pub struct GroupExit {
    pub decided: bool,
    pub code: u32,
}

/// What a `siginfo` at this address says of its origin.
#[inline(always)]
pub fn si_code(info: u64) -> Option<i32> {
    read(info, config!(siginfo_code))
}
