//! One process: who it is, and whether it lives.

use std::io;

use thiserror::Error;
use watcher_core::{Ending, Pid, ProcId};

use crate::sys::{
    capabilities, own, pidfd, proc,
    proc::{Facts, Followers},
};

/// Why a number given by somebody does not name a process that can be watched.
#[derive(Debug, Error)]
pub enum NotWatchable {
    /// There is none.
    #[error("there is no process {pid}")]
    NoSuchProcess {
        /// The number.
        pid: Pid,
    },
    /// It is this process.
    #[error("process {pid} is this watcher itself")]
    Own {
        /// The number.
        pid: Pid,
    },
    /// There is one, but this user may not see it.
    #[error("process {pid} exists, but /proc does not show it to this user (it may be mounted with hidepid)")]
    Hidden {
        /// The number.
        pid: Pid,
    },
    /// It is dead already.
    #[error("process {pid} ({comm}) is dead already: a zombie that its parent {parent} has not reaped")]
    Zombie {
        /// The number.
        pid: Pid,
        /// Its name.
        comm: String,
        /// Who has to reap it.
        parent: u32,
    },
    /// It is a thread.
    #[error("{tid} is not a process but a thread of process {pid}; watch that instead")]
    Thread {
        /// The number.
        tid: Pid,
        /// The process that it belongs to.
        pid: Pid,
    },
    /// `/proc` cannot be read.
    #[error("process {pid} cannot be looked at: {error}")]
    Unreadable {
        /// The number.
        pid: Pid,
        /// Why.
        error: io::Error,
    },
}

/// The living process with this number.
///
/// # Errors
/// When there is none, or it is a thread, or dead already.
pub fn identify(pid: Pid) -> Result<Facts, NotWatchable> {
    if pid == own::pid() {
        return Err(NotWatchable::Own { pid });
    }
    let facts = match proc::facts(pid) {
        Ok(Some(facts)) => facts,
        Ok(None) if proc::exists(pid) => return Err(NotWatchable::Hidden { pid }),
        Ok(None) => return Err(NotWatchable::NoSuchProcess { pid }),
        Err(error) => return Err(NotWatchable::Unreadable { pid, error }),
    };
    // `/proc/TID/stat` can be read like that of a process; a pidfd cannot be opened for a thread.
    if pidfd::open(pid).is_err() {
        match proc::process_of_thread(pid) {
            Some(process) if process != pid => return Err(NotWatchable::Thread { tid: pid, pid: process }),
            Some(_) => {}
            None => return Err(NotWatchable::NoSuchProcess { pid }),
        }
    }
    let unreadable = |error| NotWatchable::Unreadable { pid, error };
    if facts.leader_zombie && !proc::has_live_followers(&facts).map_err(unreadable)? {
        return Err(NotWatchable::Zombie { pid, comm: facts.comm, parent: facts.parent });
    }
    Ok(facts)
}

/// How a process that is being watched stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It lives.
    Alive,
    /// Its leading thread has begun to exit, and no other is known to live on.
    Dying,
    /// Its leading thread has ended, but others live: that may be so for long.
    Leaderless,
    /// It has gone.
    Gone,
    /// It has gone, but its parent has not taken notice.
    Zombie(Ending),
    /// It is there, but cannot be seen. It counts as alive: a death is never concluded from a failure to look.
    Unseen,
}

/// Looks at one process.
#[must_use]
pub fn look(watched: ProcId) -> Look {
    try_to_look(watched).unwrap_or(Look::Unseen)
}

/// The same.
///
/// # Errors
/// Why it cannot be seen.
pub fn try_to_look(watched: ProcId) -> io::Result<Look> {
    match proc::facts(watched.pid)? {
        Some(facts) if facts.proc != watched => Ok(Look::Gone),
        Some(facts) if facts.leader_exiting => look_closer(&facts),
        Some(_) => Ok(Look::Alive),
        None if !proc::exists(watched.pid) => Ok(Look::Gone),
        None => Err(io::Error::other("/proc does not show it any more")),
    }
}

/// The leader has begun to exit, or has done so: what about the others?
fn look_closer(facts: &Facts) -> io::Result<Look> {
    if !facts.leader_zombie {
        return Ok(Look::Dying);
    }
    Ok(match proc::followers(facts)? {
        Followers::Gone => Look::Zombie(ending_of_zombie(facts)),
        Followers::Leaving => Look::Dying,
        Followers::Alive => Look::Leaderless,
    })
}

/// The wait status in `/proc` is for root, or whoever may trace the process; others see 0.
pub(super) fn ending_of_zombie(facts: &Facts) -> Ending {
    let privileged = capabilities::effective().contains(rustix::thread::CapabilitySet::SYS_PTRACE);
    proc::ending_of_zombie(facts, privileged)
}
