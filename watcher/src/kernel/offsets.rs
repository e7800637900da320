//! What the kernel programs must know of the running kernel, from its type information.

use watcher_abi::{Config, NO_PID_NAMESPACE};

use super::{
    Lacking, Refusal,
    btf::{Btf, BtfError},
};
use crate::sys::host::TimeOffsets;

/// Index of the process (thread group) in `signal_struct.pids` (`PIDTYPE_TGID`).
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/pid_types.h#L5>
const PIDTYPE_TGID: u32 = 1;

/// Size of a pointer on every machine that runs the object.
const POINTER: u32 = 8;

/// Parameters of the tracepoint's prototype with `group_dead`: the data pointer, the task, the flag.
const PARAMETERS_WITH_GROUP_DEAD: usize = 3;

/// Parameters of `mark_victim` where it gets the task: the data pointer, the task, the user.
const PARAMETERS_WITH_VICTIM: usize = 3;

/// What is known of the running kernel.
pub(super) struct Layout {
    pub(super) config: Config,
    /// What cannot be done on this kernel.
    pub(super) lacking: Lacking,
}

/// Reads the layout of this kernel; `pid_ns_inum` is the daemon's own pid namespace unless that is the initial one,
/// `clocks` what its time namespace adds.
pub(super) fn read(bytes: &[u8], pid_ns_inum: Option<u32>, clocks: TimeOffsets) -> Result<Layout, BtfError> {
    let btf = Btf::parse(bytes)?;
    let start = btf.offset_of("task_struct", "start_boottime");
    let mut config = Config {
        has_group_dead: u32::from(has_group_dead(&btf)),
        // A kernel that does not say counts as older.
        mark_victim_has_task: u32::from(btf.parameters_of("btf_trace_mark_victim") == Ok(PARAMETERS_WITH_VICTIM)),
        pid_ns_inum: pid_ns_inum.unwrap_or(NO_PID_NAMESPACE),
        task_group_leader: btf.offset_of("task_struct", "group_leader")?,
        task_signal: btf.offset_of("task_struct", "signal")?,
        task_start_boottime: start.or_else(|_older| btf.offset_of("task_struct", "real_start_time"))?,
        task_exit_code: btf.offset_of("task_struct", "exit_code")?,
        task_comm: btf.offset_of("task_struct", "comm")?,
        task_tgid: btf.offset_of("task_struct", "tgid")?,
        signal_live: btf.offset_of("signal_struct", "live")?,
        signal_flags: btf.offset_of("signal_struct", "flags")?,
        signal_group_exit_code: btf.offset_of("signal_struct", "group_exit_code")?,
        signal_tgid_pid: btf.offset_of("signal_struct", "pids")? + PIDTYPE_TGID * POINTER,
        // Where it is not, nothing is interrupted.
        task_migration_disabled: btf.offset_of("task_struct", "migration_disabled").unwrap_or(0),
        pid_level: btf.offset_of("pid", "level")?,
        pid_numbers: btf.offset_of("pid", "numbers")?,
        upid_size: btf.size_of("upid")?,
        upid_nr: btf.offset_of("upid", "nr")?,
        upid_ns: btf.offset_of("upid", "ns")?,
        pid_ns_inum_offset: btf.offset_of("pid_namespace", "ns.inum")?,
        monotonic_offset_ns: clocks.monotonic_ns,
        start_offset_ns: clocks.start_ns,
        ..Config::UNKNOWN
    };
    let explanations = read_for_explaining(&btf, &mut config).err().map(|error| Refusal::from(error).to_string());
    let knows_only_pids = config.mark_victim_has_task == 0 && config.pid_ns_inum != NO_PID_NAMESPACE;
    let out_of_memory = knows_only_pids.then(|| {
        "before Linux 6.8 the kernel names victims by numbers that mean nothing in this pid namespace".to_owned()
    });
    let sockets = read_for_sockets(&btf, &mut config).err().map(|error| Refusal::from(error).to_string());
    let floods = has_retransmit_synack(&btf).err().map(|error| Refusal::from(error).to_string());
    let socket_memory = read_for_memory(&btf, &mut config).err().map(|error| Refusal::from(error).to_string());
    Ok(Layout {
        config,
        lacking: Lacking { explanations, out_of_memory, starts: None, sockets, floods, socket_memory },
    })
}

/// Deaths can be told without these.
fn read_for_explaining(btf: &Btf<'_>, config: &mut Config) -> Result<(), BtfError> {
    config.task_sighand = btf.offset_of("task_struct", "sighand")?;
    config.sighand_action = btf.offset_of("sighand_struct", "action")?;
    config.k_sigaction_size = btf.size_of("k_sigaction")?;
    config.k_sigaction_handler = btf.offset_of("k_sigaction", "sa.sa_handler")?;
    config.siginfo_code = btf.offset_of("kernel_siginfo", "si_code")?;
    Ok(())
}

/// Nor do these have to do with deaths.
fn read_for_sockets(btf: &Btf<'_>, config: &mut Config) -> Result<(), BtfError> {
    config.inet_sport = btf.offset_of("inet_sock", "inet_sport")?;
    config.sk_protocol = btf.offset_of("sock", "sk_protocol")?;
    config.sk_protocol_mask = btf.mask_of("sock", "sk_protocol")?;
    config.sk_net = btf.offset_of("sock", "__sk_common.skc_net.net")?;
    config.net_inum = btf.offset_of("net", "ns.inum")?;
    config.sk_ack_backlog = btf.offset_of("sock", "sk_ack_backlog")?;
    config.sk_max_ack_backlog = btf.offset_of("sock", "sk_max_ack_backlog")?;
    config.sk_ack_backlog_mask = btf.mask_of("sock", "sk_ack_backlog")?;
    Ok(())
}

fn read_for_memory(btf: &Btf<'_>, config: &mut Config) -> Result<(), BtfError> {
    config.proto_sysctl_mem = btf.offset_of("proto", "sysctl_mem")?;
    Ok(())
}

/// The tracepoint came with Linux 4.15. Loading its program would not show that it is not there.
fn has_retransmit_synack(btf: &Btf<'_>) -> Result<(), BtfError> {
    btf.parameters_of("btf_trace_tcp_retransmit_synack").map(|_any| ())
}

/// Linux 6.16 gave the tracepoint its second argument. A kernel that does not say counts as older: always correct.
fn has_group_dead(btf: &Btf<'_>) -> bool {
    btf.parameters_of("btf_trace_sched_process_exit") == Ok(PARAMETERS_WITH_GROUP_DEAD)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::host;

    const NAME: &[u8] = b"\0btf_trace_tcp_retransmit_synack\0";

    #[test]
    fn a_kernel_without_a_tracepoint_lacks_what_it_would_tell_and_nothing_else() {
        let Ok(mut bytes) = fs::read(host::KERNEL_BTF) else { return };
        let lacking = |bytes: &[u8]| read(bytes, None, TimeOffsets::own()).unwrap().lacking;
        assert_eq!(lacking(&bytes), Lacking::default());
        let at = bytes.windows(NAME.len()).position(|name| name == NAME).unwrap();
        *bytes.get_mut(at + 1).unwrap() = b'B';
        let lacking = lacking(&bytes);
        assert_eq!(lacking, Lacking { floods: lacking.floods.clone(), ..Lacking::default() });
        assert!(lacking.floods.is_some_and(|reason| reason.ends_with("it has no btf_trace_tcp_retransmit_synack")));
    }
}
