//! How long the kernel has run programs of BPF, by its own statistics, while these are switched on.

use std::{
    collections::BTreeSet,
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use aya::programs::{ProgramFd, loaded_programs};

const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;

/// Nanoseconds spent, and runs, of a program since it was attached, by `bpf_prog_info`.
pub fn spent(program: RawFd) -> (u64, u64) {
    // Offsets in `struct bpf_prog_info`, in words.
    const RUN_TIME: usize = 24;
    const RUNS: usize = RUN_TIME + 1;
    let mut info = [0_u64; 29];
    let mut query = [program as u64 | (size_of_val(&info) as u64) << 32, info.as_mut_ptr() as u64];
    let (address, length) = (query.as_mut_ptr(), size_of_val(&query));
    // SAFETY: the attributes live through the call, and what they point to does.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, address, length) };
    assert_ne!(answer, -1, "the kernel tells of its programs: {}", io::Error::last_os_error());
    (info[RUN_TIME], info[RUNS])
}

/// Whether the link with this number is there: as long as somebody holds it.
pub fn is_linked(number: u32) -> bool {
    const BPF_LINK_GET_FD_BY_ID: i32 = 30;
    let query = [number, 0, 0];
    // SAFETY: the attributes live through the call; the descriptor is new.
    let found = unsafe { libc::syscall(libc::SYS_bpf, BPF_LINK_GET_FD_BY_ID, query.as_ptr(), size_of_val(&query)) };
    let is_there = found != -1;
    if is_there {
        // SAFETY: nobody else knows it.
        drop(unsafe { OwnedFd::from_raw_fd(found as RawFd) });
    }
    is_there
}

/// Programs that some processes hold, or whose links they hold. Holding them here does not keep them attached.
pub struct Programs(Vec<ProgramFd>);

impl Programs {
    /// Those that these processes hold now.
    pub fn held_by(pids: &[u32]) -> Self {
        let mut held = BTreeSet::new();
        for pid in pids {
            let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
            held.extend(descriptors.filter_map(|it| program_of(&fs::read_to_string(it.path()).ok()?)));
        }
        let ours = loaded_programs().flatten().filter(|program| held.contains(&program.id()));
        // One that is gone meanwhile is nobody's who goes on.
        Self(ours.filter_map(|program| program.fd().ok()).collect())
    }

    /// Nanoseconds that all of them have run so far, while statistics were switched on.
    pub fn spent(&self) -> u64 {
        self.0.iter().map(|program| spent(program.as_fd().as_raw_fd()).0).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The number of the program behind a descriptor, as `fdinfo` of programs and of links says it.
fn program_of(fdinfo: &str) -> Option<u32> {
    fdinfo.lines().find_map(|line| line.strip_prefix("prog_id:"))?.trim().parse().ok()
}
