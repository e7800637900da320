//! The sole owner of pidfds: becomes readable when a process that it holds has gone.

use std::{collections::BTreeMap, future::pending, io, os::fd::OwnedFd};

use rustix::event::epoll;
use watcher_core::{Ending, Event, ProcId};

use super::inspect;
use crate::sys::{pidfd, proc, readable::Readable};

/// Pidfds of the processes that are held, in one epoll set.
#[derive(Debug, Default)]
pub struct Pidfds {
    /// None as long as no descriptor was left for it, or nobody was to be held.
    set: Option<Set>,
    held: BTreeMap<u64, (ProcId, OwnedFd)>,
    tokens: BTreeMap<ProcId, u64>,
    next_token: u64,
}

#[derive(Debug)]
struct Set {
    epoll: OwnedFd,
    readable: Readable,
}

impl Set {
    fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { readable: Readable::of(&epoll)?, epoll })
    }
}

/// What came of the wish to hold a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It is held; its end will be told.
    Yes,
    /// It has gone already.
    Gone,
}

impl Pidfds {
    /// Holds a process: its end will be told by [`Self::drain`].
    ///
    /// # Errors
    /// When the kernel has no pidfds, or no descriptor is left.
    pub fn hold(&mut self, proc: ProcId) -> io::Result<Held> {
        if self.tokens.contains_key(&proc) {
            return Ok(Held::Yes);
        }
        let pidfd = match pidfd::open(proc.pid) {
            Ok(pidfd) => pidfd,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(Held::Gone),
            Err(error) => return Err(error),
        };
        // Opened by number: only now, with the descriptor in hand, the start time tells whose it is.
        match proc::facts(proc.pid)? {
            Some(facts) if facts.proc == proc => {}
            Some(_) => return Ok(Held::Gone),
            None if pidfd::has_gone(&pidfd) => return Ok(Held::Gone),
            None => return Err(io::Error::other("/proc does not show it any more")),
        }
        let set = match &mut self.set {
            Some(set) => set,
            none @ None => none.insert(Set::new()?),
        };
        let token = self.next_token;
        epoll::add(&set.epoll, &pidfd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?;
        self.next_token += 1;
        self.held.insert(token, (proc, pidfd));
        self.tokens.insert(proc, token);
        Ok(Held::Yes)
    }

    /// Whether it is held.
    #[must_use]
    pub fn holds(&self, proc: ProcId) -> bool {
        self.tokens.contains_key(&proc)
    }

    /// All that are held.
    pub fn procs(&self) -> impl Iterator<Item = ProcId> + '_ {
        self.tokens.keys().copied()
    }

    /// Holds a process no longer.
    pub fn let_go(&mut self, proc: ProcId) {
        if let Some(token) = self.tokens.remove(&proc) {
            self.held.remove(&token);
        }
    }

    /// Waits until a held process has gone.
    ///
    /// # Errors
    /// When the descriptor cannot be watched any more.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.set {
            Some(set) => set.readable.next().await,
            None => pending().await,
        }
    }

    /// Tells of every held process that has gone, and lets go of it.
    ///
    /// # Errors
    /// When the epoll set cannot be read.
    pub fn drain(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        let Some(set) = &self.set else { return Ok(()) };
        let at_once = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut ready = Vec::with_capacity(64);
        loop {
            ready.clear();
            epoll::wait(&set.epoll, rustix::buffer::spare_capacity(&mut ready), Some(&at_once))?;
            if ready.is_empty() {
                return Ok(());
            }
            for event in &ready {
                if let Some((proc, pidfd)) = self.held.remove(&event.data.u64()) {
                    self.tokens.remove(&proc);
                    events.push(Event::Gone { proc, ending: ending(proc, &pidfd) });
                }
            }
        }
    }
}

/// A zombie's wait status stands in `/proc`; once it is reaped, newer kernels keep it for the pidfd.
fn ending(proc: ProcId, pidfd: &OwnedFd) -> Ending {
    match proc::facts(proc.pid) {
        Ok(Some(facts)) if facts.proc == proc && facts.leader_zombie => inspect::ending_of_zombie(&facts),
        Ok(_) | Err(_) => pidfd::ending_after_reap(pidfd),
    }
}

#[cfg(test)]
mod tests {
    use watcher_core::StartTicks;

    use super::*;
    use crate::sys::{child::WaitingChild, own};

    #[tokio::test]
    async fn a_process_is_held_once_and_told_of_when_it_has_gone() {
        let child = WaitingChild::fork(3).unwrap();
        let proc = proc::facts(child.pid()).unwrap().unwrap().proc;
        let mut pidfds = Pidfds::default();
        assert_eq!(pidfds.hold(proc).unwrap(), Held::Yes);
        assert_eq!(pidfds.hold(proc).unwrap(), Held::Yes);
        assert_eq!((pidfds.held.len(), pidfds.tokens.len()), (1, 1));
        child.release().unwrap();
        pidfds.readable().await.unwrap();
        let mut events = Vec::new();
        pidfds.drain(&mut events).unwrap();
        assert!(matches!(events[..], [Event::Gone { proc: gone, .. }] if gone == proc), "{events:?}");
        assert_eq!((pidfds.held.len(), pidfds.tokens.len()), (0, 0));
    }

    #[tokio::test]
    async fn who_has_reused_the_pid_is_not_held() {
        let this = proc::facts(own::pid()).unwrap().unwrap().proc;
        let earlier = ProcId { start: StartTicks(this.start.0 - 1), ..this };
        assert_eq!(Pidfds::default().hold(earlier).unwrap(), Held::Gone);
    }

    #[tokio::test]
    async fn what_is_let_go_is_not_told_of() {
        let this = proc::facts(own::pid()).unwrap().unwrap().proc;
        let mut pidfds = Pidfds::default();
        assert_eq!(pidfds.hold(this).unwrap(), Held::Yes);
        pidfds.let_go(this);
        assert_eq!((pidfds.held.len(), pidfds.tokens.len()), (0, 0));
    }
}
