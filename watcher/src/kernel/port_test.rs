//! Whether changes of state are counted rightly on this kernel, seen on one connection of this process to itself: a wrong offset
//! would be silent. Nothing is told to anybody meanwhile.

use std::{
    io::{self, Read as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use watcher_core::{Mono, PortCounts, PortKey, Span, Thresholds};

use super::{
    Ports,
    ports::{NotWatched, QueueSeen},
};
use crate::sys::{clock, netns, own, readable, sock_diag::SockDiag, tcp};

/// What `listen` is told: one more gets in.
const BACKLOG: i32 = 7;

/// How long anything may take; it takes microseconds on a healthy host.
const PATIENCE: Span = Span::of_seconds(1);

/// Nothing is told.
const NEVER: Thresholds =
    Thresholds { queue_percent: None, close_wait: None, close_wait_age: None, established: None, descriptors: None };

/// Others may use the port of the test meanwhile. It is tried so often to be alone.
const TRIES: usize = 4;

/// Counts are wrong when they were so as often, on as many ports: who has disturbed one may have left no trace.
const PROOFS: usize = 2;

/// What became of the test.
#[derive(Debug)]
pub(super) enum Failure {
    /// There was none: this host has no loopback, for instance.
    NotDone(io::Error),
    /// The counts are not to be used.
    Wrong(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::NotDone(error)
    }
}

/// Why one try has not shown that all is well.
enum Doubt {
    NotDone(io::Error),
    /// Strangers use the port: what is counted is not ours alone.
    Disturbed,
    Wrong(String),
}

impl From<io::Error> for Doubt {
    fn from(error: io::Error) -> Self {
        Self::NotDone(error)
    }
}

/// Opens and closes a connection, and looks at each step at what was counted.
pub(super) fn run(ports: &mut Ports) -> Result<(), Failure> {
    let mut proofs = 0;
    for _ in 0..TRIES {
        match attempt(ports) {
            Ok(()) => return Ok(()),
            Err(Doubt::NotDone(error)) => return Err(Failure::NotDone(error)),
            Err(Doubt::Disturbed) => {}
            Err(Doubt::Wrong(what)) => {
                proofs += 1;
                if proofs == PROOFS {
                    return Err(Failure::Wrong(what));
                }
            }
        }
    }
    Err(Failure::NotDone(io::Error::other("others connect to each port that it is tried on")))
}

/// On a new port.
fn attempt(ports: &mut Ports) -> Result<(), Doubt> {
    let server = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let server = server.map_err(io::Error::from)?;
    bind(&server, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(io::Error::from)?;
    let server = TcpListener::from(server);
    let address = server.local_addr()?;
    let key = PortKey { netns: netns::own()?, port: address.port() };
    if ports.watched().any(|watched| watched == key) {
        // Somebody's whom we were to watch has just ended, and we have got his number.
        return Err(Doubt::Disturbed);
    }
    // It takes a while, in which nobody can connect yet.
    ports.watch(key, NEVER).map_err(|error| match error {
        NotWatched::Full(_) => Doubt::NotDone(io::Error::other(error)),
        NotWatched::NotLoaded(_) | NotWatched::NotTaken(_) | NotWatched::NotAttached(_) => {
            Doubt::Wrong(error.to_string())
        }
    })?;
    let seen = connect_and_close(ports, key, &server, address);
    let seen = seen.map_err(|doubt| match doubt {
        Doubt::Wrong(_) if is_used_by_others(&server, key.port) => Doubt::Disturbed,
        Doubt::Wrong(_) | Doubt::Disturbed | Doubt::NotDone(_) => doubt,
    });
    // Before the listener goes, which would be told.
    ports.unwatch(key);
    seen
}

/// When our own connection is closed.
fn is_used_by_others(server: &TcpListener, port: u16) -> bool {
    if server.accept().is_ok() {
        return true;
    }
    let facts = SockDiag::here().and_then(|mut diag| diag.port(port));
    let facts = facts.or_else(|_| Ok::<_, io::Error>(tcp::ports(own::pid())?.remove(&port).unwrap_or_default()));
    facts.is_ok_and(|facts| facts.counts() != PortCounts { listeners: 1, ..PortCounts::default() })
}

fn connect_and_close(ports: &mut Ports, key: PortKey, server: &TcpListener, address: SocketAddr) -> Result<(), Doubt> {
    server.set_nonblocking(true)?;
    listen(server, BACKLOG).map_err(io::Error::from)?;
    let before = ports.deltas(key).unwrap_or_default();
    let listens = PortCounts { listeners: 1, ..PortCounts::default() };
    ports.rebase(key, before, listens, Mono(0));
    let client = TcpStream::connect_timeout(&address, patience())?;
    if !readable::wait(server, patience())? {
        return Err(Doubt::NotDone(io::ErrorKind::TimedOut.into()));
    }
    let (mut accepted, peer) = server.accept()?;
    if peer != client.local_addr()? {
        return Err(Doubt::Disturbed);
    }
    accepted.set_nonblocking(false)?;
    expect(ports, key, server, PortCounts { established: 1, ..listens }, "a connection that was made")?;
    let room = u64::from(BACKLOG.unsigned_abs()) + 1;
    let queue = ports.queue(key).unwrap_or_default();
    if queue != (QueueSeen { length: 1, limit: room, highest: 1 }) {
        let QueueSeen { length, limit, highest: _ } = queue;
        return Err(Doubt::Wrong(format!(
            "one connection in an accept queue with room for {room} was seen as {length} of {limit}"
        )));
    }
    drop(client);
    accepted.set_read_timeout(Some(patience()))?;
    let _end = accepted.read(&mut [0])?;
    expect(ports, key, server, PortCounts { close_wait: 1, ..listens }, "a connection that only its peer has closed")?;
    drop(accepted);
    expect(ports, key, server, listens, "a connection that is closed")
}

/// The kernel may still be at it when we have heard of it.
fn expect(ports: &Ports, key: PortKey, server: &TcpListener, expected: PortCounts, what: &str) -> Result<(), Doubt> {
    let begun = clock::now();
    while ports.counts(key) != Some(expected) {
        if clock::now().since(begun) >= PATIENCE {
            let PortCounts { listeners, established, close_wait } = ports.counts(key).unwrap_or_default();
            return Err(Doubt::Wrong(format!(
                "{what} was not counted rightly: {listeners} listening, {established} in ESTABLISHED, {close_wait} in \
                 CLOSE_WAIT"
            )));
        }
        if server.accept().is_ok() {
            return Err(Doubt::Disturbed);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn patience() -> Duration {
    Duration::from_nanos(PATIENCE.0)
}
