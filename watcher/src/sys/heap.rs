//! The allocator's spare memory.

/// All threads share two heaps. Else each of the many that look and write for us for a moment gets one of its own, and each of
/// these keeps what the largest task took that ever ran there: with a dump of 4 MB that came to 240 MB.
pub fn share() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only sets a number of the allocator.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Gives freed memory back to the kernel. Loading BPF needs some 20 MB for a moment; the daemon lives on without it.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim has no precondition.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// One pool of memory for all threads. Those that look at something aside need it for a moment and one after the other; with
/// a pool each, what they have freed would stay with us for good.
pub fn share() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt has no precondition; this is called before there are other threads.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
