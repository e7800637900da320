//! What the kernel programs tell: records in the ring buffer, and counters beside it.

use std::{
    io,
    mem::offset_of,
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::Ordering,
};

use watcher_abi::Stats;

pub use crate::sys::pod::Record;
use crate::sys::{
    pod,
    ring_buffer::{LONGEST, RingBuffer},
    shared_array::SharedArray,
};

/// Records and counters. Its descriptor is readable when there are records.
#[derive(Debug)]
pub struct Ring {
    records: RingBuffer,
    counters: Counters,
}

impl Ring {
    pub(super) const fn new(records: RingBuffer, counters: Counters) -> Self {
        Self { records, counters }
    }

    /// The oldest record that was not taken yet. One of an unknown kind is passed over.
    ///
    /// # Errors
    /// When records cannot be read any more.
    pub fn take(&mut self) -> io::Result<Option<Record>> {
        let mut bytes = [0; LONGEST];
        while let Some(length) = self.records.take(&mut bytes)? {
            if let Some(record) = bytes.get(..length).and_then(pod::record) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The counters as they stand.
    #[must_use]
    pub fn counters(&self) -> Stats {
        self.counters.read()
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.records.as_fd()
    }
}

/// The page of counters that the kernel programs write.
#[derive(Debug)]
pub struct Counters(SharedArray);

impl Counters {
    pub(super) const fn new(page: SharedArray) -> Self {
        Self(page)
    }

    fn read(&self) -> Stats {
        let at = |offset: usize| self.0.word(offset / size_of::<u64>()).map_or(0, |word| word.load(Ordering::Acquire));
        Stats {
            claimed: at(offset_of!(Stats, claimed)),
            lost: at(offset_of!(Stats, lost)),
            stale: at(offset_of!(Stats, stale)),
            lost_execs: at(offset_of!(Stats, lost_execs)),
            lost_sockets: at(offset_of!(Stats, lost_sockets)),
            interruptible: at(offset_of!(Stats, interruptible)),
        }
    }
}
