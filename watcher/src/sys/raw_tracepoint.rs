//! Attaches a loaded program to a raw tracepoint, for as long as a descriptor is held.
//!
//! aya attaches programs too, but only through the value that owns all of them.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/bpf.h#L932>
const BPF_RAW_TRACEPOINT_OPEN: libc::c_long = 17;

/// What the command takes, as of Linux 4.17; newer kernels take zeros for what came later.
#[repr(C)]
struct Attributes {
    name: u64,
    program: u32,
    padding: u32,
}

/// Attaches the program. It is detached when the descriptor is closed.
///
/// # Errors
/// When the kernel has no such tracepoint, or does not let this program be attached to it.
pub fn attach(program: impl AsFd, tracepoint: &CStr) -> io::Result<OwnedFd> {
    let program = u32::try_from(program.as_fd().as_raw_fd()).map_err(|_negative| io::ErrorKind::InvalidInput)?;
    let attributes = Attributes { name: tracepoint.as_ptr() as u64, program, padding: 0 };
    // SAFETY: the attributes, and the name that they point to, live through the call; the kernel only reads them.
    let answer = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &raw const attributes, size_of::<Attributes>())
    };
    match i32::try_from(answer) {
        // SAFETY: a descriptor that the kernel has just made for us.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        Ok(_) | Err(_) => Err(io::Error::last_os_error()),
    }
}
