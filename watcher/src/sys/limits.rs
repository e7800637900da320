//! Resource limits of this process.

use std::{fs, io, sync::OnceLock};

use rustix::{
    param::page_size,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

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

/// Bytes of memory that [`with_little_memory`] leaves: enough for what is small, and cannot be refused without an end of all.
pub const LITTLE: u64 = 1 << 20;

/// Does something while this process can have only [`LITTLE`] more memory: for what would take much of it, but does without where
/// there is none. Where other threads may want some meanwhile it is done as it is.
pub fn with_little_memory<T>(work: impl FnOnce() -> T) -> T {
    let before = getrlimit(Resource::As);
    let is_alone = fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    let Some(used) = used().filter(|_| is_alone) else { return work() };
    let little = used.saturating_add(LITTLE).min(before.current.unwrap_or(u64::MAX));
    let is_limited = setrlimit(Resource::As, Rlimit { current: Some(little), maximum: before.maximum }).is_ok();
    let done = work();
    if is_limited {
        // Nobody is refused the limit that he had.
        let _as_before = setrlimit(Resource::As, before);
    }
    done
}

/// Bytes of addresses that are in use.
fn used() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split(' ').next()?.parse::<u64>().ok()?.saturating_mul(page_size() as u64))
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

#[cfg(test)]
mod tests {
    use super::*;

    const MUCH: usize = 256 << 20;

    fn is_had(bytes: usize) -> bool {
        Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
    }

    /// Run by the test below, in a process of its own.
    #[test]
    #[ignore = "a part of the next test"]
    fn has_little() {
        // Tests are threads: this one is the only one that there is in its process, but for whoever waits for it.
        assert!(with_little_memory(|| is_had(MUCH)), "another thread may want some");
        // SAFETY: the child only reads and allocates, and leaves without a word to anybody.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let refused = !with_little_memory(|| is_had(MUCH)) && with_little_memory(|| is_had(1000)) && is_had(MUCH);
            // SAFETY: it ends.
            unsafe { libc::_exit(i32::from(!refused)) };
        }
        let pid = rustix::process::Pid::from_raw(child).unwrap();
        let (_, status) = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0));
    }

    #[test]
    fn who_is_alone_gets_little_memory_and_all_of_it_afterwards() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "sys::limits::tests::has_little", "--ignored"]);
        let child = child.stdin(std::process::Stdio::null()).output().unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    }
}
