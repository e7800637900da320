//! Process groups of our own children.

use std::{collections::BTreeSet, fs, io};

use procfs_core::{FromRead as _, process::Stat};
use rustix::process::{Pid as RawPid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, waitid, waitpid};
use watcher_core::{Ending, Pid};

use super::{own, proc};

/// A child of this process that leads a process group. As long as it was not reaped, neither its pid nor the number of
/// its group can belong to anybody else, so signals to the group go where they should.
#[derive(Debug)]
pub struct Leader(Pid);

impl Leader {
    /// Takes charge of a child that was started by [`super::spawn::session`].
    #[must_use]
    pub const fn of_session(pid: Pid) -> Self {
        Self(pid)
    }

    /// Its pid.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.0
    }

    /// Asks the whole group to end. What was stopped goes on first, or it would never hear of it.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }

    /// Ends the whole group, now.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Whether the leader itself has ended. It stays a zombie.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match self.raw().map(|pid| waitid(WaitId::Pid(pid), options)) {
            Some(Ok(status)) => status.is_some(),
            // Somebody else has reaped it.
            Some(Err(_)) | None => true,
        }
    }

    /// Takes the leader's ending. Only for one that has ended: this would wait.
    #[must_use]
    pub fn reap(self) -> Ending {
        match waitpid(self.raw(), WaitOptions::empty()) {
            Ok(Some((_, status))) => Ending::from_wait_status(status.as_raw().cast_unsigned()),
            Ok(None) | Err(_) => Ending::Unknown,
        }
    }

    /// Whether others of its group live, as far as `/proc` shows them.
    #[must_use]
    pub fn has_living_members(&self) -> bool {
        members(self.0).is_ok_and(|living| living)
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.raw() {
            // Nobody left in it: what was wanted is so already.
            let _nobody_left = kill_process_group(group, signal);
        }
    }

    fn raw(&self) -> Option<RawPid> {
        i32::try_from(self.0.number()).ok().and_then(RawPid::from_raw)
    }
}

/// Takes leave of children of this process that have ended, but for some: the first process of a pid namespace gets all
/// orphans, and whoever does not take leave of them fills the table of processes.
pub fn reap_orphans(but: &BTreeSet<Pid>) {
    let own = own::pid().number();
    for item in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = item.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::new);
        let Some(pid) = pid.filter(|pid| !but.contains(pid)) else { continue };
        let is_orphan = proc::facts(pid).ok().flatten().is_some_and(|facts| facts.parent == own && facts.leader_zombie);
        if let Some(raw) = i32::try_from(pid.number()).ok().and_then(RawPid::from_raw).filter(|_| is_orphan) {
            // One whose other threads live is left.
            let _reaped = waitpid(Some(raw), WaitOptions::NOHANG);
        }
    }
}

fn members(leader: Pid) -> io::Result<bool> {
    for item in fs::read_dir("/proc")? {
        let pid = item?.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::new);
        let Some(pid) = pid.filter(|pid| *pid != leader) else { continue };
        let stat = fs::read(format!("/proc/{pid}/stat")).ok().and_then(|text| Stat::from_read(text.as_slice()).ok());
        if stat.is_some_and(|stat| u32::try_from(stat.pgrp) == Ok(leader.number()) && !matches!(stat.state, 'Z' | 'X'))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{child::WaitingChild, pidfd};

    /// Run by the test below, in a process of its own: other tests have children, too.
    #[test]
    #[ignore = "a part of the next test"]
    fn has_two_children() {
        let (one, two, three) =
            (WaitingChild::fork(0).unwrap(), WaitingChild::fork(0).unwrap(), WaitingChild::fork(0).unwrap());
        for child in [&one, &two] {
            let pidfd = pidfd::open(child.pid()).unwrap();
            child.release().unwrap();
            while !pidfd::has_gone(&pidfd) {
                std::thread::yield_now();
            }
        }
        reap_orphans(&BTreeSet::from([two.pid()]));
        assert_eq!([&one, &two, &three].map(|child| proc::exists(child.pid())), [false, true, true]);
    }

    #[test]
    fn orphans_that_have_ended_are_reaped_and_nobody_else() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "sys::group::tests::has_two_children", "--ignored"]);
        let child = child.stdin(std::process::Stdio::null()).output().unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    }
}
