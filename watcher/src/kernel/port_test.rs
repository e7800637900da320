//! Whether changes of state are counted rightly on this kernel, seen on one connection of this process to itself: a wrong offset
//! would be silent. Nothing is told to anybody meanwhile.

use std::{
    io::{self, Read as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::listen,
};
use watcher_core::{Mono, PortCounts, PortKey, Span, Thresholds};

use super::{Ports, ports::QueueSeen};
use crate::sys::{clock, netns};

/// What `listen` is told: one more gets in.
const BACKLOG: i32 = 7;

/// How long anything may take; it takes microseconds on a healthy host.
const PATIENCE: Span = Span::of_seconds(1);

/// Nothing is told.
const NEVER: Thresholds =
    Thresholds { queue_percent: None, close_wait: None, close_wait_age: None, established: None, descriptors: None };

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

/// Opens and closes a connection, and looks at each step at what was counted.
pub(super) fn run(ports: &mut Ports) -> Result<(), Failure> {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listen(&server, BACKLOG).map_err(io::Error::from)?;
    let address = server.local_addr()?;
    let key = PortKey { netns: netns::own()?, port: address.port() };
    if ports.watched().any(|watched| watched == key) {
        // Somebody's whom we were to watch has just ended, and we have got his number.
        return Err(Failure::NotDone(io::ErrorKind::AddrInUse.into()));
    }
    ports.watch(key, NEVER).map_err(|error| Failure::Wrong(error.to_string()))?;
    let seen = connect_and_close(ports, key, &server, address);
    // Before the listener goes, which would be told.
    ports.unwatch(key);
    seen
}

fn connect_and_close(
    ports: &mut Ports,
    key: PortKey,
    server: &TcpListener,
    address: SocketAddr,
) -> Result<(), Failure> {
    let before = ports.deltas(key).unwrap_or_default();
    let listens = PortCounts { listeners: 1, ..PortCounts::default() };
    ports.rebase(key, before, listens, Mono(0));
    let client = TcpStream::connect_timeout(&address, patience())?;
    let mut polled = [PollFd::new(server, PollFlags::IN)];
    let limit = Timespec { tv_sec: patience().as_secs().cast_signed(), tv_nsec: 0 };
    if poll(&mut polled, Some(&limit)).map_err(io::Error::from)? == 0 {
        return Err(Failure::NotDone(io::ErrorKind::TimedOut.into()));
    }
    let (mut accepted, _) = server.accept()?;
    expect(ports, key, PortCounts { established: 1, ..listens }, "a connection that was made")?;
    let room = u64::from(BACKLOG.unsigned_abs()) + 1;
    let queue = ports.queue(key).unwrap_or_default();
    if queue != (QueueSeen { length: 1, limit: room, highest: 1 }) {
        let QueueSeen { length, limit, highest: _ } = queue;
        return Err(Failure::Wrong(format!(
            "one connection in an accept queue with room for {room} was seen as {length} of {limit}"
        )));
    }
    drop(client);
    accepted.set_read_timeout(Some(patience()))?;
    let _end = accepted.read(&mut [0])?;
    expect(ports, key, PortCounts { close_wait: 1, ..listens }, "a connection that only its peer has closed")?;
    drop(accepted);
    expect(ports, key, listens, "a connection that is closed")
}

/// The kernel may still be at it when we have heard of it.
fn expect(ports: &Ports, key: PortKey, expected: PortCounts, what: &str) -> Result<(), Failure> {
    let begun = clock::now();
    while ports.counts(key) != Some(expected) {
        if clock::now().since(begun) >= PATIENCE {
            let PortCounts { listeners, established, close_wait } = ports.counts(key).unwrap_or_default();
            return Err(Failure::Wrong(format!(
                "{what} was not counted rightly: {listeners} listening, {established} in ESTABLISHED, {close_wait} in \
                 CLOSE_WAIT"
            )));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn patience() -> Duration {
    Duration::from_nanos(PATIENCE.0)
}
