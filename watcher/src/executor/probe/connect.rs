//! A connection to the first address that takes one.

use std::{io, net::SocketAddr};

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
    // Where nobody listens on a port of the range that clients take theirs from, the kernel may give us that very port, and
    // then a socket connects to itself.
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(own), Ok(peer)) if own == peer => Err(Fault::Connect { errno: libc::ECONNREFUSED }),
        // It is reset already: whoever reads will see.
        (Ok(_) | Err(_), _) => Ok(stream),
    }
}

pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
