//! A BPF array as memory that kernel programs and this process share: reading and writing it takes no system call.

use std::{
    io,
    os::fd::AsFd,
    ptr::{self, NonNull},
    sync::atomic::AtomicU64,
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The 64-bit words of a BPF array that was made mappable.
#[derive(Debug)]
pub struct SharedArray {
    words: NonNull<AtomicU64>,
    count: usize,
}

impl SharedArray {
    /// Maps the first `count` words of the array behind `map`.
    ///
    /// # Errors
    /// When the kernel refuses the mapping.
    pub fn map(map: impl AsFd, count: usize) -> io::Result<Self> {
        let length = count * size_of::<AtomicU64>();
        let (readable, shared) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no existing memory.
        let address = unsafe { mmap(ptr::null_mut(), length, readable, shared, map, 0) }?;
        let words = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { words, count })
    }

    /// One word.
    #[must_use]
    pub fn word(&self, index: usize) -> Option<&AtomicU64> {
        if index >= self.count {
            return None;
        }
        // SAFETY: inside the mapping, which is page-aligned and lives as long as `self`; others only access it atomically.
        Some(unsafe { self.words.add(index).as_ref() })
    }
}

impl Drop for SharedArray {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `map` mapped; no reference into it outlives `self`. A failure would leak pages.
        let _unmapped = unsafe { munmap(self.words.as_ptr().cast(), self.count * size_of::<AtomicU64>()) };
    }
}
