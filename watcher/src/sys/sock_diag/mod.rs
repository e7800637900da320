//! Asks the kernel for the TCP sockets of a port, by netlink. It compares states and ports itself, so that what nobody asked
//! for is never copied; still each question but that for listeners goes through all connections of the host.

mod wire;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
    netlink::{SOCK_DIAG, SocketAddrNetlink},
    recv, sendto, socket_with,
};
use watcher_core::{ListenerFacts, NetNs, Pid, PortFacts, Span, StateCounts};

use self::wire::{AF_INET, AF_INET6, CONNECTIONS, HALF_CLOSED, LISTENERS, Rest, Socket, state};
use super::netns;

/// The kernel fills datagrams up to this size when it is offered so much.
const DATAGRAM: usize = 32 * 1024;

/// A way to ask. It answers for the network namespace in which it was opened, whoever uses it, for as long as it is held,
/// which also keeps that namespace alive.
#[derive(Debug)]
pub struct SockDiag {
    socket: OwnedFd,
    netns: NetNs,
    sequence: u32,
}

impl SockDiag {
    /// In the namespace of this process.
    ///
    /// # Errors
    /// When the kernel has no sock_diag, or does not let it be used.
    pub fn here() -> io::Result<Self> {
        Self::opened(netns::own()?, open()?)
    }

    /// In the namespace of another process, which takes `CAP_SYS_ADMIN` unless it is our own.
    ///
    /// # Errors
    /// The same, and when the process has gone, or this user may not enter its namespace.
    pub fn of(pid: Pid) -> io::Result<Self> {
        let (netns, socket) = netns::inside(pid, open)?;
        Self::opened(netns, socket)
    }

    fn opened(netns: NetNs, socket: OwnedFd) -> io::Result<Self> {
        let mut opened = Self { socket, netns, sequence: 0 };
        // Without the module for TCP the question is refused, not the socket. Hardly anybody listens on this port.
        opened.ask(AF_INET, LISTENERS, u16::MAX, |_| {})?;
        Ok(opened)
    }

    /// The namespace that it answers for.
    #[must_use]
    pub const fn netns(&self) -> NetNs {
        self.netns
    }

    /// The sockets that listen on a port, or on any. Costs next to nothing, however many connections there are.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn listeners(&mut self, port: Option<u16>) -> io::Result<Vec<ListenerFacts>> {
        let mut listeners = Vec::new();
        self.ask_both(LISTENERS, port, |socket| listeners.push(listener(&socket)))?;
        Ok(listeners)
    }

    /// The connections of a local port, by state. Costs some 10 ms on a host with 100,000 of them.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn states(&mut self, port: u16) -> io::Result<StateCounts> {
        let mut counts = StateCounts::default();
        self.ask_both(CONNECTIONS, Some(port), |socket| count(&mut counts, socket.state))?;
        Ok(counts)
    }

    /// For how long connections of a local port have been closed by their peer alone, the oldest first: since the peer was
    /// last heard. Those that nobody has accepted yet are not among them: the service does not have them. Costs what
    /// [`Self::states`] does.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn close_waits(&mut self, port: u16) -> io::Result<Vec<Span>> {
        let mut ages = Vec::new();
        self.ask_both(HALF_CLOSED, Some(port), |socket| {
            // It gets a number when it is accepted.
            if socket.inode != 0 {
                ages.push(Span::of_millis(socket.last_heard_ms.unwrap_or(0)));
            }
        })?;
        ages.sort_unstable_by(|one, other| other.cmp(one));
        Ok(ages)
    }

    /// Every connection, by local port: for who wants to know of all ports.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn all_states(&mut self, mut of_port: impl FnMut(u16) -> bool) -> io::Result<Vec<(u16, StateCounts)>> {
        let mut ports = std::collections::BTreeMap::<u16, StateCounts>::new();
        self.ask_both(CONNECTIONS, None, |socket| {
            let port = socket.local.port();
            if of_port(port) {
                count(ports.entry(port).or_default(), socket.state);
            }
        })?;
        Ok(ports.into_iter().collect())
    }

    /// Both of them.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn port(&mut self, port: u16) -> io::Result<PortFacts> {
        Ok(PortFacts { listeners: self.listeners(Some(port))?, states: self.states(port)? })
    }

    fn ask_both(&mut self, states: u32, port: Option<u16>, mut each: impl FnMut(Socket)) -> io::Result<()> {
        self.ask(AF_INET, states, port.unwrap_or(0), &mut each)?;
        match self.ask(AF_INET6, states, port.unwrap_or(0), each) {
            // A kernel without IPv6.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            answer => answer,
        }
    }

    fn ask(&mut self, family: u8, states: u32, port: u16, mut each: impl FnMut(Socket)) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = wire::request(self.sequence, family, states, port);
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(&self.socket, &request, SendFlags::empty(), &kernel)?;
        let mut datagram = vec![0; DATAGRAM];
        loop {
            // The kernel has answered by now: the first piece lies there, and reading one makes the next.
            let (length, whole) = recv(&self.socket, &mut datagram, RecvFlags::TRUNC | RecvFlags::DONTWAIT)?;
            if whole > length {
                return Err(malformed());
            }
            match wire::read(datagram.get(..length).unwrap_or_default(), self.sequence, &mut each) {
                Rest::Follows => {}
                Rest::None => return Ok(()),
                Rest::Refused(error) => return Err(io::Error::from_raw_os_error(error)),
                Rest::Malformed => return Err(malformed()),
            }
        }
    }
}

