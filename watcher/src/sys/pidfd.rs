//! Pidfds: descriptors that name one process for good.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    ioctl::{Updater, ioctl, opcode},
    process::{PidfdFlags, pidfd_open, pidfd_send_signal},
};
use watcher_core::{Ending, Pid};

use super::readable;

/// Opens a pidfd for the process (not the thread) with this number.
///
/// # Errors
/// `ESRCH`: no such process. `EINVAL`, since Linux 6.15 `ENOENT`: the number of a thread. `ENOSYS`: Linux before 5.3.
pub fn open(pid: Pid) -> io::Result<OwnedFd> {
    let raw = i32::try_from(pid.number()).ok().and_then(rustix::process::Pid::from_raw);
    Ok(pidfd_open(raw.ok_or(rustix::io::Errno::SRCH)?, PidfdFlags::empty())?)
}

/// Whether the whole process has gone: every thread, zombie or not.
#[must_use]
pub fn has_gone(pidfd: &impl AsFd) -> bool {
    let mut polled = [PollFd::new(pidfd, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut polled, Some(&at_once)), Ok(1))
}

/// Waits until the whole process has gone; says whether it has, within this time.
///
/// # Errors
/// When it cannot be waited for.
pub fn wait(pidfd: &impl AsFd, limit: Duration) -> io::Result<bool> {
    readable::wait(pidfd, limit)
}

/// Sends a signal to exactly the process that it was opened for.
///
/// # Errors
/// When this user may not. That the process has gone is no error.
pub fn send(pidfd: &impl AsFd, signal: u8) -> io::Result<()> {
    let signal = rustix::process::Signal::from_named_raw(i32::from(signal)).ok_or(io::ErrorKind::InvalidInput)?;
    match pidfd_send_signal(pidfd, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// `struct pidfd_info` as of Linux 6.15; the kernel fills in what it knows of it.
/// <https://github.com/torvalds/linux/blob/v6.15/include/uapi/linux/pidfd.h#L75>
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    ids: [u32; 11],
    exit_code: u32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;

const PIDFD_GET_INFO: rustix::ioctl::Opcode = opcode::read_write::<PidfdInfo>(0xFF, 11);

/// How a process ended whose parent has already been told: Linux 6.15 and later keep the answer for its pidfds.
#[must_use]
pub fn ending_after_reap(pidfd: &impl AsFd) -> Ending {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: opcode and type belong together, and the kernel writes at most the size that the opcode carries.
    let answered = unsafe { ioctl(pidfd, Updater::<{ PIDFD_GET_INFO }, PidfdInfo>::new(&mut info)) };
    match answered {
        Ok(()) if info.mask & PIDFD_INFO_EXIT != 0 => Ending::from_wait_status(info.exit_code),
        Ok(()) | Err(_) => Ending::Unknown,
    }
}
