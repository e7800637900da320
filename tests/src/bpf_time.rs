//! How long the kernel has run programs of BPF, by its own statistics, while these are switched on.

use std::{
    collections::BTreeSet,
    fs,
    os::fd::{AsFd, FromRawFd as _, OwnedFd, RawFd},
};

use aya::programs::{ProgramFd, loaded_programs};
use watcher::sys::raw_tracepoint::{Runs, runs};

/// Nanoseconds spent, and runs, of a program since it was attached.
pub fn spent(program: impl AsFd) -> (u64, u64) {
    let Runs { count, time_ns } = runs(program);
    (time_ns, count)
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
        self.0.iter().map(|program| spent(program).0).sum()
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
