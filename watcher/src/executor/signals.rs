//! Signals to processes: by a pidfd that was checked against the start time, so that nobody else gets them.

use std::io;

use watcher_core::{ProcId, Signal};

use crate::sys::{pidfd, proc};

/// Sends a signal to exactly this process. To one that has gone, none is sent.
///
/// # Errors
/// When it may not be sent.
pub fn send(proc: ProcId, Signal(number): Signal) -> io::Result<()> {
    let is_he = || proc::facts(proc.pid).map(|facts| facts.is_some_and(|facts| facts.proc == proc));
    match pidfd::open(proc.pid) {
        Ok(pidfd) if is_he()? => pidfd::send(&pidfd, number),
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        // No pidfds on this kernel: then the check comes right before, and what may happen in between may happen.
        Err(_) if is_he()? => proc::kill(proc.pid, number),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use watcher_core::StartTicks;

    use super::*;
    use crate::sys::child::WaitingChild;

    #[test]
    fn who_has_reused_the_pid_is_spared() {
        let child = WaitingChild::fork(0).unwrap();
        let proc = proc::facts(child.pid()).unwrap().unwrap().proc;
        let earlier = ProcId { start: StartTicks(proc.start.0 - 1), ..proc };
        send(earlier, Signal::KILL).unwrap();
        let pidfd = pidfd::open(child.pid()).unwrap();
        assert!(!pidfd::has_gone(&pidfd));
        send(proc, Signal::KILL).unwrap();
        while !pidfd::has_gone(&pidfd) {
            std::thread::yield_now();
        }
        send(proc, Signal::KILL).unwrap();
    }
}
