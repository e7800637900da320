//! The floor: a program on the same tracepoint that does nothing. What the kernel's statistics say of it is the price
//! of being measured.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use watcher_tests::bpf_time::spent;

const BPF_PROG_LOAD: i32 = 5;
const BPF_RAW_TRACEPOINT_OPEN: i32 = 17;
const BPF_PROG_TYPE_RAW_TRACEPOINT: u32 = 17;

/// `r0 = 0; exit`
const EMPTY: [u64; 2] = [0xb7, 0x95];

/// The empty program, attached.
pub(crate) struct Floor {
    program: OwnedFd,
    _link: OwnedFd,
}

impl Floor {
    pub(crate) fn attach(tracepoint: &std::ffi::CStr) -> Self {
        let licence = c"GPL";
        let mut load = [0_u64; 6];
        load[0] = u64::from(BPF_PROG_TYPE_RAW_TRACEPOINT) | (EMPTY.len() as u64) << 32;
        load[1] = EMPTY.as_ptr() as u64;
        load[2] = licence.as_ptr() as u64;
        let program = bpf(BPF_PROG_LOAD, &mut load).expect("the empty program loads");
        let mut open = [tracepoint.as_ptr() as u64, program.as_raw_fd() as u64];
        let link = bpf(BPF_RAW_TRACEPOINT_OPEN, &mut open).expect("the empty program attaches");
        Self { program, _link: link }
    }

    /// Nanoseconds spent, and runs, since it was attached.
    pub(crate) fn spent(&self) -> (u64, u64) {
        spent(&self.program)
    }
}

fn bpf<const N: usize>(command: i32, attributes: &mut [u64; N]) -> io::Result<OwnedFd> {
    // SAFETY: these commands return a descriptor that nobody else has.
    bpf_int(command, attributes).map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn bpf_int<const N: usize>(command: i32, attributes: &mut [u64; N]) -> io::Result<i32> {
    let (address, length) = (attributes.as_mut_ptr(), size_of_val(attributes));
    // SAFETY: the attributes live through the call, and what they point to does.
    match unsafe { libc::syscall(libc::SYS_bpf, command, address, length) } {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer as i32),
    }
}
