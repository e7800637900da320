//! The kernel's process connector: a netlink socket that tells of every process of the host. A filter on it lets only what
//! is wanted wake us. There since Linux 2.6.15.

mod filter;
mod ranges;
mod wire;

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use libc::sock_filter;
use rustix::{
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind,
        netlink::{CONNECTOR, SocketAddrNetlink},
        recvfrom, sendto, socket_with, sockopt,
    },
    thread::CapabilitySet,
};
use thiserror::Error;
use watcher_core::Pid;

use self::wire::Message;
pub use self::{
    filter::{Ends, Wanted},
    ranges::Ranges,
};
use super::{capabilities, host, limits, readable};

/// The multicast group of processes.
const GROUP: u32 = 1;

/// What a message takes of the socket's buffer, as the kernel reckons.
const MESSAGE: usize = 1280;

/// The kernel answers a request before it returns from it.
const PATIENCE: Duration = Duration::from_millis(100);

/// Why there is no process connector for us.
#[derive(Debug, Error)]
pub enum NotHeard {
    /// The kernel was built without it.
    #[error("the kernel has no process connector (it was built without CONFIG_CONNECTOR)")]
    Missing,
    /// It may not be used.
    #[error("{}", not_permitted())]
    NotPermitted,
    /// It is there, but answers nobody here.
    #[error(
        "the kernel's process connector is out of reach in this network namespace: it is there in the initial one only"
    )]
    OtherNetwork,
    /// It does not answer.
    #[error("the kernel's process connector does not answer: {0}")]
    Silent(&'static str),
    /// Something else.
    #[error("{step} failed: {}", limits::sentence(error))]
    Failed {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

impl NotHeard {
    fn at(step: &'static str) -> impl Fn(rustix::io::Errno) -> Self {
        move |error| match error {
            rustix::io::Errno::PROTONOSUPPORT => Self::Missing,
            rustix::io::Errno::PERM | rustix::io::Errno::ACCESS => Self::NotPermitted,
            rustix::io::Errno::CONNREFUSED => Self::OtherNetwork,
            error => Self::Failed { step, error: error.into() },
        }
    }
}

/// What is told. The numbers are those of the initial pid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A process has begun to run a program.
    Exec {
        /// Its number.
        pid: Pid,
    },
    /// The leading thread of a process has ended: it may be the last one, or others live on.
    LeaderExit {
        /// The number of the process.
        pid: Pid,
        /// The wait status of this thread; of the process, if it was the last one or the whole process was ended.
        status: u32,
    },
    /// There was no room for some news.
    Lost,
}

/// A socket that listens to it.
#[derive(Debug)]
pub struct ProcConnector {
    socket: OwnedFd,
    wanted: Wanted,
    is_listening: bool,
}

impl ProcConnector {
    /// Listens to what is wanted, with room for so many news at once.
    ///
    /// # Errors
    /// Says what this host lacks.
    pub fn open(wanted: Wanted, room: usize) -> Result<Self, NotHeard> {
        capabilities::with(CapabilitySet::NET_ADMIN, || Self::open_with_what_it_takes(wanted, room))
    }

    fn open_with_what_it_takes(wanted: Wanted, room: usize) -> Result<Self, NotHeard> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(CONNECTOR));
        let socket = socket.map_err(NotHeard::at("making a socket for the process connector"))?;
        let nothing = Wanted { ends: Ends::Nobody, starts: false };
        let mut connector = Self { socket, wanted: nothing, is_listening: false };
        // Before there is anything to be let through.
        connector.let_through(filter::program(&connector.wanted)).map_err(no_filter)?;
        connector.make_room(room);
        let address = SocketAddrNetlink::new(0, GROUP);
        bind(&connector.socket, &address).map_err(NotHeard::at("joining the group of the process connector"))?;
        connector.listen()?;
        connector.is_listening = true;
        connector.want(wanted).map_err(no_filter)?;
        Ok(connector)
    }

    fn make_room(&self, room: usize) {
        let bytes = room.saturating_mul(MESSAGE).min(64 << 20);
        // Beyond what any user may have it takes CAP_NET_ADMIN. With less, more is lost, and looked for.
        if sockopt::set_socket_recv_buffer_size_force(&self.socket, bytes).is_err() {
            let _as_it_was = sockopt::set_socket_recv_buffer_size(&self.socket, bytes);
        }
    }

    fn request(&self, number: u32, operation: u32) -> rustix::io::Result<()> {
        let request = wire::request(number, operation);
        sendto(&self.socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).map(|_all| ())
    }

    /// What a refusal says may be over soon, or be somebody else's answer: only two count.
    fn listen(&self) -> Result<(), NotHeard> {
        self.try_to_listen().or_else(|_first| self.try_to_listen())
    }

    fn try_to_listen(&self) -> Result<(), NotHeard> {
        // Whoever may ask the kernel can make it answer to any number, in everybody's hearing. It answers us before anybody
        // can know this one.
        let number = RandomState::new().hash_one(()) as u32;
        self.let_through(filter::answer_to(number)).map_err(no_filter)?;
        self.request(number, wire::LISTEN).map_err(NotHeard::at("asking the process connector to tell"))?;
        let limit = Instant::now() + PATIENCE;
        loop {
            match self.receive() {
                Ok(Some(Received::Message(Message::Answer { number: of, error }))) if of == number => {
                    return match i32::try_from(error) {
                        Ok(0) => Ok(()),
                        Ok(error) => Err(NotHeard::at("listening")(rustix::io::Errno::from_raw_os_error(error))),
                        Err(_) => Err(NotHeard::Silent("its answer makes no sense")),
                    };
                }
                // The answer to the first try.
                Ok(Some(Received::Message(_) | Received::Lost)) => {}
                Ok(None) => {
                    let failed = |error| NotHeard::Failed { step: "waiting for the process connector", error };
                    if !self.wait_until(limit).map_err(failed)? {
                        return Err(NotHeard::Silent(why_silent()));
                    }
                }
                Err(error) => return Err(NotHeard::Failed { step: "reading from the process connector", error }),
            }
        }
    }

    /// Waits until there is something to be taken. Says whether there is.
    ///
    /// # Errors
    /// When the socket cannot be waited for.
    pub fn wait_until(&self, limit: Instant) -> io::Result<bool> {
        readable::wait(&self.socket, limit.saturating_duration_since(Instant::now()))
    }

    /// What is wanted.
    #[must_use]
    pub const fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// From now on this is wanted.
    ///
    /// # Errors
    /// When the kernel does not take the filter.
    pub fn want(&mut self, wanted: Wanted) -> io::Result<()> {
        self.let_through(filter::program(&wanted))?;
        self.wanted = wanted;
        Ok(())
    }

    fn let_through(&self, mut program: Vec<sock_filter>) -> io::Result<()> {
        let length = u16::try_from(program.len()).map_err(io::Error::other)?;
        let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
        let size = size_of_val(&program) as libc::socklen_t;
        let pointer = (&raw const program).cast();
        // SAFETY: the kernel copies `len` steps from a vector that lives until the call has returned.
        let done = unsafe {
            libc::setsockopt(self.socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, pointer, size)
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The oldest news that was not taken yet.
    ///
    /// # Errors
    /// When the socket cannot be read any more.
    pub fn take(&self) -> io::Result<Option<News>> {
        loop {
            return Ok(Some(match self.receive()? {
                None => return Ok(None),
                Some(Received::Lost) => News::Lost,
                Some(Received::Message(Message::Exec { pid })) => News::Exec { pid },
                Some(Received::Message(Message::LeaderExit { pid, status })) => News::LeaderExit { pid, status },
                Some(Received::Message(Message::Answer { .. } | Message::Other)) => continue,
            }));
        }
    }

    fn receive(&self) -> io::Result<Option<Received>> {
        let mut datagram = [0_u8; 256];
        loop {
            match recvfrom(&self.socket, &mut datagram[..], RecvFlags::DONTWAIT) {
                Ok((length, _, sender)) => {
                    // Root may send to the group, too; only what the kernel says counts.
                    let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
                    if sender.is_some_and(|sender| sender.pid() == 0) {
                        let message = wire::read(datagram.get(..length).unwrap_or_default());
                        return Ok(Some(Received::Message(message)));
                    }
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                // Said once until all is read. Other gaps cannot be seen: what is filtered out is numbered, too.
                Err(rustix::io::Errno::NOBUFS) => return Ok(Some(Received::Lost)),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

enum Received {
    Message(Message),
    Lost,
}

fn no_filter(error: io::Error) -> NotHeard {
    NotHeard::Failed { step: "putting a filter on the process connector", error }
}

fn not_permitted() -> &'static str {
    if capabilities::effective().contains(CapabilitySet::NET_ADMIN) {
        "the process connector is not permitted although CAP_NET_ADMIN is there: a seccomp filter, a security module or a \
         user namespace forbids it"
    } else {
        "the process connector is not permitted: this process lacks CAP_NET_ADMIN; run it as root"
    }
}

fn why_silent() -> &'static str {
    match host::own_pid_namespace() {
        Ok(Some(_)) => "it tells nobody outside the initial pid namespace",
        Ok(None) | Err(_) => {
            "the kernel was built without CONFIG_PROC_EVENTS, or this is not the initial user namespace"
        }
    }
}

impl AsFd for ProcConnector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for ProcConnector {
    fn drop(&mut self) {
        // Kernels before Linux 6.6 count listeners by what they say: they would go on telling nobody, and whoever takes his
        // leave twice takes another's.
        if self.is_listening {
            let _told = capabilities::with(CapabilitySet::NET_ADMIN, || self.request(0, wire::IGNORE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::child::WaitingChild;

    /// It takes root, in the initial namespaces.
    fn connector() -> Option<ProcConnector> {
        match ProcConnector::open(Wanted { ends: Ends::All, starts: false }, 1024) {
            Ok(connector) => Some(connector),
            Err(NotHeard::Missing | NotHeard::NotPermitted | NotHeard::OtherNetwork | NotHeard::Silent(_)) => None,
            Err(error @ NotHeard::Failed { .. }) => panic!("{error}"),
        }
    }

    fn next(connector: &ProcConnector) -> News {
        loop {
            if let Some(news) = connector.take().unwrap() {
                return news;
            }
            assert!(connector.wait_until(Instant::now() + Duration::from_secs(60)).unwrap(), "nothing is told");
        }
    }

    #[test]
    fn the_end_of_a_child_is_told_with_its_status() {
        let Some(connector) = connector() else { return };
        let child = WaitingChild::fork(86).unwrap();
        child.release().unwrap();
        let wanted = News::LeaderExit { pid: child.pid(), status: 86 << 8 };
        while next(&connector) != wanted {}
    }

    #[test]
    fn starts_are_told_exactly_while_they_are_wanted() {
        let Some(mut connector) = connector() else { return };
        let run = || {
            let mut child = std::process::Command::new("true").spawn().unwrap();
            child.wait().unwrap();
            Pid::new(child.id()).unwrap()
        };
        let told = |connector: &ProcConnector, pid| {
            let mut started = false;
            loop {
                match next(connector) {
                    News::Exec { pid: of } => started |= of == pid,
                    News::LeaderExit { pid: of, .. } if of == pid => return started,
                    News::LeaderExit { .. } => {}
                    News::Lost => panic!("there is room"),
                }
            }
        };
        for starts in [false, true, false] {
            connector.want(Wanted { ends: Ends::All, starts }).unwrap();
            assert_eq!(told(&connector, run()), starts);
        }
    }
}
