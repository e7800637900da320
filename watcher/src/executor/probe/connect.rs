//! A connection to the first address that takes one.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
    os::fd::AsRawFd as _,
    time::Duration,
};

use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout_at},
};
use watcher_core::probe::{Fault, Step};

use crate::sys::limits;

/// So many descriptors are left to those who end processes and start them, but no more than this part of all.
const RESERVED: u64 = 64;
const RESERVED_PART: u64 = 4;

/// Tries them in order. A silent one leaves the others their share of the time.
///
/// Connections end by an ordinary close, not by a reset (`SO_LINGER` of 0): the service sees what it sees of any other
/// client, and logs no error. Where we are the first to close, the port that is left in `TIME_WAIT` for a minute is ours and
/// not the service's; at one attempt every ten seconds that is six ports of some 28,000.
pub(super) async fn first(addresses: &[SocketAddr], deadline: Instant) -> Result<(TcpStream, SocketAddr), Fault> {
    let mut tried = Tried::default();
    for (number, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let left = u32::try_from(addresses.len() - number).unwrap_or(u32::MAX);
        let share = now + deadline.saturating_duration_since(now) / left;
        match timeout_at(share, one(*address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(fault)) => tried.add(*address, fault, is_without_ipv6),
            Err(_elapsed) => tried.add(*address, Fault::Silent { step: Step::Connect, got: 0 }, is_without_ipv6),
        }
    }
    Err(tried.fault())
}

/// What came of several addresses, none of which took a connection.
#[derive(Debug, Default)]
struct Tried {
    ours: Option<Fault>,
    worst: Option<Fault>,
}

impl Tried {
    fn add(&mut self, address: SocketAddr, fault: Fault, is_without_ipv6: impl FnOnce() -> bool) {
        // Who answers there could not be asked: that another address refuses is no verdict on the service.
        if !fault.may_be_of_service() && (address.is_ipv4() || !is_without_ipv6()) {
            self.ours.get_or_insert(fault);
        } else if self.worst.as_ref().is_none_or(|worst| weight(&fault) > weight(worst)) {
            // A family that is not there at all says less than a refusal does.
            self.worst = Some(fault);
        }
    }

    fn fault(self) -> Fault {
        let Self { ours, worst } = self;
        ours.or(worst).unwrap_or_else(|| Fault::Address { code: 0, why: "the name has none".to_owned() })
    }
}

/// Whether this host has no IPv6: no sockets for it, or not even an address of its own.
fn is_without_ipv6() -> bool {
    const NOT_THERE: [i32; 2] = [libc::EADDRNOTAVAIL, libc::EAFNOSUPPORT];
    let bound = TcpSocket::new_v6().and_then(|socket| socket.bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))));
    bound.is_err_and(|error| NOT_THERE.contains(&errno(&error)))
}

/// Which of several faults tells most.
fn weight(fault: &Fault) -> u8 {
    if matches!(fault, Fault::Silent { .. }) { 2 } else { u8::from(fault.may_be_of_service()) }
}

async fn one(address: SocketAddr) -> Result<TcpStream, Fault> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(|error| Fault::Socket { errno: errno(&error) })?;
    // The lowest number that is free is given: as many are in use.
    if is_reserved(socket.as_raw_fd(), limits::descriptors()) {
        return Err(Fault::Socket { errno: libc::EMFILE });
    }
    let stream = socket.connect(address).await.map_err(|error| Fault::Connect { errno: errno(&error) })?;
    // What is said is short and in turns: the kernel must not wait for more of it. Should it insist, that is only slower.
    let _set = stream.set_nodelay(true);
    unless_own(stream)
}

/// Where nobody listens on a port of the range that clients take theirs from, the kernel may give us that very port, and then a
/// socket connects to itself. It is reset at once, lest the port be held for a minute when its service wants it back.
fn unless_own(stream: TcpStream) -> Result<TcpStream, Fault> {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(own), Ok(peer)) if own == peer => {
            let _set = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
            Err(Fault::Connect { errno: libc::ECONNREFUSED })
        }
        // It is reset already: whoever reads will see.
        (Ok(_) | Err(_), _) => Ok(stream),
    }
}

/// Whether a descriptor is one of the last there are. Services that hang would take them all, and then nobody who is to be
/// ended could be, and no script could be run.
fn is_reserved(descriptor: i32, limit: Option<u64>) -> bool {
    let Some(limit) = limit else { return false };
    let usable = limit - RESERVED.min(limit / RESERVED_PART);
    u64::try_from(descriptor).is_ok_and(|number| number >= usable)
}

pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_here_is_no_refusal_whatever_other_addresses_say() {
        let v4 = SocketAddr::from(([127, 0, 0, 1], 80));
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 80));
        let connect = |errno| Fault::Connect { errno };
        let (refused, no_port) = (connect(libc::ECONNREFUSED), connect(libc::EADDRNOTAVAIL));
        let no_descriptor = Fault::Socket { errno: libc::EMFILE };
        let no_family = Fault::Socket { errno: libc::EAFNOSUPPORT };
        for (first, second, is_without_ipv6, expected) in [
            (&refused, &refused, false, &refused),
            // The service listens by IPv4 only, and no port is left to reach it.
            (&no_port, &refused, false, &no_port),
            (&no_descriptor, &refused, false, &no_descriptor),
            (&refused, &no_descriptor, false, &no_descriptor),
            (&refused, &no_port, false, &no_port),
            // This host has no IPv6: nobody listens there.
            (&refused, &no_port, true, &refused),
            (&refused, &no_family, true, &refused),
            (&no_port, &no_port, true, &no_port),
        ] {
            let mut tried = Tried::default();
            tried.add(v4, first.clone(), || is_without_ipv6);
            tried.add(v6, second.clone(), || is_without_ipv6);
            assert_eq!(&tried.fault(), expected, "{first:?}, {second:?}, {is_without_ipv6}");
        }
        let mut tried = Tried::default();
        tried.add(v6, no_port.clone(), || true);
        assert_eq!(tried.fault(), no_port, "there is nothing better to say");
    }

    #[test]
    fn the_last_descriptors_are_left_to_others() {
        for (descriptor, limit, reserved) in [
            (1_000_000, None, false),
            (959, Some(1_024), false),
            (960, Some(1_024), true),
            (29, Some(40), false),
            (30, Some(40), true),
            (0, Some(3), false),
            (0, Some(0), true),
        ] {
            assert_eq!(is_reserved(descriptor, limit), reserved, "{descriptor} of {limit:?}");
        }
    }

    #[test]
    fn a_socket_that_connects_to_itself_is_no_service_and_leaves_the_port_free() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bound = |port: u16| {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::from(([127, 0, 0, 1], port))).map(|()| socket)
            };
            let socket = bound(0).unwrap();
            let address = socket.local_addr().unwrap();
            let stream = socket.connect(address).await.unwrap();
            assert!(matches!(unless_own(stream), Err(Fault::Connect { errno: libc::ECONNREFUSED })));
            assert!(bound(address.port()).is_ok());
        });
    }
}
