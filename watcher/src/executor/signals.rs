//! Signals to processes: by a pidfd that was checked against the start time, so that nobody else gets them.

use std::{
    io,
    thread::sleep,
    time::{Duration, Instant},
};

use watcher_core::{ProcId, Signal};

use super::inspect::{Look, look};
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

/// Sends a signal to the process group that exactly this process leads. Where it does not, or has gone, none is sent: the
/// number of the group may be another's.
///
/// # Errors
/// When it may not be sent.
pub fn send_to_group(leader: ProcId, Signal(number): Signal) -> io::Result<()> {
    // The check comes right before: there are no descriptors of groups.
    match proc::facts(leader.pid)? {
        Some(facts) if facts.proc == leader && facts.group == leader.pid.number() => {
            proc::kill_group(leader.pid, number)
        }
        Some(_) | None => Ok(()),
    }
}

/// Why a process that was to end has not.
#[derive(Debug)]
pub enum NotEnded {
    /// It lives on.
    Alive,
    /// Who has this pid is another process, or that of another user.
    Another,
    /// It may not be asked.
    Refused(io::Error),
}

impl From<io::Error> for NotEnded {
    fn from(error: io::Error) -> Self {
        Self::Refused(error)
    }
}

/// Asks exactly this process, of this user, to end by SIGTERM, and waits until it has gone.
///
/// # Errors
/// When it may not be asked, is another one, or has not gone within this time.
pub fn end(proc: ProcId, user: u32, limit: Duration) -> Result<(), NotEnded> {
    let lives = || proc::facts(proc.pid).map(|facts| facts.is_some_and(|facts| facts.proc == proc));
    let pidfd = pidfd::open(proc.pid).ok();
    // What was opened is the one that is meant if that one is still there now.
    if !lives()? || proc::owner(proc.pid)? != Some(user) {
        return Err(NotEnded::Another);
    }
    let Some(pidfd) = pidfd else {
        send(proc, Signal::TERM)?;
        return wait_by_looking(proc, limit);
    };
    pidfd::send(&pidfd, Signal::TERM.0)?;
    if pidfd::wait(&pidfd, limit)? { Ok(()) } else { Err(NotEnded::Alive) }
}

/// Waits until a process has gone, on a kernel without pidfds. That nobody has taken notice of its end does not matter.
fn wait_by_looking(proc: ProcId, limit: Duration) -> Result<(), NotEnded> {
    /// How often to look.
    const LOOK: Duration = Duration::from_millis(50);
    let end = Instant::now() + limit;
    while !matches!(look(proc), Look::Gone | Look::Zombie(_)) {
        if Instant::now() >= end {
            return Err(NotEnded::Alive);
        }
        sleep(LOOK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use watcher_core::StartTicks;

    use super::*;
    use crate::sys::child::WaitingChild;

    #[test]
    fn a_group_is_met_by_who_leads_it_and_only_so() {
        use std::os::unix::process::CommandExt as _;
        let mut leader = std::process::Command::new("/bin/sh");
        leader.args(["-c", "sleep 1000 & echo $!; wait"]).process_group(0).stdout(std::process::Stdio::piped());
        let mut leader = leader.spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(leader.stdout.take().unwrap()), &mut line).unwrap();
        let of = |number: &str| proc::facts(watcher_core::Pid::new(number.trim().parse().unwrap()).unwrap()).unwrap();
        let member = of(&line).unwrap().proc;
        send_to_group(member, Signal::KILL).unwrap();
        let pidfd = pidfd::open(member.pid).unwrap();
        assert!(!pidfd::has_gone(&pidfd), "it leads none");
        send_to_group(of(&leader.id().to_string()).unwrap().proc, Signal::KILL).unwrap();
        leader.wait().unwrap();
        while !pidfd::has_gone(&pidfd) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_process_is_asked_to_end_and_waited_for_if_it_is_the_one() {
        let own = rustix::process::geteuid().as_raw();
        let child = WaitingChild::fork(0).unwrap();
        let proc = proc::facts(child.pid()).unwrap().unwrap().proc;
        let earlier = ProcId { start: StartTicks(proc.start.0 - 1), ..proc };
        let limit = Duration::from_secs(20);
        assert!(matches!(end(earlier, own, limit), Err(NotEnded::Another)));
        assert!(matches!(end(proc, own + 1, limit), Err(NotEnded::Another)));
        let pidfd = pidfd::open(child.pid()).unwrap();
        assert!(!pidfd::has_gone(&pidfd) && !pidfd::wait(&pidfd, Duration::ZERO).unwrap());
        end(proc, own, limit).unwrap();
        assert!(pidfd::has_gone(&pidfd));
    }

    #[test]
    fn without_pidfds_a_zombie_has_gone_too() {
        let child = WaitingChild::fork(0).unwrap();
        let proc = proc::facts(child.pid()).unwrap().unwrap().proc;
        assert!(matches!(wait_by_looking(proc, Duration::ZERO), Err(NotEnded::Alive)));
        send(proc, Signal::TERM).unwrap();
        wait_by_looking(proc, Duration::from_secs(20)).unwrap();
        drop(child);
        wait_by_looking(proc, Duration::ZERO).unwrap();
    }

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
