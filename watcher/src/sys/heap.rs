//! The allocator's spare memory.

/// Gives freed memory back to the kernel. Loading BPF needs some 20 MB for a moment; the daemon lives on without it.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim has no precondition.
    unsafe {
        libc::malloc_trim(0);
    }
}
