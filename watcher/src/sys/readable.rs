//! Waiting until a descriptor is readable.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

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
