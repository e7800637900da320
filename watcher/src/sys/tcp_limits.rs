//! What a network namespace has left for TCP: local ports and memory.

use std::{fs, io, str::FromStr};

use watcher_core::Pid;

use super::netns;

/// Limits and use of one network namespace. Memory is that of the whole host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// First and last port that connections get by themselves; unknown where the namespace cannot be entered.
    pub port_range: Option<(u16, u16)>,
    /// Sockets in use, listening ones among them.
    pub in_use: u64,
    /// Sockets that no process holds any more.
    pub orphans: u64,
    /// Sockets in TIME_WAIT: each keeps its pair of addresses and ports.
    pub time_wait: u64,
    /// Memory in use, in pages.
    pub memory: u64,
    /// `tcp_mem`: the pages from which on TCP is free, saves, and refuses. Only the initial namespace shows them.
    pub memory_limits: Option<[u64; 3]>,
}

impl TcpLimits {
    /// How many local ports connections may get by themselves, to the same destination.
    #[must_use]
    pub fn ports(&self) -> Option<u32> {
        self.port_range.map(|(first, last)| u32::from(last.saturating_sub(first)) + 1)
    }
}

/// Those of the namespace that a process is in.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn of(pid: Pid) -> io::Result<TcpLimits> {
    // Unlike `net`, the folder `sys` shows the namespace of whoever opens it.
    let range = netns::inside(pid, || fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range"));
    let sockstat = fs::read_to_string(format!("/proc/{pid}/net/sockstat"))?;
    let memory_limits = numbers(&fs::read_to_string("/proc/sys/net/ipv4/tcp_mem").unwrap_or_default());
    let port_range = range.ok().and_then(|(_, text)| match numbers(&text).as_slice() {
        [first, last] => Some((*first, *last)),
        _ => None,
    });
    let of = |key| value(&sockstat, key).unwrap_or(0);
    Ok(TcpLimits {
        port_range,
        in_use: of("inuse"),
        orphans: of("orphan"),
        time_wait: of("tw"),
        memory: of("mem"),
        memory_limits: memory_limits.try_into().ok(),
    })
}

/// What a network namespace has turned away or answered without keeping it, since it was made. Each number only grows; a
/// look costs some 30 µs, however many sockets there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpRefusals {
    /// Connections turned away since an accept queue was full.
    pub accept_queue_full: u64,
    /// The same, and for any other reason.
    pub any: u64,
    /// SYNs dropped since too many connections were half open.
    pub syn_dropped: u64,
    /// SYNs answered with a cookie for that reason.
    pub syn_cookies: u64,
    /// SYNs, and answers to them, that were sent again. No refusal, but the first sign that a queue fills with the half-open.
    pub syn_sent_again: u64,
}

/// Those of the namespace that a process is in.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn refusals(pid: Pid) -> io::Result<TcpRefusals> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/netstat"))?;
    let of = |name| extended(&text, name).unwrap_or(0);
    Ok(TcpRefusals {
        accept_queue_full: of("ListenOverflows"),
        any: of("ListenDrops"),
        syn_dropped: of("TCPReqQFullDrop"),
        syn_cookies: of("TCPReqQFullDoCookies"),
        syn_sent_again: of("TCPSynRetrans"),
    })
}

/// A counter of the two lines on TCP, of which one has the names and the other the values.
fn extended(netstat: &str, name: &str) -> Option<u64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let at = lines.next()?.split_whitespace().position(|word| word == name)?;
    lines.next()?.split_whitespace().nth(at)?.parse().ok()
}

fn numbers<T: FromStr>(text: &str) -> Vec<T> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// A value in the line on TCP, which goes `TCP: inuse 5 orphan 0 …`.
fn value(sockstat: &str, key: &str) -> Option<u64> {
    let mut words = sockstat.lines().find_map(|line| line.strip_prefix("TCP: "))?.split_whitespace();
    words.find(|word| *word == key)?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::own;

    #[test]
    fn the_limits_of_this_namespace_are_read() {
        let limits = of(own::pid()).unwrap();
        assert!(limits.ports().unwrap() > 1);
        // A container does not see them.
        assert!(limits.memory_limits.is_none_or(|[free, saves, refuses]| free <= saves && saves <= refuses));
    }

    #[test]
    fn refusals_are_read_by_name() {
        let text = "TcpExt: A ListenOverflows B\nTcpExt: 1 7 3\nIpExt: ListenOverflows\nIpExt: 9\n";
        assert_eq!((extended(text, "ListenOverflows"), extended(text, "C")), (Some(7), None));
        assert!(refusals(own::pid()).is_ok());
    }

    #[test]
    fn the_line_on_tcp_is_read_and_no_other() {
        let text = "sockets: used 290\nTCP: inuse 5 orphan 1 tw 2 alloc 12 mem 3\nUDP: inuse 9 mem 4\n";
        assert_eq!(
            ["inuse", "orphan", "tw", "mem", "none"].map(|key| value(text, key)),
            [Some(5), Some(1), Some(2), Some(3), None]
        );
    }
}
