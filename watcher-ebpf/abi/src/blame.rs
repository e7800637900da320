//! Who or what sent a signal that may have ended a process.

use crate::COMM_LEN;

/// The last signal sent to a watched process that may have ended it. All zeros: there was none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blame {
    /// `CLOCK_MONOTONIC` when it was sent.
    pub stamp_ns: u64,
    /// Its number; 0: there was none.
    pub signal: u32,
    /// One of [`origin`].
    pub origin: u32,
    /// Who sent it, as the daemon's pid namespace numbers processes; 0 where he is not visible there. Only with
    /// [`origin::USER`] and [`origin::OWN`], as are the next and the last member.
    pub sender_pid: u32,
    /// His real user, as the initial user namespace numbers users.
    pub sender_uid: u32,
    /// 1 when the kernel had decided, as it was sent, that the process dies of it; later ones then change nothing.
    pub fatal: u32,
    /// Always 0: no hidden padding.
    pub reserved: u32,
    /// Command name of the sender's thread-group leader; bytes after the first NUL mean nothing.
    pub comm: [u8; COMM_LEN],
}

impl Blame {
    /// No signal was sent.
    pub const NONE: Self = Self {
        stamp_ns: 0,
        signal: 0,
        origin: 0,
        sender_pid: 0,
        sender_uid: 0,
        fatal: 0,
        reserved: 0,
        comm: [0; COMM_LEN],
    };
}

/// Values of [`Blame::origin`].
pub mod origin {
    /// Another process sent it.
    pub const USER: u32 = 1;
    /// The process sent it to itself: `abort`, `raise`.
    pub const OWN: u32 = 2;
    /// The kernel sent it for what the process itself did: a bad address, a broken pipe.
    pub const FAULT: u32 = 3;
    /// The kernel sent it for another reason: a terminal, a timer, the end of a pid namespace.
    pub const KERNEL: u32 = 4;
    /// The kernel sent it since memory ran out.
    pub const OUT_OF_MEMORY: u32 = 5;
}

const _: () = {
    assert!(size_of::<Blame>() == 48);
    assert!(align_of::<Blame>() == 8);
};
