//! Standard error, as a place that may be closed, or that nobody reads: a full pipe must stop nobody.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, Mode, OFlags, fstat, open},
    io::{Errno, write},
};

use super::outlet::{NotNow, Sink};

#[derive(Debug)]
pub(super) struct Stderr {
    /// None when it is closed: lines go nowhere then.
    descriptor: Option<OwnedFd>,
    left: Vec<u8>,
}

impl Stderr {
    pub(super) fn of_this_process() -> Self {
        let shared = io::stderr().as_fd().try_clone_to_owned().ok();
        Self { descriptor: shared.map(|shared| never_blocking(&shared).unwrap_or(shared)), left: Vec::new() }
    }

    #[cfg(test)]
    pub(super) fn at(descriptor: impl Into<OwnedFd>) -> Self {
        Self { descriptor: Some(descriptor.into()), left: Vec::new() }
    }
}

/// What is shared with whoever started us cannot be made non-blocking, but pipes and terminals can be opened once more:
/// a terminal that nobody reads takes a part of a line, and blocks for the rest.
fn never_blocking(shared: &OwnedFd) -> Option<OwnedFd> {
    let kind = FileType::from_raw_mode(fstat(shared).ok()?.st_mode);
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = || open(format!("/proc/self/fd/{}", shared.as_raw_fd()), flags, Mode::empty()).ok();
    if matches!(kind, FileType::Fifo | FileType::CharacterDevice) { open() } else { None }
}

impl Sink for Stderr {
    fn send(&mut self, line: &[u8]) -> Result<(), NotNow> {
        self.go_on()?;
        self.left = line.to_vec();
        match self.go_on() {
            Err(NotNow::Full) if self.left.len() == line.len() => {
                self.left.clear();
                Err(NotNow::Full)
            }
            // What was taken in part will be gone on with.
            Ok(()) | Err(NotNow::Full | NotNow::Absent(_)) => Ok(()),
        }
    }

    fn go_on(&mut self) -> Result<(), NotNow> {
        let Some(descriptor) = &self.descriptor else {
            self.left.clear();
            return Ok(());
        };
        while !self.left.is_empty() {
            // Where it blocks (see above): what is writable takes a page without blocking, and a line is shorter.
            let mut polled = [PollFd::new(descriptor, PollFlags::OUT)];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            if matches!(poll(&mut polled, Some(&at_once)), Ok(0) | Err(_)) {
                return Err(NotNow::Full);
            }
            match write(descriptor.as_fd(), &self.left) {
                Ok(written) => drop(self.left.drain(..written)),
                Err(Errno::AGAIN | Errno::INTR) => return Err(NotNow::Full),
                // Nobody will ever read it, or the disk is full: nobody could be told.
                Err(_) => self.left.clear(),
            }
        }
        Ok(())
    }

    fn is_at_it(&self) -> bool {
        !self.left.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::io::pipe;

    use rustix::fs::fcntl_getfl;

    use super::*;

    #[test]
    fn what_is_shared_stays_as_it_is_and_what_is_ours_never_blocks() {
        let (_said, shared) = pipe().unwrap();
        let shared = shared.into();
        let ours = never_blocking(&shared).unwrap();
        assert!(fcntl_getfl(&ours).unwrap().contains(OFlags::NONBLOCK));
        assert!(!fcntl_getfl(&shared).unwrap().contains(OFlags::NONBLOCK));
        let file = tempfile::tempfile().unwrap().into();
        assert!(never_blocking(&file).is_none(), "who writes to it by turns must share the place, too");
    }
}
