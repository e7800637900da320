//! The shared layouts as plain bytes: what aya takes from us, and what the ring buffer gives.

use watcher_abi::{Config, ExitRecord, Watched};

/// A layout that aya may copy byte by byte into the kernel.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Plain<T>(pub T);

// SAFETY: `repr(C)`, integers only, and no padding, as the assertions on its size in `watcher_abi` show.
unsafe impl aya::Pod for Plain<Config> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<Watched> {}

/// The record in these bytes; `None` when they are not of its size.
#[must_use]
pub fn exit_record(bytes: &[u8]) -> Option<ExitRecord> {
    if bytes.len() != size_of::<ExitRecord>() {
        return None;
    }
    // SAFETY: of the right length, and every bit pattern is an `ExitRecord`, since it holds only integers.
    Some(unsafe { bytes.as_ptr().cast::<ExitRecord>().read_unaligned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_size_is_refused() {
        assert_eq!(exit_record(&[0; 55]), None);
        assert_eq!(exit_record(&[0; 57]), None);
        assert!(exit_record(&[0; 56]).is_some());
    }
}
