//! Counters that the kernel programs keep and user space reads through a shared page.

/// Counters since the programs were loaded. Each only grows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Deaths that were to be reported, counted before room for the record was asked for.
    pub claimed: u64,
    /// Deaths of watched processes that could not be delivered: the ring buffer was full or the task unreadable.
    pub lost: u64,
    /// Deaths that were held back because another process had reused a watched pid.
    pub stale: u64,
    /// Starts of programs that were waited for and could not be delivered. None of these is a death: no other counter
    /// knows of them.
    pub lost_execs: u64,
    /// Records of sockets that could not be delivered: no deaths either. Each is tried again at the next state change that
    /// still has it to tell.
    pub lost_sockets: u64,
    /// 1 when the kernel may interrupt a program that tells of a death, and skip it for whoever dies meanwhile on that CPU.
    pub interruptible: u64,
}

const _: () = {
    assert!(size_of::<Stats>() == 48);
    assert!(align_of::<Stats>() == 8);
};
