//! What a program has cost so far, its children included, and how much memory it has.
//!
//! Benches read it before and after a window of time.

use std::{fs, mem};

/// So far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Processor time, nanoseconds.
    pub cpu: u64,
    /// Of it in the kernel and in all, in ticks.
    system: u64,
    ticks: u64,
    /// Voluntary context switches: each is one time that it went to sleep, having been woken.
    pub wake_ups: u64,
}

impl Cost {
    /// Of a process and its descendants.
    pub fn of_family(pid: u32) -> Self {
        Self::of_all(&family(pid))
    }

    /// Of all of these.
    pub fn of_all(pids: &[u32]) -> Self {
        pids.iter().copied().map(Self::of).fold(Self::default(), |all, one| Self {
            cpu: all.cpu + one.cpu,
            system: all.system + one.system,
            ticks: all.ticks + one.ticks,
            wake_ups: all.wake_ups + one.wake_ups,
        })
    }

    /// Of a process, and of its children that have ended.
    pub fn of(pid: u32) -> Self {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return Self::default() };
        let after_name = stat.rsplit(')').next().expect("a name");
        let field = |number: usize| {
            let word = after_name.split_whitespace().nth(number - 3);
            word.and_then(|word| word.parse::<u64>().ok()).expect("a number")
        };
        let ended = field(16) + field(17);
        Self {
            cpu: clock(pid) + ended * NANOSECONDS_A_TICK,
            system: field(15) + field(17),
            ticks: field(14) + field(15) + ended,
            wake_ups: tasks(pid).map(|task| status(&task, "voluntary_ctxt_switches:")).sum(),
        }
    }

    pub const fn since(&self, before: &Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            system: self.system.saturating_sub(before.system),
            ticks: self.ticks.saturating_sub(before.ticks),
            wake_ups: self.wake_ups.saturating_sub(before.wake_ups),
        }
    }

    /// Which share of its time was spent in the kernel, percent.
    pub fn system_share(&self) -> f64 {
        self.system as f64 * 100.0 / (self.ticks as f64).max(1.0)
    }
}

const NANOSECONDS_A_TICK: u64 = 10_000_000;

/// Memory, MiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub rss: f64,
    pub pss: f64,
    pub peak: f64,
}

impl Memory {
    pub fn of(pid: u32) -> Self {
        Self::of_all(&family(pid))
    }

    /// Of all of these.
    pub fn of_all(pids: &[u32]) -> Self {
        let mut memory = Self::default();
        let mib = |file: String, name| field(&file, name) as f64 / 1024.0;
        for pid in pids {
            memory.rss += mib(format!("/proc/{pid}/status"), "VmRSS:");
            memory.pss += mib(format!("/proc/{pid}/smaps_rollup"), "Pss:");
            memory.peak += mib(format!("/proc/{pid}/status"), "VmHWM:");
        }
        memory
    }
}

/// What all processors have done since the start of the host but wait, nanoseconds.
pub fn busy() -> u64 {
    let stat = fs::read_to_string("/proc/stat").expect("/proc");
    let all = stat.lines().next().expect("the line of all processors");
    let words: Vec<u64> = all.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // User, nice, system; interrupts, soft ones, and what was taken by other guests. Not idle, not waiting for a disk.
    words.iter().enumerate().filter(|(at, _)| matches!(at, 0..=2 | 5..=7)).map(|(_, ticks)| ticks).sum::<u64>()
        * NANOSECONDS_A_TICK
}

/// A process and its descendants.
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(pid) = family.get(at).copied() {
        for task in tasks(pid) {
            let children = fs::read_to_string(format!("{task}/children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        }
        at += 1;
    }
    family
}

fn tasks(pid: u32) -> impl Iterator<Item = String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.map(|task| task.path().display().to_string())
}

fn status(folder: &str, name: &str) -> u64 {
    field(&format!("{folder}/status"), name)
}

fn field(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The processor time of a process with all its threads, also those that have ended: exact, unlike ticks.
fn clock(pid: u32) -> u64 {
    // SAFETY: both places are ours, and live as long as the calls.
    unsafe {
        let (mut clock, mut time): (libc::clockid_t, libc::timespec) = mem::zeroed();
        if libc::clock_getcpuclockid(pid as libc::pid_t, &raw mut clock) != 0
            || libc::clock_gettime(clock, &raw mut time) != 0
        {
            return 0;
        }
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}