impl AsFd for SockDiag {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn open() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer on sockets cannot be understood")
}

fn listener(socket: &Socket) -> ListenerFacts {
    let Socket { local, receive_queue, send_queue, uid, inode, drops, .. } = *socket;
    let limit = Some(send_queue.saturating_add(1));
    ListenerFacts { address: local, inode: inode.into(), uid, queue: receive_queue, limit, drops }
}

fn count(counts: &mut StateCounts, of: u8) {
    let counter = match of {
        state::ESTABLISHED => &mut counts.established,
        state::SYN_SENT => &mut counts.syn_sent,
        state::SYN_RECV | state::NEW_SYN_RECV => &mut counts.syn_recv,
        state::FIN_WAIT1 => &mut counts.fin_wait1,
        state::FIN_WAIT2 => &mut counts.fin_wait2,
        state::TIME_WAIT => &mut counts.time_wait,
        state::CLOSE_WAIT => &mut counts.close_wait,
        state::LAST_ACK => &mut counts.last_ack,
        state::CLOSING => &mut counts.closing,
        _ => return,
    };
    *counter += 1;
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn listeners_and_connections_of_a_port_are_told() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(server) = TcpListener::bind(address) else { continue };
            let address = server.local_addr().unwrap();
            let mut diag = SockDiag::here().unwrap();
            let client = TcpStream::connect(address).unwrap();
            let facts = diag.port(address.port()).unwrap();
            let [listener] = facts.listeners.as_slice() else { panic!("{facts:?}") };
            assert_eq!((listener.address, listener.queue, listener.drops), (address, 1, Some(0)));
            assert!(listener.limit.unwrap() > 1);
            assert_eq!(facts.states.established, 1, "the server's end; the client's has another local port");
            let accepted = server.accept().unwrap();
            let waiting = TcpStream::connect(address).unwrap();
            drop((client, waiting));
            // A child that another test is making at that moment holds them, too, for a while.
            let mut closed = || diag.port(address.port()).unwrap();
            while closed().states.close_wait < 2 {
                std::thread::yield_now();
            }
            let facts = closed();
            assert_eq!((facts.states.close_wait, facts.listeners[0].queue), (2, 1));
            let ages = |diag: &mut SockDiag| diag.close_waits(address.port()).unwrap();
            assert_eq!(ages(&mut diag).len(), 1, "nobody has accepted the other one");
            while ages(&mut diag)[0] < Span::of_millis(20) {
                std::thread::yield_now();
            }
            let other = server.accept().unwrap();
            let both = ages(&mut diag);
            assert!(both.len() == 2 && both[0] >= both[1], "{both:?}");
            drop((accepted, other));
            while !ages(&mut diag).is_empty() {
                std::thread::yield_now();
            }
        }
    }
}
