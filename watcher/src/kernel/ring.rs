//! What the kernel programs tell: records in the ring buffer, and counters beside it.

use std::{
    fmt,
    mem::offset_of,
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::Ordering,
};

use aya::maps::{MapData, RingBuf};
use watcher_abi::Stats;

pub use crate::sys::pod::Record;
use crate::sys::{pod, shared_array::SharedArray};

/// Records and counters. Its descriptor is readable when there are records.
pub struct Ring {
    records: RingBuf<MapData>,
    counters: Counters,
}

impl Ring {
    pub(super) const fn new(records: RingBuf<MapData>, counters: Counters) -> Self {
        Self { records, counters }
    }

    /// The oldest record that was not taken yet. One of an unknown kind is passed over.
    pub fn take(&mut self) -> Option<Record> {
        while let Some(bytes) = self.records.next() {
            if let Some(record) = pod::record(&bytes) {
                return Some(record);
            }
        }
        None
    }

    /// The counters as they stand.
    #[must_use]
    pub fn counters(&self) -> Stats {
        self.counters.read()
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("counters", &self.counters()).finish_non_exhaustive()
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
