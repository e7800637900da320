//! Do we care about this process: the only filter.

use watcher_abi::{Blame, COMM_LEN, Watched, bit_of, word_of};

use crate::maps::{WAITED_FOR, WATCH, WATCH_BITS};

#[inline(always)]
pub fn bit_is_set(pid: u32) -> bool {
    match WATCH_BITS.get(word_of(pid)) {
        Some(word) => *word & bit_of(pid) != 0,
        None => false,
    }
}

pub enum Claim {
    Ours { generation: u64, blame: Blame },
    NotWatched,
    PidReused,
}

/// Takes the right to report the death of `pid`. Of several callers exactly one gets `Ours`: the removal from the
/// table is atomic, and only who removed the entry may speak.
#[inline(always)]
pub fn claim(pid: u32, start_ticks: u64) -> Claim {
    // SAFETY: the value is only read; user space replaces values, never changes them in place, and the blame is not
    // written any more when the whole process is dying.
    let Some(watched) = (unsafe { WATCH.get(pid) }) else { return Claim::NotWatched };
    // Copied before the removal: afterwards the room may be another entry's.
    let Watched { generation, blame, .. } = *watched;
    if watched.start_ticks != start_ticks {
        return Claim::PidReused;
    }
    match WATCH.remove(pid) {
        Ok(()) => Claim::Ours { generation, blame },
        Err(_) => Claim::NotWatched,
    }
}

/// Where to write whom to blame for the end of a watched process; `None` when this process is not watched, but at most
/// another one that had the pid before.
///
/// The room stays valid to write to: at worst it becomes another entry's in this very moment, whose blame is then wrong
/// until the next signal. Nothing but that blame is ever written.
#[inline(always)]
pub fn blame_of(pid: u32, start_ticks: u64) -> Option<*mut Blame> {
    let watched = WATCH.get_ptr_mut(pid)?;
    // SAFETY: a value of the map, which stays readable while the program runs.
    unsafe {
        if (*watched).start_ticks != start_ticks {
            return None;
        }
        Some(&raw mut (*watched).blame)
    }
}

/// As [`blame_of`], for whoever has nothing but a pid.
#[inline(always)]
pub fn blame_of_pid(pid: u32) -> Option<*mut Blame> {
    let watched = WATCH.get_ptr_mut(pid)?;
    // SAFETY: a value of the map, which stays readable while the program runs.
    Some(unsafe { &raw mut (*watched).blame })
}

/// Whether somebody waits for a program of this name.
#[inline(always)]
pub fn is_waited_for(comm: &[u8; COMM_LEN]) -> bool {
    WAITED_FOR.get_ptr(comm).is_some()
}
