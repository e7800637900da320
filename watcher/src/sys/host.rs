//! Facts about the host and about what this process may do on it.

use std::{fs, io, path::Path, sync::OnceLock, thread};

use watcher_abi::NS_PER_TICK;

use super::{clock, proc};

/// Inode of the initial pid namespace, fixed in the kernel (`PROC_PID_INIT_INO`).
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/proc_ns.h#L46>
const INITIAL_PID_NAMESPACE: u32 = 0xEFFF_FFFC;

/// Type information of the running kernel.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Release of the running kernel, as `uname -r` prints it.
#[must_use]
pub fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The name of this boot; none where `/proc` does not tell.
#[must_use]
pub fn boot_id() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

/// Machine type, as `uname -m` prints it.
#[must_use]
pub fn machine() -> String {
    rustix::system::uname().machine().to_string_lossy().into_owned()
}

/// Inode of the pid namespace of this process, unless it is the initial one.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn own_pid_namespace() -> io::Result<Option<u32>> {
    let link = fs::read_link("/proc/self/ns/pid")?;
    let text = link.to_string_lossy();
    let number = text.strip_prefix("pid:[").and_then(|rest| rest.strip_suffix(']'));
    let inode = number.and_then(|number| number.parse().ok()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("/proc/self/ns/pid is not readable as a number: {text}"))
    })?;
    Ok((inode != INITIAL_PID_NAMESPACE).then_some(inode))
}

/// Whether this process is in a user namespace that is not the initial one. (One that maps all users to themselves is not
/// told from it.)
#[must_use]
pub fn in_a_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !maps_all_to_themselves(&map))
}

fn maps_all_to_themselves(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// What the time namespace of this process adds to the kernel's clocks, in nanoseconds; nothing in the initial one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeOffsets {
    /// To `CLOCK_MONOTONIC`.
    pub monotonic_ns: i64,
    /// To `CLOCK_BOOTTIME`.
    pub boottime_ns: i64,
    /// To start times in `/proc`: the same, or nothing before Linux 5.11.
    pub start_ns: i64,
}

impl TimeOffsets {
    /// Those of this process. Kernels without time namespaces (before Linux 5.6) add nothing.
    #[must_use]
    pub fn own() -> Self {
        static OWN: OnceLock<TimeOffsets> = OnceLock::new();
        *OWN.get_or_init(|| {
            let text = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
            let offsets = Self::parse(&text);
            let follow = offsets.boottime_ns == 0 || start_times_follow(offsets.boottime_ns).unwrap_or(true);
            Self { start_ns: if follow { offsets.boottime_ns } else { 0 }, ..offsets }
        })
    }

    fn parse(text: &str) -> Self {
        let of = |clock: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(clock)).unwrap_or_default();
            let mut words = line.split_whitespace().map(|word| word.parse::<i64>().unwrap_or(0));
            let (seconds, nanoseconds) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
            seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
        };
        let boottime_ns = of("boottime");
        Self { monotonic_ns: of("monotonic"), boottime_ns, start_ns: boottime_ns }
    }
}

/// Whether start times in `/proc` are those of this time namespace: a thread that starts now shows it, versions prove nothing.
fn start_times_follow(boottime_ns: i64) -> Option<bool> {
    let start = thread::Builder::new().name("start".to_owned()).spawn(proc::start_of_this_thread).ok()?.join().ok()?;
    Some(is_nearer(start.ok()?.0.saturating_mul(NS_PER_TICK), clock::boottime().0, boottime_ns))
}

/// Whether the start of who has just begun is nearer to now than to now without the offset.
fn is_nearer(start_ns: u64, now_ns: u64, offset_ns: i64) -> bool {
    start_ns.abs_diff(now_ns) <= start_ns.abs_diff(now_ns.saturating_add_signed(offset_ns.saturating_neg()))
}

/// Kernel lockdown mode, where the kernel has one and shows it.
#[must_use]
pub fn lockdown() -> Option<String> {
    let text = fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(mode, _)| mode.to_owned())
}

/// Where tracefs is mounted, if it is.
#[must_use]
pub fn tracefs() -> Option<&'static str> {
    ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .into_iter()
        .find(|folder| Path::new(folder).join("available_events").exists())
}

/// Highest pid that this kernel hands out.
#[must_use]
pub fn pid_max() -> Option<u32> {
    fs::read_to_string("/proc/sys/kernel/pid_max").ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_a_time_namespace_are_read() {
        let offsets = TimeOffsets::parse("monotonic           0         0\nboottime        -7200         500\n");
        let boottime_ns = -7_199_999_999_500;
        assert_eq!(offsets, TimeOffsets { monotonic_ns: 0, boottime_ns, start_ns: boottime_ns });
        assert_eq!(TimeOffsets::parse(""), TimeOffsets::default());
    }

    #[test]
    fn start_times_that_do_not_follow_are_found_out() {
        const HOUR: u64 = 3_600_000_000_000;
        for offset in [HOUR as i64, -(HOUR as i64)] {
            let now = (2 * HOUR).saturating_add_signed(offset);
            assert!(is_nearer(now - 12_000_000, now, offset), "{offset}");
            assert!(!is_nearer(2 * HOUR - 12_000_000, now, offset), "{offset}");
        }
    }
}
