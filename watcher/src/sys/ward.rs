//! A child of this process that is waited for, and may be bound to it.

use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

use rustix::process::{Pid as RawPid, WaitId, WaitIdOptions, WaitOptions, waitid, waitpid};
use watcher_core::{Ending, Pid, Signal};

use super::{limits, own, proc};

/// A child. As long as it was not reaped its pid belongs to nobody else, so signals go where they should.
#[derive(Debug)]
pub struct Ward(Pid);

impl Ward {
    /// Starts a command, with nothing on standard input, and the limit on descriptors that this process was started with.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        Self::start_after(command, || Ok(()))
    }

    /// The same, and the child is asked to end (SIGTERM) when the calling thread ends, however that comes.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_bound(command: &mut Command) -> io::Result<Self> {
        let parent = own::pid();
        Self::start_after(command, move || {
            // SAFETY: system calls on plain numbers.
            let (bound, by) = unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM), libc::getppid()) };
            if bound != 0 {
                return Err(io::Error::last_os_error());
            }
            // Its parent may have ended just before: then nobody will send that signal.
            if u32::try_from(by) == Ok(parent.number()) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        })
    }

    fn start_after(
        command: &mut Command,
        prepare: impl Fn() -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let descriptors = limits::descriptors_at_start();
        let prepare = move || {
            if let Some(limit) = descriptors {
                // SAFETY: the kernel reads one limit, which is there. Where it may not be lowered it stays high.
                let _lowered = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
            }
            prepare()
        };
        // SAFETY: the closure makes system calls only, and errors of these kinds allocate nothing.
        let command = unsafe { command.pre_exec(prepare) };
        let child = command.stdin(Stdio::null()).spawn()?;
        // The child is neither ended nor reaped by letting go of this value.
        Pid::new(child.id()).map(Self).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Its pid.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.0
    }

    /// Whether it has ended. It stays a zombie.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match self.raw().map(|pid| waitid(WaitId::Pid(pid), options)) {
            Some(Ok(status)) => status.is_some(),
            // Somebody else has reaped it.
            Some(Err(_)) | None => true,
        }
    }

    /// Takes its ending. Only for one that has ended: this would wait.
    #[must_use]
    pub fn reap(self) -> Ending {
        match waitpid(self.raw(), WaitOptions::empty()) {
            Ok(Some((_, status))) => Ending::from_wait_status(status.as_raw().cast_unsigned()),
            Ok(None) | Err(_) => Ending::Unknown,
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When this user may not.
    pub fn signal(&self, Signal(signal): Signal) -> io::Result<()> {
        proc::kill(self.0, signal)
    }

    fn raw(&self) -> Option<RawPid> {
        i32::try_from(self.0.number()).ok().and_then(RawPid::from_raw)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::process::ExitStatusExt as _, time::Duration};

    use super::*;
    use crate::sys::pidfd;

    fn until_ended(ward: &Ward) {
        while !ward.has_ended() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_ward_tells_how_it_ended_and_can_be_signalled_until_then() {
        let ward = Ward::start(Command::new("/bin/sh").args(["-c", "exit 4"])).unwrap();
        until_ended(&ward);
        assert!(proc::exists(ward.pid()), "it is not reaped");
        ward.signal(Signal(libc::SIGTERM as u8)).unwrap();
        assert_eq!(ward.reap(), Ending::Exited { code: 4 });

        let ward = Ward::start_bound(Command::new("/bin/sleep").arg("1000")).unwrap();
        assert!(!ward.has_ended());
        ward.signal(Signal(libc::SIGTERM as u8)).unwrap();
        until_ended(&ward);
        assert_eq!(ward.reap(), Ending::Killed { signal: Signal(libc::SIGTERM as u8), core_dumped: false });
        assert!(Ward::start(&mut Command::new("/nonexistent")).is_err());
    }

    /// Run by the test below, in a process of its own, which is killed.
    #[test]
    #[ignore = "a part of the next test"]
    fn has_a_ward_and_dies() {
        let ward = Ward::start_bound(Command::new("/bin/sleep").arg("1000")).unwrap();
        fs::write(std::env::var_os("WARD").unwrap(), ward.pid().to_string()).unwrap();
        // SAFETY: it ends this process.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }

    #[test]
    fn a_bound_ward_is_asked_to_end_when_its_guardian_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("pid");
        let mut guardian = Command::new(std::env::current_exe().unwrap());
        guardian.args(["--exact", "sys::ward::tests::has_a_ward_and_dies", "--ignored", "--test-threads=1"]);
        guardian.env("WARD", &told).stdin(Stdio::null()).stdout(Stdio::null());
        assert_eq!(guardian.status().unwrap().signal(), Some(libc::SIGKILL));
        let pid = fs::read_to_string(told).unwrap().parse().ok().and_then(Pid::new).unwrap();
        // It may have gone by now.
        if let Ok(pidfd) = pidfd::open(pid) {
            assert!(pidfd::wait(&pidfd, Duration::from_secs(60)).unwrap(), "the ward lives");
        }
    }
}
