//! The peers: a bare loop over pidfds, and the kernel's process connector.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::epoll,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketType, bind,
        netlink::{self, SocketAddrNetlink},
        recv, send, socket, sockopt,
    },
};
use watcher::sys::pidfd;
use watcher_core::ProcId;

/// A pidfd for each process, in one epoll set.
pub(crate) struct PidfdLoop {
    epoll: OwnedFd,
    held: BTreeMap<u64, (ProcId, OwnedFd)>,
}

impl PidfdLoop {
    pub(crate) fn hold(members: &[ProcId]) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll set");
        let mut held = BTreeMap::new();
        for (token, member) in (0..).zip(members) {
            let pidfd = pidfd::open(member.pid).expect("a pidfd");
            let data = epoll::EventData::new_u64(token);
            epoll::add(&epoll, &pidfd, data, epoll::EventFlags::IN).expect("room in the set");
            held.insert(token, (*member, pidfd));
        }
        Self { epoll, held }
    }

    /// Takes those that have gone.
    pub(crate) fn take(&mut self) -> Vec<ProcId> {
        wait(&self.epoll, true).into_iter().filter_map(|token| self.held.remove(&token)).map(|(proc, _)| proc).collect()
    }
}

impl AsFd for PidfdLoop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// Waits on an epoll set, or only looks at it; the tokens that are ready.
pub(crate) fn wait(set: &OwnedFd, at_once: bool) -> Vec<u64> {
    let limit = rustix::time::Timespec { tv_sec: if at_once { 0 } else { 60 }, tv_nsec: 0 };
    let mut ready = Vec::with_capacity(16);
    epoll::wait(set, rustix::buffer::spare_capacity(&mut ready), Some(&limit)).expect("an epoll set");
    ready.iter().map(|event: &epoll::Event| event.data.u64()).collect()
}

const CN_IDX_PROC: u32 = 1;
const PROC_CN_MCAST_LISTEN: u32 = 1;
const PROC_EVENT_EXIT: u32 = 0x8000_0000;
const NLMSG_DONE: u16 = 3;

/// Bytes of the netlink header, and of the connector's header behind it.
const HEADERS: usize = 16 + 20;

/// A subscription to every fork, exec and exit of the host, as this tool's peers use it: without a filter.
pub(crate) struct Connector {
    socket: OwnedFd,
    /// Datagrams that were read.
    pub(crate) messages: u64,
}

impl Connector {
    pub(crate) fn subscribe() -> Self {
        let protocol = Some(netlink::CONNECTOR);
        let socket = socket(AddressFamily::NETLINK, SocketType::DGRAM, protocol).expect("a netlink socket");
        sockopt::set_socket_recv_buffer_size_force(&socket, 8 << 20)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, 8 << 20))
            .expect("a buffer");
        bind(&socket, &SocketAddrNetlink::new(0, CN_IDX_PROC)).expect("the connector's group");
        let body = PROC_CN_MCAST_LISTEN.to_ne_bytes();
        let mut message = Vec::new();
        message.extend(((HEADERS + body.len()) as u32).to_ne_bytes());
        message.extend(NLMSG_DONE.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(CN_IDX_PROC.to_ne_bytes());
        message.extend(1_u32.to_ne_bytes());
        message.extend([0; 8]);
        message.extend((body.len() as u16).to_ne_bytes());
        message.extend([0; 2]);
        message.extend(body);
        send(&socket, &message, SendFlags::empty()).expect("the connector takes subscriptions");
        Self { socket, messages: 0 }
    }

    /// Takes the pids of processes whose leaders have exited.
    pub(crate) fn take(&mut self) -> Vec<u32> {
        let mut pids = Vec::new();
        let mut bytes = [0; 1024];
        while let Ok((length, _)) = recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
            self.messages += 1;
            pids.extend(bytes.get(HEADERS..length).and_then(exited));
        }
        pids
    }
}

impl AsFd for Connector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The process that an exit event tells of, unless a follower exited.
fn exited(event: &[u8]) -> Option<u32> {
    let word = |at: usize| event.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    let (what, tid, pid) = (word(0)?, word(16)?, word(20)?);
    (what == PROC_EVENT_EXIT && tid == pid).then_some(pid)
}
