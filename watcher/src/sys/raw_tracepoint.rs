//! Attaches a loaded program to a raw tracepoint, for as long as a descriptor is held; and what the kernel says of it.
//!
//! aya attaches programs too, but only through the value that owns all of them.

use std::{
    ffi::CStr,
    fs, io,
    os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/bpf.h#L932>
const BPF_RAW_TRACEPOINT_OPEN: libc::c_long = 17;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;

/// What is said of a program, `struct bpf_prog_info`, in words up to the last one that is wanted: `run_time_ns` and `run_cnt`
/// (Linux 5.1), `recursion_misses` (Linux 5.12):
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/bpf.h#L6593>
const INFO_WORDS: usize = 27;

/// What the command takes, as of Linux 4.17; newer kernels take zeros for what came later.
#[repr(C)]
struct Attributes {
    name: u64,
    program: u32,
    padding: u32,
}

/// What the other one takes.
#[repr(C)]
struct InfoAttributes {
    program: u32,
    length: u32,
    info: u64,
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

/// How often a program ran while the kernel counted that, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// How often.
    pub count: u64,
    /// For how many nanoseconds.
    pub time_ns: u64,
}

/// How often the program ran. Nothing where the kernel does not tell.
pub fn runs(program: impl AsFd) -> Runs {
    let [.., time_ns, count, _] = info(program);
    Runs { count, time_ns }
}

/// Whether the kernel counts now how often programs run. That costs each run some 20 ns, so hosts leave it off.
#[must_use]
pub fn runs_are_counted() -> bool {
    fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").is_ok_and(|enabled| enabled.trim() == "1")
}

/// How often the program could not run because it ran already on that processor, when an interrupt came. 0 where the kernel does
/// not tell.
pub fn missed(program: impl AsFd) -> u64 {
    let [.., missed] = info(program);
    missed
}

/// What the kernel says of a program. What it does not tell is 0.
fn info(program: impl AsFd) -> [u64; INFO_WORDS] {
    let mut info = [0_u64; INFO_WORDS];
    let Ok(program) = u32::try_from(program.as_fd().as_raw_fd()) else { return info };
    let attributes = InfoAttributes { program, length: size_of_val(&info) as u32, info: info.as_mut_ptr() as u64 };
    // SAFETY: the kernel writes no more than the length says, into memory that lives through the call.
    let answer = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &raw const attributes, size_of::<InfoAttributes>())
    };
    if answer == 0 { info } else { [0; INFO_WORDS] }
}
