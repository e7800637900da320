//! Children that this process waits for: a pcheck, or the command that reboots the host.

use std::{ffi::OsStr, io, process::Command};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::sys::{signals, ward::Ward};

/// Tells of the ends of children.
#[derive(Debug)]
pub struct Ends(Signal);

impl Ends {
    /// # Errors
    /// When the signal that tells of them cannot be listened to.
    pub fn listen() -> io::Result<Self> {
        signals::unblock_all();
        Ok(Self(signal(SignalKind::child())?))
    }

    /// Waits until this child has ended. It is not reaped.
    pub async fn of(&mut self, ward: &Ward) {
        while !ward.has_ended() {
            self.0.recv().await;
        }
    }
}

/// This program once more, with these words. It does not outlive the calling thread.
///
/// # Errors
/// When it does not start.
pub fn same_program<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> io::Result<Ward> {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(std::env::current_exe()?);
    // Whatever the file is called. And the watchdog of systemd may be fed by it, although it is not the first process.
    command.arg0("watcher").args(words).env_remove("WATCHDOG_PID");
    Ward::start_bound(&mut command)
}

/// A command as it is typed. It outlives this process.
///
/// # Errors
/// When it does not start.
pub fn shell(command: &OsStr) -> io::Result<Ward> {
    Ward::start(Command::new("/bin/sh").arg("-c").arg(command))
}

#[cfg(test)]
mod tests {
    use watcher_core::Ending;

    use super::*;

    #[tokio::test]
    async fn the_end_of_a_command_is_told_whether_it_came_before_or_comes_later() {
        let mut ends = Ends::listen().unwrap();
        for (command, code) in [("exit 3", 3), ("read nothing; exit 5", 5), ("sleep 0.2; exit 7", 7)] {
            let ward = shell(command.as_ref()).unwrap();
            ends.of(&ward).await;
            assert_eq!(ward.reap(), Ending::Exited { code });
        }
    }
}
