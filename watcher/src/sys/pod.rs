//! The shared layouts as plain bytes: what aya takes from us, and what the ring buffer gives.

use watcher_abi::{Config, ExecRecord, ExitRecord, KIND_EXEC, KIND_EXIT, KIND_SOCKET, PortKey, SocketRecord, Watched};

/// A layout that aya may copy byte by byte into the kernel.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Plain<T>(pub T);

// SAFETY: `repr(C)`, integers only, and no padding, as the assertions on its size in `watcher_abi` show.
unsafe impl aya::Pod for Plain<Config> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<Watched> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<PortKey> {}

/// What the kernel programs tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A process has begun to run a program.
    Exec(ExecRecord),
    /// A process is dying.
    Exit(ExitRecord),
    /// The sockets of a watched port have crossed a threshold.
    Socket(SocketRecord),
}

/// The record in these bytes; `None` when it is of no known kind, or of another size than that kind has.
#[must_use]
pub fn record(bytes: &[u8]) -> Option<Record> {
    let kind = u32::from_ne_bytes(*bytes.first_chunk()?);
    match (kind, bytes.len()) {
        (KIND_EXEC, size) if size == size_of::<ExecRecord>() => {
            // SAFETY: of the right length, and every bit pattern is such a record, since it holds only integers.
            Some(Record::Exec(unsafe { bytes.as_ptr().cast::<ExecRecord>().read_unaligned() }))
        }
        (KIND_EXIT, size) if size == size_of::<ExitRecord>() => {
            // SAFETY: as above.
            Some(Record::Exit(unsafe { bytes.as_ptr().cast::<ExitRecord>().read_unaligned() }))
        }
        (KIND_SOCKET, size) if size == size_of::<SocketRecord>() => {
            // SAFETY: as above.
            Some(Record::Socket(unsafe { bytes.as_ptr().cast::<SocketRecord>().read_unaligned() }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_kind_or_size_is_refused() {
        let bytes = |kind: u32, size: usize| -> Vec<u8> {
            kind.to_ne_bytes().into_iter().chain(std::iter::repeat(0)).take(size).collect()
        };
        for (kind, right) in [
            (KIND_EXIT, size_of::<ExitRecord>()),
            (KIND_EXEC, size_of::<ExecRecord>()),
            (KIND_SOCKET, size_of::<SocketRecord>()),
        ] {
            assert!(record(&bytes(kind, right)).is_some());
            for wrong in [0, 3, 4, right - 1, right + 1] {
                assert_eq!(record(&bytes(kind, wrong)), None);
            }
            assert_eq!(record(&bytes(99, right)), None);
        }
    }
}
