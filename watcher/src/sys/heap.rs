//! Memory that is not needed any more.

use std::{
    ffi::{c_int, c_void},
    ptr, slice,
};

use rustix::{
    mm::{Advice, madvise},
    param::page_size,
};

/// Gives freed memory back to the kernel. Loading BPF needs some 20 MB for a moment; the daemon lives on without it.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim has no precondition.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// What the allocator may keep of what was freed, and from how much on it asks the kernel each time. glibc raises both by itself
/// to the largest that was ever freed, such as the kernel's type information, and then keeps twice as much.
#[cfg(target_env = "gnu")]
const SPARE: c_int = 256 * 1024;

/// One pool of memory for all threads. Those that look at something aside need it for a moment and one after the other; with
/// a pool each, what they have freed would stay with us for good.
pub fn share() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt has no precondition; this is called before there are other threads.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, SPARE);
        libc::mallopt(libc::M_MMAP_THRESHOLD, SPARE);
    }
}

/// Lets go of code and constants that only the start has taken, of this program and of its libraries: they count as long as they
/// are mapped. What is needed again the kernel maps again, without a look at the file, as long as there is memory for it.
pub fn let_go_of_code() {
    // SAFETY: the function takes what it is given here, and nothing else.
    unsafe {
        libc::dl_iterate_phdr(Some(let_go_of_one), ptr::null_mut());
    }
}

/// # Safety
/// Only for `dl_iterate_phdr`, which gives headers of what is loaded.
unsafe extern "C" fn let_go_of_one(info: *mut libc::dl_phdr_info, _size: usize, _data: *mut c_void) -> c_int {
    // SAFETY: as the caller gives it: a list that is as long as it says.
    let (base, headers) = unsafe {
        let info = &*info;
        if info.dlpi_phdr.is_null() {
            return 0;
        }
        (info.dlpi_addr, slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)))
    };
    let whole = page_size() as u64;
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0) {
        // What the kernel brings along may be made for the end of all addresses, and its base takes it from there.
        let first = base.wrapping_add(header.p_vaddr);
        let begin = first.checked_next_multiple_of(whole);
        let end = first.checked_add(header.p_memsz).map(|end| end / whole * whole);
        if let (Some(begin), Some(end)) = (begin, end)
            && begin < end
        {
            // SAFETY: whole pages of a segment that is never written, so they come back as they are in the file. A refusal
            // leaves them where they are.
            let _refused = unsafe {
                madvise(ptr::with_exposed_provenance_mut(begin as usize), (end - begin) as usize, Advice::LinuxDontNeed)
            };
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What is mapped of files, in KiB.
    fn of_files() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Run by the test below, in a process of its own: others would map code meanwhile.
    #[test]
    #[ignore = "a part of the next test"]
    fn lets_go() {
        let words: Vec<_> = (0..100).map(|number| format!("{number:>5}")).collect();
        let before = of_files();
        let_go_of_code();
        let after = of_files();
        assert!(after + 512 < before, "{before} KiB before, {after} KiB after");
        assert_eq!(words.concat().len(), 500);
    }

    #[test]
    fn code_that_is_let_go_of_is_not_mapped_and_works_all_the_same() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "sys::heap::tests::lets_go", "--ignored"]);
        let child = child.stdin(std::process::Stdio::null()).output().unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    }
}
