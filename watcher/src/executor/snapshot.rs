//! What can still be seen of a process that is dying, or dead.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::CStr,
    io::{self, Read as _},
    os::fd::{AsRawFd as _, OwnedFd},
};

use rustix::{
    fs::{Dir, Mode, OFlags, getxattr, openat, readlinkat},
    thread::CapabilitySet,
};
use serde::Serialize;
use watcher_core::{ProcId, Span};

use crate::sys::{capabilities, clock, proc};

/// So many descriptors are looked at.
const DESCRIPTORS: usize = 4096;

/// So much is read of each file, and of each table of sockets: the kernel makes no more of it than is read.
const TEXT: u64 = 16 * 1024;
const TABLE: u64 = 512 * 1024;

/// A process as it was. A part that could not be had is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// Its pid.
    pub pid: u32,
    /// When it was started, in ticks of 1/100 s since boot.
    pub start_ticks: u64,
    /// When it was looked at, in seconds since 1970.
    pub unix_time: f64,
    /// Its command line.
    pub cmdline: Option<String>,
    /// `/proc/PID/status`
    pub status: Option<String>,
    /// `/proc/PID/limits`
    pub limits: Option<String>,
    /// `/proc/PID/cgroup`
    pub cgroup: Option<String>,
    /// `/proc/PID/oom_score`
    pub oom_score: Option<i64>,
    /// The function of the kernel in which it waits.
    pub wchan: Option<String>,
    /// How it got there; for root only.
    pub stack: Option<String>,
    /// Open descriptors, by kind.
    pub descriptors: Option<Descriptors>,
    /// Its TCP sockets, by state.
    pub tcp: Option<BTreeMap<&'static str, u32>>,
}

/// Open descriptors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Descriptors {
    /// How many of each kind: `anon` (epoll and its likes), `device`, `file`, `pipe`, `socket`.
    pub kinds: BTreeMap<&'static str, u32>,
    /// There are more, which were not looked at.
    pub more: bool,
}

impl Snapshot {
    /// Looks at a process; `None` when it has gone for good. A process that hangs in the kernel may hold up whoever reads
    /// its command line: not for the thread that runs everything else.
    #[must_use]
    pub fn take(proc: ProcId) -> Option<Self> {
        // Whatever is opened by way of this folder is that of the process which had the number when it was opened, or not
        // to be had at all; only now the start time tells whether it is the right one.
        let folder = open(rustix::fs::CWD, &format!("/proc/{}", proc.pid), OFlags::DIRECTORY).ok()?;
        if proc::facts(proc.pid).ok()??.proc != proc {
            return None;
        }
        let text = |name| text(&folder, name, TEXT).ok();
        let trimmed = |name| Some(text(name)?.trim_end().to_owned()).filter(|text| !text.is_empty());
        let (descriptors, sockets) = descriptors(&folder).unzip();
        let snapshot = Self {
            pid: proc.pid.number(),
            start_ticks: proc.start.0,
            unix_time: Span(clock::wall().unix_ns).seconds(),
            // Who is dying may have let go of its memory, and the words with it.
            cmdline: text("cmdline")
                .map(|text| text.trim_end_matches('\0').replace('\0', " "))
                .filter(|text| !text.is_empty()),
            status: trimmed("status"),
            limits: trimmed("limits"),
            cgroup: trimmed("cgroup"),
            oom_score: text("oom_score").and_then(|text| text.trim().parse().ok()),
            wchan: trimmed("wchan").filter(|name| name != "0"),
            stack: capabilities::with(CapabilitySet::SYS_ADMIN, || trimmed("stack")),
            descriptors,
            tcp: sockets.and_then(|sockets| tcp(&folder, &sockets)),
        };
        // Without its status nothing was seen at all.
        snapshot.status.is_some().then_some(snapshot)
    }
}

