//! TCP sockets, by `/proc/net/tcp` and `/proc/net/tcp6`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::SocketAddr,
};

use procfs_core::{
    ExplicitSystemInfo, FromBufReadSI as _,
    net::{TcpNetEntries, TcpNetEntry, TcpState},
};
use watcher_core::{ListenerFacts, Pid, PortFacts};

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
    let listening = entries("self")?.into_iter().filter(|entry| entry.state == TcpState::Listen);
    Ok(listening.map(|entry| Listener { address: entry.local_address, inode: entry.inode }).collect())
}

/// What can be said of each local port in the network namespace of a process where there is no sock_diag: neither limits
/// of queues nor drops. It reads every socket there, in some 2 ms for each thousand.
///
/// # Errors
/// When they cannot be read.
pub fn ports(pid: Pid) -> io::Result<BTreeMap<u16, PortFacts>> {
    let mut ports = BTreeMap::<u16, PortFacts>::new();
    for TcpNetEntry { local_address: address, state, rx_queue: queue, uid, inode, .. } in entries(&pid.to_string())? {
        let PortFacts { listeners, states } = ports.entry(address.port()).or_default();
        let counter = match state {
            TcpState::Listen => {
                listeners.push(ListenerFacts { address, inode, uid, queue, limit: None, drops: None });
                continue;
            }
            TcpState::Close => continue,
            TcpState::Established => &mut states.established,
            TcpState::SynSent => &mut states.syn_sent,
            TcpState::SynRecv | TcpState::NewSynRecv => &mut states.syn_recv,
            TcpState::FinWait1 => &mut states.fin_wait1,
            TcpState::FinWait2 => &mut states.fin_wait2,
            TcpState::TimeWait => &mut states.time_wait,
            TcpState::CloseWait => &mut states.close_wait,
            TcpState::LastAck => &mut states.last_ack,
            TcpState::Closing => &mut states.closing,
        };
        *counter += 1;
    }
    Ok(ports)
}

fn entries(process: &str) -> io::Result<Vec<TcpNetEntry>> {
    // Only the order of bytes matters for these tables.
    let system = ExplicitSystemInfo {
        boot_time_secs: 0,
        ticks_per_second: 0,
        page_size: 0,
        is_little_endian: cfg!(target_endian = "little"),
    };
    let mut all = Vec::new();
    for (table, must_be) in [("tcp", true), ("tcp6", false)] {
        let path = format!("/proc/{process}/net/{table}");
        let table = match fs::File::open(&path) {
            Ok(table) => io::BufReader::new(table),
            // A kernel without IPv6 has no such table.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_be => continue,
            Err(error) => return Err(error),
        };
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, format!("{path}: {error}"));
        let TcpNetEntries(entries) = TcpNetEntries::from_buf_read(table, &system).map_err(invalid)?;
        all.extend(entries);
    }
    Ok(all)
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
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::sys::{own, sock_diag::SockDiag};

    #[test]
    fn a_listening_socket_is_found_and_belongs_to_its_process() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = TcpListener::bind(address) else { continue };
            let address = socket.local_addr().unwrap();
            let found = listeners().unwrap().into_iter().find(|listener| listener.address == address).unwrap();
            assert!(sockets(own::pid()).contains(&found.inode));
        }
    }

    #[test]
    fn the_tables_tell_of_a_port_what_sock_diag_tells_but_for_limits_and_drops() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let _waiting = TcpStream::connect(address).unwrap();
        let by_tables = ports(own::pid()).unwrap().remove(&address.port()).unwrap();
        let mut asked = SockDiag::here().unwrap().port(address.port()).unwrap();
        assert_eq!((asked.listeners[0].queue, asked.states.established), (1, 1));
        (asked.listeners[0].limit, asked.listeners[0].drops) = (None, None);
        assert_eq!(by_tables, asked);
    }
}
