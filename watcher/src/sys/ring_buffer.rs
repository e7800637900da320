//! A BPF ring buffer, read through a window of some pages. It is as large as the deaths of all watched processes, the kernel shows
//! it twice in a row, and all that is mapped counts as memory of this process.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicU64, Ordering, fence},
};

use rustix::param::page_size;

use super::shared_array::SharedArray;

/// Before each record: how long it is, with these bits, and where it lies.
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/bpf/ringbuf.c#L85>
const HEADER: usize = 8;
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;

/// Longer records are none of ours.
pub const LONGEST: usize = 120;

/// As much is mapped at a time: more than a hundred deaths.
const WINDOW: usize = 16 * 1024;

/// The reader of a ring buffer: there may be only one.
#[derive(Debug)]
pub struct RingBuffer {
    map: OwnedFd,
    /// Bytes of the ring: a power of two.
    size: usize,
    /// Up to here records were taken: ours to write.
    consumer: SharedArray,
    /// Up to here there are records.
    producer: SharedArray,
    taken: u64,
    /// The kernel may not have seen yet what was taken, and then wakes nobody.
    is_fresh: bool,
    window: Window,
}

/// The part of the ring that is mapped.
#[derive(Debug)]
struct Window {
    from: usize,
    words: SharedArray,
}

impl Window {
    /// The kernel shows the position of the reader in the first page, that of the writer in the second, and then the ring, twice:
    /// so a window may lie across its end.
    fn open(map: impl AsFd, size: usize, from: usize) -> io::Result<Self> {
        // A record may begin at the end of a page, also of the last one.
        let length = WINDOW.max(2 * page_size()).min((2 * size).saturating_sub(from));
        Ok(Self { from, words: SharedArray::map_to_read(map, 2 * page_size() + from, length / size_of::<u64>())? })
    }

    /// The word at this byte of the ring, if it is mapped.
    fn word(&self, at: usize) -> Option<&AtomicU64> {
        self.words.word(at.checked_sub(self.from)? / size_of::<u64>())
    }
}

impl RingBuffer {
    /// Of a map of so many bytes.
    ///
    /// # Errors
    /// When the kernel refuses a mapping.
    pub fn of(map: impl AsFd, size: usize) -> io::Result<Self> {
        let map = map.as_fd().try_clone_to_owned()?;
        let (consumer, producer) = (SharedArray::map(&map, 1)?, SharedArray::map_to_read(&map, page_size(), 1)?);
        let taken = consumer.word(0).map_or(0, |word| word.load(Ordering::Acquire));
        let window = Window::open(&map, size, 0)?;
        Ok(Self { map, size, consumer, producer, taken, is_fresh: false, window })
    }

    /// Takes the oldest record: its bytes go to the beginning of these. How many there are; none of a record that is too long,
    /// or was given up by its writer.
    ///
    /// # Errors
    /// When the next part cannot be mapped: nothing was taken.
    pub fn take(&mut self, bytes: &mut [u8; LONGEST]) -> io::Result<Option<usize>> {
        loop {
            let produced = self.producer.word(0).map_or(self.taken, |word| word.load(Ordering::Acquire));
            let header = if produced == self.taken { BUSY } else { self.header()? };
            if header & BUSY != 0 {
                // Either we see the record now, or its writer sees what was taken, and wakes us.
                if !std::mem::take(&mut self.is_fresh) {
                    return Ok(None);
                }
                fence(Ordering::SeqCst);
                continue;
            }
            let length = (header & !DISCARDED) as usize;
            let is_ours = header & DISCARDED == 0 && length <= LONGEST;
            if is_ours {
                self.copy(length, bytes);
            }
            self.taken += (HEADER + length).next_multiple_of(HEADER) as u64;
            if let Some(word) = self.consumer.word(0) {
                word.store(self.taken, Ordering::Release);
            }
            self.is_fresh = true;
            return Ok(Some(if is_ours { length } else { 0 }));
        }
    }

    fn at(&self) -> usize {
        // What is above the size of the ring counts how often it was gone round.
        (self.taken & (self.size as u64).saturating_sub(1)) as usize
    }

