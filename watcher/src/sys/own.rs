//! This process.

use std::{fs, io};

use watcher_core::Pid;

use super::proc;

/// Its pid.
///
/// # Panics
/// Never: a process always has a pid.
#[must_use]
pub fn pid() -> Pid {
    #[expect(clippy::expect_used, reason = "the kernel gives every process a pid above 0")]
    Pid::new(std::process::id()).expect("a process has a pid")
}

/// Its pid as `/proc` numbers it: that of the pid namespace for which it was mounted. `None`: it is not to be seen there.
///
/// # Errors
/// When the link cannot be read.
pub fn pid_by_proc() -> io::Result<Option<Pid>> {
    match fs::read_link("/proc/self") {
        Ok(link) => Ok(link.to_str().and_then(|number| number.parse().ok()).and_then(Pid::new)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether `/proc` hides processes of other users from this one, as it does when it is mounted with `hidepid`. Process 1 is
/// always there, and is looked for.
#[must_use]
pub fn is_kept_from_others() -> bool {
    let is_shown = || pid_by_proc().is_ok_and(|shown| shown.is_some());
    Pid::new(1).is_some_and(|init| match proc::facts(init) {
        Ok(Some(_)) => false,
        Ok(None) => is_shown() && proc::exists(init),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    })
}
