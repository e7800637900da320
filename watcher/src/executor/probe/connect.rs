//! A connection to the first address that takes one.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout_at},
};
use watcher_core::probe::{Fault, Step};

/// Tries them in order. A silent one leaves the others their share of the time.
///
/// Connections end by an ordinary close, not by a reset (`SO_LINGER` of 0): the service sees what it sees of any other
/// client, and logs no error. Where we are the first to close, the port that is left in `TIME_WAIT` for a minute is ours and
/// not the service's; at one attempt every ten seconds that is six ports of some 28,000.
pub(super) async fn first(addresses: &[SocketAddr], deadline: Instant) -> Result<(TcpStream, SocketAddr), Fault> {
    let mut worst: Option<Fault> = None;
    for (tried, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = now + deadline.saturating_duration_since(now) / left;
        let fault = match timeout_at(share, one(*address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(fault)) => fault,
            Err(_elapsed) => Fault::Silent { step: Step::Connect, got: 0 },
        };
        // The other family may not be there at all, which says less than a refusal does.
        if worst.as_ref().is_none_or(|worst| weight(&fault) > weight(worst)) {
            worst = Some(fault);
        }
    }
    Err(worst.unwrap_or_else(|| Fault::Address { code: 0, why: "the name has none".to_owned() }))
}

/// Which of several faults tells most.
fn weight(fault: &Fault) -> u8 {
    if matches!(fault, Fault::Silent { .. }) { 2 } else { u8::from(fault.may_be_of_service()) }
}

async fn one(address: SocketAddr) -> Result<TcpStream, Fault> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(|error| Fault::Socket { errno: errno(&error) })?;
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

pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

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
