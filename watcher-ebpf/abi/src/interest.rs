//! Who is watched, as the kernel programs see it: a bit a pid, then one table entry a watched process.

use crate::Blame;

/// Largest pid that Linux hands out, plus one (`PID_MAX_LIMIT` on 64-bit kernels).
pub const PID_LIMIT: u32 = 4 * 1024 * 1024;

/// Words of the bitmap that holds one bit for every possible pid.
pub const BITMAP_WORDS: u32 = PID_LIMIT / u64::BITS;

/// Word of the bitmap that holds the bit of `pid`; beyond [`BITMAP_WORDS`] for a number that is no pid.
#[must_use]
#[inline]
pub const fn word_of(pid: u32) -> u32 {
    pid / u64::BITS
}

/// The bit of `pid` within its word.
#[must_use]
#[inline]
pub const fn bit_of(pid: u32) -> u64 {
    1 << (pid % u64::BITS)
}

/// Value of the table of watched processes, keyed by pid.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Start time of the watched process in ticks; a process of another start time has reused the pid.
    pub start_ticks: u64,
    /// Generation of the rules that asked for it; comes back in the record.
    pub generation: u64,
    /// The last signal that may have ended it. Kernel programs fill it in, and it goes when the entry goes: the next owner
    /// of the pid is never charged with it.
    pub blame: Blame,
}

const _: () = {
    assert!(size_of::<Watched>() == 64);
    assert!(align_of::<Watched>() == 8);
    assert!(BITMAP_WORDS == 65_536);
};
