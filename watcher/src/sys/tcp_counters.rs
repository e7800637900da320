//! Counters of TCP that the kernel keeps for a network namespace, not for a port.

use std::{fs, io};

use watcher_core::Pid;

/// How often a SYN queue overflowed: connections were answered by a cookie, or not at all.
///
/// # Errors
/// When the process is not there, or `/proc` cannot be read.
pub fn syn_overflows(pid: Pid) -> io::Result<u64> {
    Ok(overflows(&fs::read_to_string(format!("/proc/{pid}/net/netstat"))?))
}

/// Two lines belong together: the names, then the numbers.
fn overflows(netstat: &str) -> u64 {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (Some(names), Some(numbers)) = (lines.next(), lines.next()) else { return 0 };
    let wanted = ["SyncookiesSent", "TCPReqQFullDoCookies", "TCPReqQFullDrop"];
    let pairs = names.split(' ').zip(numbers.split(' ')).filter(|(name, _)| wanted.contains(name));
    pairs.filter_map(|(_, number)| number.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::own;

    #[test]
    fn names_and_numbers_are_brought_together() {
        let text = "TcpExt: SyncookiesSent Other TCPReqQFullDrop\nTcpExt: 5 100 2\nIpExt: In\nIpExt: 9\n";
        assert_eq!(overflows(text), 7);
        assert_eq!(overflows("TcpExt: SyncookiesSent\n"), 0);
        assert!(syn_overflows(own::pid()).is_ok());
    }
}
