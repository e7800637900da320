//! Listening TCP sockets, by `/proc/net/tcp` and `/proc/net/tcp6`.

use std::{collections::BTreeSet, fs, io, net::SocketAddr};

use procfs_core::{
    ExplicitSystemInfo, FromBufReadSI as _,
    net::{TcpNetEntries, TcpState},
};
use watcher_core::Pid;

/// A socket that waits for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// The socket's number.
    pub inode: u64,
}

/// Those of this network namespace.
///
/// # Errors
/// When they cannot be read.
pub fn listeners() -> io::Result<Vec<Listener>> {
    // Only the order of bytes matters for these tables.
    let system = ExplicitSystemInfo {
        boot_time_secs: 0,
        ticks_per_second: 0,
        page_size: 0,
        is_little_endian: cfg!(target_endian = "little"),
    };
    let mut listeners = Vec::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = match fs::File::open(path) {
            Ok(table) => io::BufReader::new(table),
            // A kernel without IPv6 has no such table.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !listeners.is_empty() => continue,
            Err(error) => return Err(error),
        };
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, format!("{path}: {error}"));
        let TcpNetEntries(entries) = TcpNetEntries::from_buf_read(table, &system).map_err(invalid)?;
        let listening = entries.into_iter().filter(|entry| entry.state == TcpState::Listen);
        listeners.extend(listening.map(|entry| Listener { address: entry.local_address, inode: entry.inode }));
    }
    Ok(listeners)
}

/// The sockets that a process has open, by number; none where this user may not know.
#[must_use]
pub fn sockets(pid: Pid) -> BTreeSet<u64> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return BTreeSet::new() };
    let number = |item: fs::DirEntry| {
        let link = fs::read_link(item.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    descriptors.flatten().filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::sys::own;

    #[test]
    fn a_listening_socket_is_found_and_belongs_to_its_process() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = TcpListener::bind(address) else { continue };
            let address = socket.local_addr().unwrap();
            let found = listeners().unwrap().into_iter().find(|listener| listener.address == address).unwrap();
            assert!(sockets(own::pid()).contains(&found.inode));
        }
    }
}