fn open(folder: impl std::os::fd::AsFd, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(openat(folder, name, flags | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

fn text(folder: &OwnedFd, name: &str, most: u64) -> io::Result<String> {
    let mut text = Vec::new();
    std::fs::File::from(open(folder, name, OFlags::empty())?).take(most).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// TCP sockets by number, and in which tables they are.
#[derive(Default)]
struct TcpSockets {
    numbers: BTreeSet<u64>,
    v4: bool,
    v6: bool,
}

/// Open descriptors, and the TCP sockets among them.
fn descriptors(folder: &OwnedFd) -> Option<(Descriptors, TcpSockets)> {
    let folder = open(folder, "fd", OFlags::DIRECTORY).ok()?;
    let (mut found, mut sockets) = (Descriptors::default(), TcpSockets::default());
    let mut looked_at = 0;
    for item in Dir::read_from(&folder).ok()? {
        let item = item.ok()?;
        if item.file_name().to_bytes().starts_with(b".") {
            continue;
        }
        if looked_at == DESCRIPTORS {
            found.more = true;
            break;
        }
        looked_at += 1;
        let Ok(link) = readlinkat(&folder, item.file_name(), Vec::with_capacity(256)) else { continue };
        let link = link.to_bytes();
        let kind = match link {
            link if link.starts_with(b"socket:[") => {
                let number = link.strip_prefix(b"socket:[").and_then(|rest| rest.strip_suffix(b"]"));
                if let Some(number) = number.and_then(|number| str::from_utf8(number).ok()?.parse().ok()) {
                    sockets.add(number, protocol(&folder, item.file_name()));
                }
                "socket"
            }
            link if link.starts_with(b"pipe:[") => "pipe",
            link if link.starts_with(b"/dev/") => "device",
            link if link.starts_with(b"/") => "file",
            _ => "anon",
        };
        *found.kinds.entry(kind).or_default() += 1;
    }
    Some((found, sockets))
}

/// What kind of socket this is; unknown on some file systems of the security kind.
fn protocol(folder: &OwnedFd, descriptor: &CStr) -> Option<Vec<u8>> {
    let path = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), descriptor.to_str().ok()?);
    let mut name = vec![0; 32];
    let length = getxattr(path, c"system.sockprotoname", name.as_mut_slice()).ok()?;
    name.truncate(length);
    Some(name)
}

impl TcpSockets {
    fn add(&mut self, number: u64, protocol: Option<Vec<u8>>) {
        let protocol = protocol.as_deref().map(|name| name.trim_ascii_end().strip_suffix(b"\0").unwrap_or(name));
        let (v4, v6) = (matches!(protocol, None | Some(b"TCP")), matches!(protocol, None | Some(b"TCPv6")));
        if v4 || v6 {
            self.numbers.insert(number);
        }
        self.v4 |= v4;
        self.v6 |= v6;
    }
}

/// States of these sockets, in the network namespace of the process. The kernel looks through all of its buckets to make
/// such a table, which takes milliseconds however few sockets there are.
fn tcp(folder: &OwnedFd, sockets: &TcpSockets) -> Option<BTreeMap<&'static str, u32>> {
    let mut states = BTreeMap::new();
    let wanted = [("net/tcp", sockets.v4), ("net/tcp6", sockets.v6)].into_iter().filter(|(_, wanted)| *wanted);
    let tables: Vec<_> = wanted.clone().filter_map(|(name, _)| text(folder, name, TABLE).ok()).collect();
    if tables.is_empty() && wanted.count() > 0 {
        return None;
    }
    for line in tables.iter().flat_map(|table| table.lines().skip(1)) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let [_number, _local, _remote, state, _queues, _timer, _retransmits, _user, _timeout, inode, ..] = words[..]
            && inode.parse().is_ok_and(|inode| sockets.numbers.contains(&inode))
        {
            *states.entry(state_name(state)).or_default() += 1;
        }
    }
    Some(states)
}

/// <https://github.com/torvalds/linux/blob/v6.12/include/net/tcp_states.h#L12>
fn state_name(number: &str) -> &'static str {
    match number {
        "01" => "established",
        "02" => "syn_sent",
        "03" | "0C" => "syn_recv",
        "04" => "fin_wait1",
        "05" => "fin_wait2",
        "06" => "time_wait",
        "07" => "close",
        "08" => "close_wait",
        "09" => "last_ack",
        "0A" => "listen",
        "0B" => "closing",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use watcher_core::StartTicks;

    use super::*;
    use crate::sys::{child::WaitingChild, own};

    fn proc_of(pid: watcher_core::Pid) -> ProcId {
        proc::facts(pid).unwrap().unwrap().proc
    }

    #[test]
    fn a_process_is_seen_with_its_descriptors_and_sockets() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_pipe, _other) = std::io::pipe().unwrap();
        let _file = tempfile::tempfile().unwrap();
        let seen = Snapshot::take(proc_of(own::pid())).unwrap();
        assert!(seen.status.unwrap().contains("VmRSS:"));
        assert!(seen.limits.unwrap().starts_with("Limit"));
        assert!(seen.cmdline.is_some() && seen.cgroup.is_some() && seen.oom_score.is_some());
        let kinds = seen.descriptors.unwrap().kinds;
        assert!(kinds["socket"] >= 2 && kinds["pipe"] >= 2 && kinds["file"] >= 1, "{kinds:?}");
        let tcp = seen.tcp.unwrap();
        assert!(tcp["listen"] >= 1 && tcp["established"] >= 1, "{tcp:?}");
        drop(client);
    }

    #[test]
    fn of_a_zombie_its_status_is_left_and_of_nobody_nothing() {
        let child = WaitingChild::fork(0).unwrap();
        let proc = proc_of(child.pid());
        child.release().unwrap();
        while !proc::facts(proc.pid).unwrap().unwrap().leader_zombie {
            std::thread::yield_now();
        }
        let seen = Snapshot::take(proc).unwrap();
        assert!(seen.status.unwrap().contains("(zombie)"));
        assert_eq!(seen.cmdline, None, "it is not known any more, and was not empty");
        assert_eq!(Snapshot::take(ProcId { start: StartTicks(proc.start.0 - 1), ..proc }), None);
        drop(child);
        assert_eq!(Snapshot::take(proc), None);
    }

    #[test]
    fn it_takes_a_moment_only() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "executor::snapshot::tests::looks_at_very_many_descriptors", "--ignored"]);
        let child = child.stdin(std::process::Stdio::null()).output().unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    }

    /// Apart from the sockets of other tests.
    #[test]
    #[ignore = "a part of the test before"]
    fn looks_at_very_many_descriptors() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let seen_with = |count: usize| {
            let _open: Vec<_> = (0..count).map_while(|_| null.try_clone().ok()).collect();
            Snapshot::take(proc_of(own::pid())).unwrap().descriptors.unwrap()
        };
        let seen = seen_with(100);
        assert!(seen.kinds["device"] >= 100 && !seen.more);
        crate::sys::limits::raise_descriptors();
        let seen = seen_with(10_000);
        assert!(seen.more || seen.kinds.values().sum::<u32>() < DESCRIPTORS as u32, "few descriptors are allowed here");
    }
}
