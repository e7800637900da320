//! All processes, as far as `/proc` shows them to this user. What goes while it is read is left out.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt as _,
    sync::atomic::{AtomicU32, Ordering},
};

use watcher_core::{
    Pid,
    pfile::{Bytes, select::Process},
};

use super::{
    own,
    proc::{self, Facts},
};

/// Every process but kernel threads.
///
/// # Errors
/// When `/proc` cannot be read, or a part of it for want of descriptors or memory: who cannot be looked at is not gone.
pub fn processes() -> io::Result<Vec<Process>> {
    processes_but(&BTreeSet::new(), &AtomicU32::new(0))
}

/// The same without some, and telling all the time which one is being looked at: the kernel holds up whoever reads the
/// command line of a process whose memory is locked, for as long as that takes.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn processes_but(shunned: &BTreeSet<Pid>, looking_at: &AtomicU32) -> io::Result<Vec<Process>> {
    let own_exe = exe(own::pid());
    let mut processes = Vec::new();
    for item in fs::read_dir("/proc")? {
        let pid = item?.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::new);
        let Some(pid) = pid.filter(|pid| !shunned.contains(pid)) else { continue };
        looking_at.store(pid.number(), Ordering::Relaxed);
        processes.extend(process(pid, own_exe.as_ref())?);
    }
    Ok(processes)
}

/// The words of a process's command line; none for a kernel thread or a zombie.
#[must_use]
pub fn command_line(pid: Pid) -> Option<Vec<Vec<u8>>> {
    words(pid).ok()
}

fn words(pid: Pid) -> io::Result<Vec<Vec<u8>>> {
    let text = fs::read(format!("/proc/{pid}/cmdline"))?;
    let text = text.strip_suffix(b"\0").unwrap_or(&text);
    Ok(text.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
}

/// The program that a process runs, where this user may know it, also after its file was replaced.
#[must_use]
pub fn exe(pid: Pid) -> Option<Bytes> {
    exe_link(pid).ok()
}

fn exe_link(pid: Pid) -> io::Result<Bytes> {
    let link = OsString::from(fs::read_link(format!("/proc/{pid}/exe"))?).into_vec();
    Ok(link.strip_suffix(b" (deleted)").unwrap_or(&link).into())
}

/// What has gone, or is not for this user to see, is left out. That nobody can be looked at just now is another matter.
fn seen<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(seen) => Ok(Some(seen)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => Err(error),
        Err(_) => Ok(None),
    }
}

fn process(pid: Pid, own_exe: Option<&Bytes>) -> io::Result<Option<Process>> {
    let Some(facts) = seen(proc::facts(pid))?.flatten() else { return Ok(None) };
    let Some(mut words) = seen(words(pid))? else { return Ok(None) };
    let link = exe_link(pid);
    let exe = link.as_ref().ok().cloned();
    let zombie = facts.leader_zombie && seen(proc::has_live_followers(&facts))? == Some(false);
    let Facts { proc, comm, parent, group, leader_zombie, .. } = facts;
    // A process that sets its own title may leave NULs at the end of it.
    while words.last().is_some_and(Vec::is_empty) {
        words.pop();
    }
    let name = match words.first() {
        Some(first) => first.as_slice().into(),
        // A kernel thread runs no program, be it that this user may know so or not.
        None if exe.is_none() && !leader_zombie => return Ok(None),
        None => comm.as_str().into(),
    };
    let watcher = pid == own::pid() || (exe.is_some() && exe.as_ref() == own_exe);
    let exe_hidden = link.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    let command_line = words.join(&b' ').as_slice().into();
    let (parent, group) = (Pid::new(parent), Pid::new(group));
    Ok(Some(Process { proc, parent, group, name, command_line, exe, exe_hidden, zombie, watcher }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run by the test below, in a process of its own: descriptors are those of the process.
    #[test]
    #[ignore = "a part of the next test"]
    fn has_one_descriptor_left() {
        let mut open: Vec<_> = std::iter::repeat_with(|| fs::File::open("/dev/null")).map_while(Result::ok).collect();
        drop(open.pop());
        assert_eq!(processes().unwrap_err().raw_os_error(), Some(libc::EMFILE));
        drop(open);
        assert!(processes().is_ok());
    }

    #[test]
    fn who_cannot_be_looked_at_for_want_of_descriptors_is_not_left_out() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "sys::proc_table::tests::has_one_descriptor_left", "--ignored"]);
        let child = child.stdin(std::process::Stdio::null()).output().unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    }

    #[test]
    fn this_process_is_among_them() {
        let all = processes().unwrap();
        let own = all.iter().find(|process| process.proc.pid == own::pid()).unwrap();
        assert!(own.watcher && !own.zombie);
        assert_eq!(own.exe, exe(own::pid()));
        assert_eq!(own.name.as_slice(), std::env::args_os().next().unwrap().into_vec());
    }
}
