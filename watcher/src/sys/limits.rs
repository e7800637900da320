//! Resource limits of this process.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit on descriptors before it was raised: what is started by us gets it back. Programs that use `select`, or
/// close every descriptor that there could be, rely on a low one.
static AT_START: OnceLock<libc::rlimit> = OnceLock::new();

/// Raises the limit on open descriptors as far as it goes without privileges, and returns it (`None`: no limit).
pub fn raise_descriptors() -> Option<u64> {
    let before = getrlimit(Resource::Nofile);
    let Rlimit { current, maximum } = before;
    let number = |limit: Option<u64>| limit.unwrap_or(libc::RLIM_INFINITY);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => {
            let _first = AT_START.get_or_init(|| libc::rlimit { rlim_cur: number(current), rlim_max: number(maximum) });
            maximum
        }
        Err(_) => current,
    }
}

/// The limit on open descriptors as it is now (`None`: no limit).
#[must_use]
pub fn descriptors() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// The limit on descriptors that this process was started with, if it has raised it.
pub(super) fn descriptors_at_start() -> Option<libc::rlimit> {
    AT_START.get().copied()
}

/// Whether there is a limit on memory that is locked.
#[must_use]
pub fn is_locked_memory_limited() -> bool {
    getrlimit(Resource::Memlock).current.is_some()
}
