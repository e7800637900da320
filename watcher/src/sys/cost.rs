//! What this process has cost so far. Read when somebody asks.

use std::fs;

use watcher_core::Span;

/// What it has cost since it began, all of its threads together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Processor time for its own instructions.
    pub user: Span,
    /// Processor time of the kernel for it.
    pub system: Span,
    /// How often it went to sleep by itself: each is one time that it was woken.
    pub wake_ups: u64,
    /// Memory that it has in use now, in bytes; `None` where `/proc` does not tell.
    pub rss: Option<u64>,
}

/// What this process has cost.
#[must_use]
pub fn own() -> Cost {
    // SAFETY: every bit pattern is a valid `rusage`; the kernel writes nothing else.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        // It cannot fail: the first argument is one that the kernel knows, and the second one is ours.
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let span = |time: libc::timeval| {
        let (seconds, micros) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec));
        Span(seconds.unwrap_or(0) * 1_000_000_000 + micros.unwrap_or(0) * 1_000)
    };
    Cost {
        user: span(usage.ru_utime),
        system: span(usage.ru_stime),
        wake_ups: u64::try_from(usage.ru_nvcsw).unwrap_or(0),
        rss: rss(),
    }
}

fn rss() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    // SAFETY: no memory is involved.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages.saturating_mul(u64::try_from(page).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_costs_grows_and_is_of_this_process() {
        let before = own();
        let memory = vec![1_u8; 64 << 20];
        // Sleeping costs a wake-up, and filling memory costs memory and time.
        std::thread::sleep(std::time::Duration::from_millis(1));
        let after = own();
        assert!(after.wake_ups > before.wake_ups, "{before:?} {after:?}");
        assert!(after.rss.unwrap() >= before.rss.unwrap() + (32 << 20), "{before:?} {after:?}");
        assert!(after.user >= before.user && after.system >= before.system, "{before:?} {after:?}");
        assert!(after.user.0 + after.system.0 > 0 && memory.iter().all(|byte| *byte == 1));
    }
}