    /// That of the oldest record, once all of the record is mapped.
    fn header(&mut self) -> io::Result<u32> {
        let at = self.at();
        if self.window.word(at).is_none() || self.window.word(at + HEADER + LONGEST).is_none() {
            self.window = Window::open(&self.map, self.size, at & !(page_size() - 1))?;
        }
        // Written last, and by an exchange.
        let word = self.window.word(at).map_or(0, |word| word.load(Ordering::Acquire));
        let [length @ .., _, _, _, _] = word.to_ne_bytes();
        Ok(u32::from_ne_bytes(length))
    }

    fn copy(&self, length: usize, bytes: &mut [u8; LONGEST]) {
        let from = self.at() + HEADER;
        for (index, some) in bytes.chunks_exact_mut(size_of::<u64>()).enumerate() {
            let at = index * size_of::<u64>();
            if at < length
                && let Some(word) = self.window.word(from + at)
            {
                some.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
            }
        }
    }
}

impl AsFd for RingBuffer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::FileExt as _};

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    /// Memory that is laid out as the kernel shows its rings.
    struct Written {
        file: File,
        size: usize,
        produced: u64,
    }

    impl Written {
        fn new(size: usize) -> (Self, RingBuffer) {
            let file = File::from(memfd_create("ring", MemfdFlags::CLOEXEC).unwrap());
            file.set_len((2 * page_size() + 2 * size) as u64).unwrap();
            let ring = RingBuffer::of(&file, size).unwrap();
            (Self { file, size, produced: 0 }, ring)
        }

        fn put(&self, at: usize, bytes: &[u8]) {
            let first = bytes.len().min(self.size - at);
            for ring in [2 * page_size(), 2 * page_size() + self.size] {
                self.file.write_all_at(&bytes[..first], (ring + at) as u64).unwrap();
                self.file.write_all_at(&bytes[first..], ring as u64).unwrap();
            }
        }

        /// A record, all of whose bytes are the same. Where it begins.
        fn record(&mut self, length: u32, flags: u32, byte: u8) -> usize {
            let at = self.produced as usize % self.size;
            let mut bytes = (length | flags).to_ne_bytes().to_vec();
            bytes.resize(HEADER, 0);
            bytes.resize((HEADER + length as usize).next_multiple_of(8), byte);
            self.put(at, &bytes);
            self.produced += bytes.len() as u64;
            self.file.write_all_at(&self.produced.to_ne_bytes(), page_size() as u64).unwrap();
            at
        }

        fn taken(&self) -> u64 {
            let mut position = [0; 8];
            self.file.read_exact_at(&mut position, 0).unwrap();
            u64::from_ne_bytes(position)
        }
    }

    #[test]
    fn records_come_in_order_and_whole_however_often_the_ring_is_gone_round() {
        // The smallest that there can be, and one that is larger than what is mapped of it.
        for size in [page_size(), 65_536.max(2 * page_size())] {
            go_round(size);
        }
    }

    fn go_round(size: usize) {
        let (mut written, mut ring) = Written::new(size);
        let mut bytes = [0; LONGEST];
        for number in 0..3_000_u32 {
            assert_eq!(ring.take(&mut bytes).unwrap(), None);
            let length = [96, 40, 48][number as usize % 3];
            let two = [number as u8, !number as u8];
            for byte in two {
                written.record(length, 0, byte);
            }
            for byte in two {
                assert_eq!(ring.take(&mut bytes).unwrap(), Some(length as usize), "{number}");
                assert!(bytes[..length as usize].iter().all(|one| *one == byte), "{number}: {bytes:?}");
            }
            assert_eq!(written.taken(), written.produced);
        }
        assert!(written.produced > 4 * written.size as u64);
    }

    #[test]
    fn what_is_being_written_is_waited_for_and_what_is_not_ours_is_passed_over() {
        let (mut written, mut ring) = Written::new(65_536.max(page_size()));
        let mut bytes = [0; LONGEST];
        let at = written.record(40, BUSY, 7);
        assert_eq!((ring.take(&mut bytes).unwrap(), written.taken()), (None, 0));
        written.put(at, &40_u32.to_ne_bytes());
        assert_eq!((ring.take(&mut bytes).unwrap(), bytes[39]), (Some(40), 7));
        written.record(40, DISCARDED, 1);
        written.record(30_000, 0, 2);
        written.record(48, 0, 3);
        let taken: Vec<_> = std::iter::from_fn(|| ring.take(&mut bytes).unwrap()).collect();
        assert_eq!((&taken[..], bytes[47]), (&[0, 0, 48][..], 3));
        assert_eq!(written.taken(), written.produced);
    }
}
