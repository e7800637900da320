//! `/proc/PID`: one process, as text.

use std::{fs, io, io::Read as _, os::unix::fs::MetadataExt as _};

use procfs_core::{FromRead as _, process::Stat};
use watcher_core::{Ending, Pid, ProcId, StartTicks};

/// `task_struct.flags`: the thread has begun to exit. Set before `sched_process_exit` fires.
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched.h#L1659>
const PF_EXITING: u32 = 4;

/// What `/proc/PID/stat` says of a process, by its leading thread.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its identity.
    pub proc: ProcId,
    /// Command name.
    pub comm: String,
    /// Parent.
    pub parent: u32,
    /// Process group.
    pub group: u32,
    /// Session; 0 when it was begun outside this pid namespace.
    pub session: u32,
    /// The leading thread has begun to exit, or has done so. Others may live on.
    pub leader_exiting: bool,
    /// The leading thread is a zombie. Others may live on.
    pub leader_zombie: bool,
    /// How many threads there are, the leading one included. None: it was reaped, or replaced by another of them, while this
    /// was read.
    pub threads: u32,
    /// Wait status of a zombie; 0 also when this user may not know.
    pub wait_status: u32,
}

/// Reads `/proc/PID/stat`; `None` when there is no such process.
///
/// # Errors
/// When `/proc` cannot be read or understood.
pub fn facts(pid: Pid) -> io::Result<Option<Facts>> {
    /// Once is enough, if not one after the other does so.
    const TIMES: usize = 3;
    let mut facts = read_facts(pid)?;
    for _ in 1..TIMES {
        if !facts.as_ref().is_some_and(|facts| facts.leader_zombie && facts.threads == 0) {
            break;
        }
        facts = read_facts(pid)?;
    }
    Ok(facts)
}

fn read_facts(pid: Pid) -> io::Result<Option<Facts>> {
    let mut line = [0; 1024];
    let length = match fs::File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut line)) {
        // The file is there, but the process has been reaped since it was opened.
        Ok(0) => return Ok(None),
        Ok(length) => length,
        Err(error) if no_such_process(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat: {error}"));
    let stat = Stat::from_read(line.get(..length).unwrap_or_default()).map_err(invalid)?;
    Ok(Some(Facts {
        proc: ProcId { pid, start: StartTicks(stat.starttime) },
        comm: stat.comm,
        parent: u32::try_from(stat.ppid).unwrap_or(0),
        group: u32::try_from(stat.pgrp).unwrap_or(0),
        session: u32::try_from(stat.session).unwrap_or(0),
        leader_exiting: stat.flags & PF_EXITING != 0,
        leader_zombie: matches!(stat.state, 'Z' | 'X'),
        threads: u32::try_from(stat.num_threads).unwrap_or(0),
        wait_status: stat.exit_code.and_then(|code| u32::try_from(code).ok()).unwrap_or(0),
    }))
}

/// When this thread began.
///
/// # Errors
/// When `/proc` cannot be read or understood.
pub(super) fn start_of_this_thread() -> io::Result<StartTicks> {
    let stat = Stat::from_read(fs::File::open("/proc/thread-self/stat")?).map_err(io::Error::other)?;
    Ok(StartTicks(stat.starttime))
}

/// The children of a process, the oldest first, but for those that threads of it have made. None where they cannot be read:
/// the kernel may lack `CONFIG_PROC_CHILDREN`.
#[must_use]
pub fn children(pid: Pid) -> Vec<Pid> {
    let pids = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    pids.split_whitespace().filter_map(|pid| Pid::new(pid.parse().ok()?)).collect()
}

/// Ending of a zombie. Who may not know sees 0 in `/proc`, which is then no answer.
#[must_use]
pub fn ending_of_zombie(facts: &Facts, may_know: bool) -> Ending {
    match facts.wait_status {
        0 if !may_know => Ending::Unknown,
        status => Ending::from_wait_status(status),
    }
}

/// The process that a thread belongs to; `None` when there is no thread with this number.
#[must_use]
pub fn process_of_thread(tid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    line.trim().parse().ok().and_then(Pid::new)
}

/// The user that a process runs as; `None` when there is no such process.
///
/// # Errors
/// When that cannot be found out.
pub fn owner(pid: Pid) -> io::Result<Option<u32>> {
    match fs::metadata(format!("/proc/{pid}")) {
        Ok(data) => Ok(Some(data.uid())),
        Err(error) if no_such_process(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The threads of a process that are not its leader, which is a zombie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Followers {
    /// None of them lives.
    Gone,
    /// None is seen that has not begun to exit. (Where all are zombies whoever traces them has not taken notice, and to the
    /// kernel the process has not ended.)
    Leaving,
    /// One of them lives.
    Alive,
}

/// How those of this process stand. A thread that runs another program takes the place of the leader, and with it its number:
/// for a moment none is to be seen, or the old leader in its place, though one lives. Only the number of threads is of the
/// same moment as the zombie.
///
/// # Errors
/// When its threads cannot be looked at.
pub fn followers(&Facts { proc: ProcId { pid, start: _ }, threads, .. }: &Facts) -> io::Result<Followers> {
    if threads == 1 {
        return Ok(Followers::Gone);
    }
    let threads = match fs::read_dir(format!("/proc/{pid}/task")) {
        Ok(threads) => threads,
        Err(error) if no_such_process(&error) => return Ok(Followers::Leaving),
        Err(error) => return Err(error),
    };
    for thread in threads {
        let name = thread?.file_name();
        let tid = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::new);
        let Some(tid) = tid.filter(|tid| *tid != pid) else { continue };
        match facts(tid)? {
            Some(facts) if !facts.leader_exiting => return Ok(Followers::Alive),
            Some(_) | None => {}
        }
    }
    Ok(Followers::Leaving)
}

/// Whether a thread of this process lives that is not its leader.
///
/// # Errors
/// When its threads cannot be looked at.
pub fn has_live_followers(facts: &Facts) -> io::Result<bool> {
    Ok(followers(facts)? != Followers::Gone)
}

/// Whether there is a process with this number, be it hidden in `/proc` or a zombie.
#[must_use]
pub fn exists(pid: Pid) -> bool {
    let raw = i32::try_from(pid.number()).ok().and_then(rustix::process::Pid::from_raw);
    raw.is_some_and(|raw| rustix::process::test_kill_process(raw) != Err(rustix::io::Errno::SRCH))
}

/// Sends a signal to whoever has this number. For kernels without pidfds: others name a process safely.
///
/// # Errors
/// When this user may not. That there is nobody is no error.
pub fn kill(pid: Pid, signal: u8) -> io::Result<()> {
    let signal = rustix::process::Signal::from_named_raw(i32::from(signal));
    let raw = i32::try_from(pid.number()).ok().and_then(rustix::process::Pid::from_raw);
    let (Some(raw), Some(signal)) = (raw, signal) else { return Err(io::ErrorKind::InvalidInput.into()) };
    match rustix::process::kill_process(raw, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Sends a signal to a process group.
///
/// # Errors
/// When this user may not. That there is nobody is no error.
pub fn kill_group(leader: Pid, signal: u8) -> io::Result<()> {
    let signal = rustix::process::Signal::from_named_raw(i32::from(signal));
    let raw = i32::try_from(leader.number()).ok().and_then(rustix::process::Pid::from_raw);
    let (Some(raw), Some(signal)) = (raw, signal) else { return Err(io::ErrorKind::InvalidInput.into()) };
    match rustix::process::kill_process_group(raw, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn no_such_process(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}
