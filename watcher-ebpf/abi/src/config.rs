//! Load-time constants. User space fills them in before loading; the kernel then freezes them, so that the verifier
//! knows their values and drops the branches that this kernel does not need.

/// [`Config::pid_ns_inum`] of a daemon in the initial pid namespace: the kernel's own pids are the daemon's pids.
pub const NO_PID_NAMESPACE: u32 = 0;

/// What the programs must know of the running kernel: switches, and offsets of structure members in bytes.
///
/// Every offset comes from the BTF of the running kernel. None is known when the object is built.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// 1 when `sched_process_exit` has the argument `group_dead`, else 0.
    pub has_group_dead: u32,
    /// 1 when the first argument of `mark_victim` is the task (Linux 6.8), 0 when it is its pid.
    pub mark_victim_has_task: u32,
    /// Inode of the daemon's pid namespace, or [`NO_PID_NAMESPACE`].
    pub pid_ns_inum: u32,
    /// `task_struct.group_leader`
    pub task_group_leader: u32,
    /// `task_struct.signal`
    pub task_signal: u32,
    /// `task_struct.start_boottime` (`real_start_time` before Linux 5.5)
    pub task_start_boottime: u32,
    /// `task_struct.exit_code`
    pub task_exit_code: u32,
    /// `task_struct.comm`
    pub task_comm: u32,
    /// `task_struct.tgid`
    pub task_tgid: u32,
    /// `task_struct.sighand`
    pub task_sighand: u32,
    /// `sighand_struct.action`
    pub sighand_action: u32,
    /// Size of `struct k_sigaction`, one element of `sighand_struct.action`
    pub k_sigaction_size: u32,
    /// `k_sigaction.sa.sa_handler`
    pub k_sigaction_handler: u32,
    /// `kernel_siginfo.si_code`
    pub siginfo_code: u32,
    /// `signal_struct.live`
    pub signal_live: u32,
    /// `signal_struct.flags`
    pub signal_flags: u32,
    /// `signal_struct.group_exit_code`
    pub signal_group_exit_code: u32,
    /// `signal_struct.pids[PIDTYPE_TGID]`
    pub signal_tgid_pid: u32,
    /// `pid.level`
    pub pid_level: u32,
    /// `pid.numbers`
    pub pid_numbers: u32,
    /// Size of `struct upid`, one element of `pid.numbers`
    pub upid_size: u32,
    /// `upid.nr`
    pub upid_nr: u32,
    /// `upid.ns`
    pub upid_ns: u32,
    /// `pid_namespace.ns.inum`
    pub pid_ns_inum_offset: u32,
    /// `inet_sock.inet_sport`: the local port, in network order
    pub inet_sport: u32,
    /// `sock.sk_protocol`
    pub sk_protocol: u32,
    /// The bits that it takes: 8 before Linux 5.6, then 16
    pub sk_protocol_mask: u32,
    /// `sock.__sk_common.skc_net.net`
    pub sk_net: u32,
    /// `net.ns.inum`
    pub net_inum: u32,
    /// `sock.sk_ack_backlog`
    pub sk_ack_backlog: u32,
    /// `sock.sk_max_ack_backlog`
    pub sk_max_ack_backlog: u32,
    /// The bits that either of them takes: 16 before Linux 4.20, then 32
    pub sk_ack_backlog_mask: u32,
    /// `proto.sysctl_mem`
    pub proto_sysctl_mem: u32,
    /// `task_struct.migration_disabled`, or 0 where tasks have none
    pub task_migration_disabled: u32,
    /// What the daemon's time namespace adds to `CLOCK_MONOTONIC`.
    pub monotonic_offset_ns: i64,
    /// What the daemon's time namespace adds to the start times that it sees.
    pub start_offset_ns: i64,
}

impl Config {
    /// Nothing known yet: what the object holds before user space fills it in.
    pub const UNKNOWN: Self = Self {
        has_group_dead: 0,
        mark_victim_has_task: 0,
        pid_ns_inum: NO_PID_NAMESPACE,
        task_group_leader: 0,
        task_signal: 0,
        task_start_boottime: 0,
        task_exit_code: 0,
        task_comm: 0,
        task_tgid: 0,
        task_sighand: 0,
        sighand_action: 0,
        k_sigaction_size: 0,
        k_sigaction_handler: 0,
        siginfo_code: 0,
        signal_live: 0,
        signal_flags: 0,
        signal_group_exit_code: 0,
        signal_tgid_pid: 0,
        pid_level: 0,
        pid_numbers: 0,
        upid_size: 0,
        upid_nr: 0,
        upid_ns: 0,
        pid_ns_inum_offset: 0,
        inet_sport: 0,
        sk_protocol: 0,
        sk_protocol_mask: 0,
        sk_net: 0,
        net_inum: 0,
        sk_ack_backlog: 0,
        sk_max_ack_backlog: 0,
        sk_ack_backlog_mask: 0,
        proto_sysctl_mem: 0,
        task_migration_disabled: 0,
        monotonic_offset_ns: 0,
        start_offset_ns: 0,
    };
}

const _: () = {
    assert!(size_of::<Config>() == 34 * 4 + 2 * 8);
    assert!(align_of::<Config>() == 8);
};
