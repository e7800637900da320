//! Sockets for tests: on loopback, here or in a network namespace that the test makes.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::Command,
};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, ipproto, listen, socket_with, sockopt::set_socket_reuseport,
};
use watcher::{
    kernel::Ports,
    sys::{netns, sock_diag::SockDiag},
};
use watcher_abi::SocketRecord;
use watcher_core::{Mono, NetNs, Pid, PortCounts, PortKey, Thresholds};
use watcher_tests::{netns::loopback_up, program::built, victim::Victim, wait};

use crate::probe::Probe;

pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(crate) const NEVER: Thresholds =
    Thresholds { queue_percent: None, close_wait: None, close_wait_age: None, established: None, descriptors: None };

/// What a record tells: which alarm, whether it is raised, what was found, by what it was measured.
pub(crate) fn told(record: &SocketRecord, key: PortKey) -> (u32, bool, u64, u64) {
    assert_eq!((NetNs(record.key.netns), record.key.port), (key.netns, key.port.into()), "put down to another port");
    assert!(record.stamp_ns <= watcher::sys::clock::now().0);
    (record.alarm, record.raised == 1, record.value, record.limit)
}

pub(crate) fn next(probe: &mut Probe, key: PortKey) -> (u32, bool, u64, u64) {
    let record = probe.socket();
    told(&record, key)
}

/// Watches a port and says how many sockets it has.
pub(crate) fn watch(ports: &mut Ports, diag: &mut SockDiag, port: u16, thresholds: Thresholds) -> PortKey {
    let key = PortKey { netns: diag.netns(), port };
    ports.watch(key, thresholds).unwrap();
    rebase(ports, diag, key);
    key
}

/// Corrects the numbers, as often as it takes for them to be exact.
pub(crate) fn rebase(ports: &mut Ports, diag: &mut SockDiag, key: PortKey) {
    wait::until("nothing changes while the sockets are counted", || {
        let before = ports.deltas(key).unwrap();
        let counted = diag.port(key.port).unwrap().counts();
        let (news, is_exact) = ports.rebase(key, before, counted, Mono(1));
        assert_eq!(news, [], "nothing was wrong when the watch began");
        is_exact
    });
}

/// What is counted all the time agrees with what the kernel says when it is asked.
pub(crate) fn agree(ports: &Ports, diag: &mut SockDiag, key: PortKey) -> PortCounts {
    let mut agreed = PortCounts::default();
    wait::until("the counters agree with sock_diag", || {
        agreed = diag.port(key.port).unwrap().counts();
        ports.counts(key) == Some(agreed)
    });
    agreed
}

pub(crate) fn listener(address: SocketAddr) -> (TcpListener, u16) {
    let server = TcpListener::bind(address).unwrap();
    let port = server.local_addr().unwrap().port();
    (server, port)
}

/// One of several that share a port (0: the first).
pub(crate) fn sharing(port: u16) -> (TcpListener, u16) {
    sharing_on(LOOPBACK.ip(), port)
}

/// The same on another address.
pub(crate) fn sharing_on(address: IpAddr, port: u16) -> (TcpListener, u16) {
    // Victims that other tests start do not get it, too.
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(ipproto::TCP)).unwrap();
    set_socket_reuseport(&socket, true).unwrap();
    bind(&socket, &SocketAddr::new(address, port)).unwrap();
    listen(&socket, 16).unwrap();
    let server = TcpListener::from(socket);
    let port = server.local_addr().unwrap().port();
    (server, port)
}

/// Connects, and waits until the other side has it: its queue is then so long.
pub(crate) fn connect_to(diag: &mut SockDiag, port: u16, then_queued: u32) -> TcpStream {
    let client = TcpStream::connect((LOOPBACK.ip(), port)).unwrap();
    wait::until("the connection waits to be accepted", || {
        diag.listeners(Some(port)).unwrap().iter().map(|listener| listener.queue).sum::<u32>() == then_queued
    });
    client
}

/// Begins to connect, and does not wait for it.
pub(crate) fn connect_in_vain_or_not(port: u16) -> OwnedFd {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let client = socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(ipproto::TCP)).unwrap();
    let begun = connect(&client, &SocketAddr::new(LOOPBACK.ip(), port));
    assert!(matches!(begun, Ok(()) | Err(rustix::io::Errno::INPROGRESS)), "{begun:?}");
    client
}

/// A network namespace, with loopback, for as long as a process lives in it.
pub(crate) struct Namespace(Victim);

impl Namespace {
    pub(crate) fn make() -> Self {
        let namespace = Self(Victim::run(Command::new("unshare").arg("--net").arg("--").arg(built("vforks"))));
        namespace.inside(loopback_up);
        namespace
    }

    pub(crate) fn pid(&self) -> Pid {
        self.0.id().pid
    }

    pub(crate) fn netns(&self) -> NetNs {
        netns::of(self.0.id().pid).unwrap()
    }

    pub(crate) fn diag(&self) -> SockDiag {
        SockDiag::of(self.0.id().pid).unwrap()
    }

    /// Sockets that are made there stay there.
    pub(crate) fn inside<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let (netns, made) = netns::inside(self.0.id().pid, || Ok(action())).unwrap();
        assert_eq!(netns, self.netns());
        made
    }
}
