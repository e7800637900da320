//! The names of programs whose starts are told. The program that looks at every start on the host is attached only while
//! there are any.

use std::{
    collections::BTreeMap,
    fmt, io,
    os::fd::{AsFd as _, OwnedFd},
};

use aya::{
    maps::{HashMap, MapData, MapError},
    programs::ProgramFd,
};
use thiserror::Error;
use watcher_abi::COMM_LEN;
use watcher_core::Comm;

use crate::sys::raw_tracepoint;

/// The tracepoint, as the system call wants it: see [`watcher_abi::name::ON_EXEC_TRACEPOINT`].
const TRACEPOINT: &std::ffi::CStr = c"sched_process_exec";

/// Why starts of a program will not be told.
#[derive(Debug, Error)]
pub enum NotExpected {
    /// This kernel did not take the program.
    #[error("{0}")]
    NotLoaded(String),
    /// The kernel's table takes no more names.
    #[error("the table of names that are waited for takes no more: {0}")]
    Full(#[source] MapError),
    /// The program could not be attached.
    #[error("the program that tells of starts cannot be attached: {0}")]
    NotAttached(#[source] io::Error),
}

/// The names that are expected.
pub struct Starts {
    names: HashMap<MapData, [u8; COMM_LEN], u32>,
    /// How often each name is expected.
    expected: BTreeMap<Comm, u32>,
    program: Result<ProgramFd, String>,
    /// The program is attached while this is held.
    link: Option<OwnedFd>,
}

impl Starts {
    pub(super) const fn new(names: HashMap<MapData, [u8; COMM_LEN], u32>, program: Result<ProgramFd, String>) -> Self {
        Self { names, expected: BTreeMap::new(), program, link: None }
    }

    /// From now on starts of programs with this command name are told. Whether one has started before this moment is for
    /// the caller to find out afterwards.
    ///
    /// # Errors
    /// When they will not be told.
    pub fn expect(&mut self, comm: Comm) -> Result<(), NotExpected> {
        let program = self.program.as_ref().map_err(|reason| NotExpected::NotLoaded(reason.clone()))?;
        if let Some(times) = self.expected.get_mut(&comm) {
            *times += 1;
            return Ok(());
        }
        self.names.insert(comm.bytes(), 0, 0).map_err(NotExpected::Full)?;
        if self.link.is_none() {
            match raw_tracepoint::attach(program.as_fd(), TRACEPOINT) {
                Ok(link) => self.link = Some(link),
                Err(error) => {
                    self.forget(comm);
                    return Err(NotExpected::NotAttached(error));
                }
            }
        }
        self.expected.insert(comm, 1);
        Ok(())
    }

    /// The name is expected once less. Starts that are on their way may still be told.
    pub fn expect_no_more(&mut self, comm: Comm) {
        match self.expected.get_mut(&comm) {
            None => {}
            Some(times) if *times > 1 => *times -= 1,
            Some(_) => {
                self.expected.remove(&comm);
                self.forget(comm);
            }
        }
        if self.expected.is_empty() {
            self.link = None;
        }
    }

    fn forget(&mut self, comm: Comm) {
        // Only this value changes the table, so the name is there.
        let _was_there = self.names.remove(&comm.bytes());
    }
}

impl fmt::Debug for Starts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starts").field("expected", &self.expected).finish_non_exhaustive()
    }
}
