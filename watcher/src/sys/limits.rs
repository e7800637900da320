//! Resource limits of this process.

use std::{fs, io, sync::OnceLock};

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

/// The limit on locked memory, in bytes (`None`: no limit). Before Linux 5.11 BPF maps and programs count against it.
#[must_use]
pub fn locked_memory() -> Option<u64> {
    getrlimit(Resource::Memlock).current
}

/// An error as a sentence; of a want of descriptors it is said what helps.
#[must_use]
pub fn sentence(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EMFILE) => format!("{error}; more have to be allowed (ulimit -n, or LimitNOFILE= in a unit)"),
        Some(libc::ENFILE) => format!("{error}; the whole host has too many (sysctl fs.file-max)"),
        Some(_) | None => error.to_string(),
    }
}

/// Whether an error tells of a want that may pass, and not of what was to be done.
#[must_use]
pub fn is_want(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

/// Whether so many descriptors more can be had just now.
#[must_use]
pub fn can_open(count: usize) -> bool {
    (0..count).map(|_| fs::File::open("/dev/null")).collect::<io::Result<Vec<_>>>().is_ok()
}

/// How many descriptors are open. Whoever starts a program may leave it some that it knows nothing of.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn open_descriptors() -> io::Result<u64> {
    // One of them is for counting.
    Ok((fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1))
}

/// The limit on descriptors that this process was started with, if it has raised it.
pub(super) fn descriptors_at_start() -> Option<libc::rlimit> {
    AT_START.get().copied()
}
