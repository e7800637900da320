//! Records in the ring buffer. Each begins with its kind.

use crate::{Blame, PortKey};

/// [`ExitRecord::kind`].
pub const KIND_EXIT: u32 = 1;

/// [`ExecRecord::kind`].
pub const KIND_EXEC: u32 = 2;

/// [`SocketRecord::kind`].
pub const KIND_SOCKET: u32 = 3;

/// Length of a command name with its closing NUL (`TASK_COMM_LEN`).
pub const COMM_LEN: usize = 16;

/// The last thread of a watched process has begun to exit.
///
/// *Dying*, not *gone*: memory, files and sockets are still held when the record is written.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitRecord {
    /// [`KIND_EXIT`].
    pub kind: u32,
    /// Pid, as the daemon's pid namespace numbers it.
    pub pid: u32,
    /// `CLOCK_MONOTONIC` when the record was written.
    pub stamp_ns: u64,
    /// Start time of the process, `CLOCK_BOOTTIME`.
    pub start_ns: u64,
    /// Generation of the rules that asked for the process.
    pub generation: u64,
    /// What `waitpid` will say: `code << 8`, or signal number plus 0x80 when a core was dumped.
    pub wait_status: u32,
    /// Thread that went last, as the initial pid namespace numbers it.
    pub last_tid: u32,
    /// Command name of the thread-group leader; bytes after the first NUL mean nothing.
    pub comm: [u8; COMM_LEN],
    /// The last signal that may have ended it.
    pub blame: Blame,
}

/// A process has begun to run a program of a name that is waited for.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecRecord {
    /// [`KIND_EXEC`].
    pub kind: u32,
    /// Pid, as the daemon's pid namespace numbers it.
    pub pid: u32,
    /// `CLOCK_MONOTONIC` when the record was written.
    pub stamp_ns: u64,
    /// Start time of the process, `CLOCK_BOOTTIME`.
    pub start_ns: u64,
    /// Its new command name, zeros after the first NUL.
    pub comm: [u8; COMM_LEN],
}

/// Something about the sockets of a watched port, or of a watched network namespace, has crossed a threshold.
///
/// It tells a level, not an edge: the same may be told twice in a row.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRecord {
    /// [`KIND_SOCKET`].
    pub kind: u32,
    /// What: one of [`alarm`](crate::alarm).
    pub alarm: u32,
    /// Where.
    pub key: PortKey,
    /// `CLOCK_MONOTONIC` when the record was written.
    pub stamp_ns: u64,
    /// What was found.
    pub value: u64,
    /// What it was measured by.
    pub limit: u64,
    /// 1 when the alarm is raised, 0 when it is cleared.
    pub raised: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = {
    assert!(size_of::<ExitRecord>() == 96);
    assert!(align_of::<ExitRecord>() == 8);
    assert!(size_of::<ExecRecord>() == 40);
    assert!(align_of::<ExecRecord>() == 8);
    assert!(size_of::<SocketRecord>() == 48);
    assert!(align_of::<SocketRecord>() == 8);
};
