//! A child that does nothing but end when told to: what the self-test of the kernel programs sacrifices.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::{Signal, WaitOptions, kill_process, waitpid},
};
use watcher_core::Pid;

use super::own;

/// The child's whole life. It must not outlive its parent, however that ends: it holds copies of all its descriptors.
///
/// # Safety
/// Only for a process that was just forked.
unsafe fn wait_and_exit(wait: &OwnedFd, release: &OwnedFd, parent: Pid, code: u8) -> ! {
    let mut byte = 0_u8;
    // SAFETY: system calls on plain numbers, and one byte into one byte; `_exit` does not return.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::close(release.as_raw_fd());
        if u32::try_from(libc::getppid()) == Ok(parent.number()) {
            libc::read(wait.as_raw_fd(), (&raw mut byte).cast(), 1);
        }
        libc::_exit(i32::from(code))
    }
}

/// A forked child, waiting. It is ended and reaped at the latest when this is dropped.
#[derive(Debug)]
pub struct WaitingChild {
    pid: Pid,
    release: OwnedFd,
}

impl WaitingChild {
    /// Forks a child that will exit with `code` once it is released.
    ///
    /// # Errors
    /// When no process or pipe can be made.
    pub fn fork(code: u8) -> io::Result<Self> {
        let (wait, release) = pipe_with(PipeFlags::CLOEXEC)?;
        let parent = own::pid();
        // SAFETY: the child makes system calls only, which is safe after a fork at any moment.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: this is that child; it has no other thread.
            0 => unsafe { wait_and_exit(&wait, &release, parent, code) },
            child => {
                let pid = u32::try_from(child).ok().and_then(Pid::new).ok_or(io::ErrorKind::InvalidData)?;
                Ok(Self { pid, release })
            }
        }
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Kills it. It stays a zombie until this value is dropped.
    ///
    /// # Errors
    /// When the child is not there any more.
    pub fn kill(&self) -> io::Result<()> {
        // Its pid cannot be another's: it is not reaped before this value is dropped.
        let raw = i32::try_from(self.pid.number()).ok().and_then(rustix::process::Pid::from_raw);
        Ok(kill_process(raw.ok_or(rustix::io::Errno::SRCH)?, Signal::KILL)?)
    }

    /// Lets it exit. It stays a zombie until this value is dropped.
    ///
    /// # Errors
    /// When the child is not there any more.
    pub fn release(&self) -> io::Result<()> {
        rustix::io::write(&self.release, &[0])?;
        Ok(())
    }
}

impl Drop for WaitingChild {
    fn drop(&mut self) {
        // It may have been released before; a second byte does no harm, and a child that is gone needs none.
        let _released = self.release();
        let raw = i32::try_from(self.pid.number()).ok().and_then(rustix::process::Pid::from_raw);
        // Interrupted, it would be left a zombie.
        while matches!(waitpid(raw, WaitOptions::empty()), Err(rustix::io::Errno::INTR)) {}
    }
}
