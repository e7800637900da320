//! The allocator's spare memory.

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
