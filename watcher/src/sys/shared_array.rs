//! A BPF array as memory that kernel programs and this process share: reading and writing it takes no system call.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
    ptr::{self, NonNull},
    sync::atomic::AtomicU64,
};

use rustix::{
    mm::{MapFlags, ProtFlags, mmap, munmap},
    param::page_size,
};

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
        Self::map_part(map, 0, count, ProtFlags::READ | ProtFlags::WRITE)
    }

    /// Maps words for reading only, from this byte on, with which a page begins.
    ///
    /// # Errors
    /// When the kernel refuses the mapping.
    pub(super) fn map_to_read(map: impl AsFd, from: usize, count: usize) -> io::Result<Self> {
        Self::map_part(map, from, count, ProtFlags::READ)
    }

    fn map_part(map: impl AsFd, from: usize, count: usize, access: ProtFlags) -> io::Result<Self> {
        let length = count * size_of::<AtomicU64>();
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no existing memory.
        let address = unsafe { mmap(ptr::null_mut(), length, access, MapFlags::SHARED, map, from as u64) }?;
        let words = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { words, count })
    }

    /// One word. Where it was mapped for reading only it must not be written.
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

/// The same for a large array of which few pages are used: only these are mapped. All that is mapped counts as memory of this
/// process.
#[derive(Debug)]
pub struct SparseArray {
    map: OwnedFd,
    count: usize,
    pages: BTreeMap<usize, SharedArray>,
}

impl SparseArray {
    /// Of the first `count` words of the array behind `map`.
    ///
    /// # Errors
    /// When there is no descriptor for it.
    pub fn of(map: impl AsFd, count: usize) -> io::Result<Self> {
        Ok(Self { map: map.as_fd().try_clone_to_owned()?, count, pages: BTreeMap::new() })
    }

    /// Maps the page of a word, unless it is mapped. One beyond the end stays what it is: nothing.
    ///
    /// # Errors
    /// When the kernel refuses the mapping.
    pub fn map(&mut self, index: usize) -> io::Result<()> {
        let (each, page) = (words_of_page(), index / words_of_page());
        if index < self.count && !self.pages.contains_key(&page) {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let mapped = SharedArray::map_part(&self.map, page * page_size(), each, access)?;
            self.pages.insert(page, mapped);
        }
        Ok(())
    }

    /// One word, if its page is mapped.
    #[must_use]
    pub fn word(&self, index: usize) -> Option<&AtomicU64> {
        let each = words_of_page();
        self.pages.get(&(index / each)).filter(|_| index < self.count)?.word(index % each)
    }
}

fn words_of_page() -> usize {
    page_size() / size_of::<AtomicU64>()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::FileExt as _, sync::atomic::Ordering};

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    #[test]
    fn only_pages_that_are_asked_for_are_mapped_and_they_are_those_of_the_array() {
        let file = File::from(memfd_create("array", MemfdFlags::CLOEXEC).unwrap());
        file.set_len(8 * page_size() as u64).unwrap();
        let each = words_of_page();
        let mut array = SparseArray::of(&file, 7 * each + 2).unwrap();
        for index in [3 * each + 5, 7 * each + 1] {
            assert!(array.word(index).is_none());
            array.map(index).unwrap();
            array.word(index).unwrap().store(index as u64, Ordering::SeqCst);
            let mut word = [0; 8];
            file.read_exact_at(&mut word, index as u64 * 8).unwrap();
            assert_eq!(u64::from_ne_bytes(word), index as u64);
        }
        array.map(3 * each).unwrap();
        array.map(9 * each).unwrap();
        assert_eq!(array.pages.keys().copied().collect::<Vec<_>>(), [3, 7]);
        assert!(array.word(7 * each + 2).is_none(), "beyond the end");
    }
}
