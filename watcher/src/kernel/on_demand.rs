//! Programs that are attached only while somebody needs what they tell.

use std::{
    ffi::CStr,
    os::fd::{AsFd as _, OwnedFd},
};

use aya::programs::ProgramFd;

use super::ports::NotWatched;
use crate::sys::raw_tracepoint;

/// The tracepoints, as the system call wants them: see [`watcher_abi::name::ON_STATE_TRACEPOINT`] and its neighbours.
const STATES: &CStr = c"inet_sock_set_state";
const SYNACKS: &CStr = c"tcp_retransmit_synack";
const MEMORY: &CStr = c"sock_exceed_buf_limit";

/// The programs on sockets, or why there is none.
pub(super) struct SocketPrograms {
    pub(super) on_state: Result<ProgramFd, String>,
    pub(super) on_synack: Result<ProgramFd, String>,
    pub(super) on_memory: Result<ProgramFd, String>,
}

/// The same, to be attached.
pub(super) struct OnSockets {
    pub(super) state: OnDemand,
    pub(super) synack: OnDemand,
    pub(super) memory: OnDemand,
}

/// One program.
pub(super) struct OnDemand {
    program: Result<ProgramFd, String>,
    tracepoint: &'static CStr,
    link: Option<OwnedFd>,
}

impl OnSockets {
    pub(super) fn new(programs: SocketPrograms) -> Self {
        let SocketPrograms { on_state, on_synack, on_memory } = programs;
        let on_demand = |program, tracepoint| OnDemand { program, tracepoint, link: None };
        Self {
            state: on_demand(on_state, STATES),
            synack: on_demand(on_synack, SYNACKS),
            memory: on_demand(on_memory, MEMORY),
        }
    }

    /// None of them is used any more, for this reason.
    pub(super) fn give_up(&mut self, reason: &str) {
        for program in [&mut self.state, &mut self.synack, &mut self.memory] {
            program.detach();
            program.program = Err(reason.to_owned());
        }
    }
}

impl OnDemand {
    pub(super) fn attach(&mut self) -> Result<(), NotWatched> {
        if self.link.is_none() {
            let program = self.program.as_ref().map_err(|reason| NotWatched::NotLoaded(reason.clone()))?;
            self.link =
                Some(raw_tracepoint::attach(program.as_fd(), self.tracepoint).map_err(NotWatched::NotAttached)?);
        }
        Ok(())
    }

    pub(super) fn detach(&mut self) {
        self.link = None;
    }

    /// How often it could not run.
    pub(super) fn missed(&self) -> u64 {
        self.program.as_ref().map_or(0, |program| raw_tracepoint::missed(program.as_fd()))
    }

    pub(super) const fn is_attached(&self) -> bool {
        self.link.is_some()
    }
}
