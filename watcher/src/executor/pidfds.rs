//! The sole owner of pidfds: becomes readable when a process that it holds has gone.

use std::{collections::BTreeMap, io, os::fd::OwnedFd};

use rustix::event::epoll;
use watcher_core::{Ending, Event, ProcId};

use super::inspect;
use crate::sys::{pidfd, proc, readable::Readable};

/// Pidfds of the processes that are held, in one epoll set.
#[derive(Debug)]
pub struct Pidfds {
    epoll: OwnedFd,
    readable: Readable,
    held: BTreeMap<u64, (ProcId, OwnedFd)>,
    next_token: u64,
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
    /// # Errors
    /// When no epoll set can be made.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { readable: Readable::of(&epoll)?, epoll, held: BTreeMap::new(), next_token: 0 })
    }

    /// Holds a process: its end will be told by [`Self::drain`].
    ///
    /// # Errors
    /// When the kernel has no pidfds, or no descriptor is left.
    pub fn hold(&mut self, proc: ProcId) -> io::Result<Held> {
        let pidfd = match pidfd::open(proc.pid) {
            Ok(pidfd) => pidfd,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(Held::Gone),
            Err(error) => return Err(error),
        };
        // Opened by number: only now, with the descriptor in hand, the start time tells whose it is.
        match proc::facts(proc.pid)? {
            Some(facts) if facts.proc == proc => {}
            Some(_) | None => return Ok(Held::Gone),
        }
        let token = self.next_token;
        epoll::add(&self.epoll, &pidfd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?;
        self.next_token += 1;
        self.held.insert(token, (proc, pidfd));
        Ok(Held::Yes)
    }

    /// Waits until a held process has gone.
    ///
    /// # Errors
    /// When the descriptor cannot be watched any more.
    pub async fn readable(&self) -> io::Result<()> {
        self.readable.next().await
    }

    /// Tells of every held process that has gone, and lets go of it.
    ///
    /// # Errors
    /// When the epoll set cannot be read.
    pub fn drain(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        let at_once = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut ready = Vec::with_capacity(64);
        loop {
            ready.clear();
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), Some(&at_once))?;
            if ready.is_empty() {
                return Ok(());
            }
            for event in &ready {
                if let Some((proc, pidfd)) = self.held.remove(&event.data.u64()) {
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
