//! The set of watched processes, as the kernel programs see it.

use std::sync::atomic::Ordering;

use aya::maps::{HashMap, MapData, MapError};
use watcher_abi::{Blame, Watched, bit_of, word_of};
use watcher_core::{Pid, ProcId};

use crate::sys::{pod::Plain, shared_array::SparseArray};

/// The table and the bitmap in front of it.
#[derive(Debug)]
pub struct Interest {
    table: HashMap<MapData, u32, Plain<Watched>>,
    bits: SparseArray,
}

impl Interest {
    pub(super) const fn new(table: HashMap<MapData, u32, Plain<Watched>>, bits: SparseArray) -> Self {
        Self { table, bits }
    }

    /// Whether the kernel lets this process go on using the table.
    #[must_use]
    pub fn is_open(&self) -> bool {
        // There is no process 0.
        matches!(self.table.get(&0, 0), Err(MapError::KeyNotFound) | Ok(_))
    }

    /// From now on the death of this process is reported. Whether it lived to see that is for the caller to check
    /// afterwards: a death before this moment is not reported.
    ///
    /// # Errors
    /// When the table is full, or there is no memory for the bitmap.
    pub fn watch(&mut self, ProcId { pid, start }: ProcId, generation: u64) -> Result<(), MapError> {
        let watched = Watched { start_ticks: start.0, generation, blame: Blame::NONE, doomed: 0 };
        self.bits.map(word_of(pid.number()) as usize)?;
        self.table.insert(pid.number(), Plain(watched), 0)?;
        self.set_bit(pid, true);
        Ok(())
    }

    /// From now on the death of this process is not reported.
    pub fn unwatch(&mut self, ProcId { pid, start }: ProcId) {
        match self.table.get(&pid.number(), 0) {
            // Somebody else has the pid now, and is watched.
            Ok(Plain(watched)) if watched.start_ticks != start.0 => return,
            Ok(_) => {
                // It may die, and be taken out by the program that reports it, this very moment.
                let _was_there = self.table.remove(&pid.number());
            }
            // Taken out by the program that reported its death.
            Err(_) => {}
        }
        self.set_bit(pid, false);
    }

    /// Whether the kernel programs have still to report the death of this process: whoever reports it takes it out.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn is_unreported(&self, ProcId { pid, start }: ProcId) -> Result<bool, MapError> {
        match self.table.get(&pid.number(), 0) {
            Ok(Plain(watched)) => Ok(watched.start_ticks == start.0),
            Err(MapError::KeyNotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn set_bit(&self, pid: Pid, watched: bool) {
        // A pid beyond the bitmap does not exist on any kernel: see `PID_LIMIT`. Who was never watched has no bit to clear.
        let Some(word) = self.bits.word(word_of(pid.number()) as usize) else { return };
        let bit = bit_of(pid.number());
        if watched {
            word.fetch_or(bit, Ordering::SeqCst);
        } else {
            word.fetch_and(!bit, Ordering::SeqCst);
        }
    }
}
