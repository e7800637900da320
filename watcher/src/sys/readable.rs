//! Waiting until a descriptor is readable.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{Interest, unix::AsyncFd};

/// The readability of whatever a descriptor stands for.
#[derive(Debug)]
pub struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    /// Watches what `descriptor` stands for, by a duplicate of it.
    ///
    /// # Errors
    /// When it cannot be duplicated or watched.
    pub fn of(descriptor: impl AsFd) -> io::Result<Self> {
        let duplicate = descriptor.as_fd().try_clone_to_owned()?;
        // SAFETY: an `OwnedFd` that nobody else has stays open, and the same, for as long as the `AsyncFd` owns it.
        Ok(Self(unsafe { AsyncFd::register_with_interest(duplicate, Interest::READABLE) }?))
    }

    /// Waits for the next time that it becomes readable. Whatever there is to read must then be read to the end.
    ///
    /// # Errors
    /// When it cannot be watched any more.
    pub async fn next(&self) -> io::Result<()> {
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}

/// Waits for so long at most, outside the loop of events; says whether there is something to be read. Signals that come
/// meanwhile are no news.
///
/// # Errors
/// When it cannot be waited for.
pub fn wait(descriptor: &impl AsFd, limit: Duration) -> io::Result<bool> {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            polled => return Ok(polled? > 0),
        }
    }
}
