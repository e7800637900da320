//! Do we care about this process: the only filter.

use watcher_abi::{bit_of, word_of};

use crate::maps::{WATCH, WATCH_BITS};

#[inline(always)]
pub fn bit_is_set(pid: u32) -> bool {
    match WATCH_BITS.get(word_of(pid)) {
        Some(word) => *word & bit_of(pid) != 0,
        None => false,
    }
}

pub enum Claim {
    Ours { generation: u64 },
    NotWatched,
    PidReused,
}

/// Takes the right to report the death of `pid`. Of several callers exactly one gets `Ours`: the removal from the
/// table is atomic, and only who removed the entry may speak.
#[inline(always)]
pub fn claim(pid: u32, start_ticks: u64) -> Claim {
    // SAFETY: the value is only read; user space replaces values, never changes them in place.
    let Some(watched) = (unsafe { WATCH.get(pid) }) else { return Claim::NotWatched };
    let generation = watched.generation;
    if watched.start_ticks != start_ticks {
        return Claim::PidReused;
    }
    match WATCH.remove(pid) {
        Ok(()) => Claim::Ours { generation },
        Err(_) => Claim::NotWatched,
    }
}
