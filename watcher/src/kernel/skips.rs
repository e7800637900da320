//! How often the kernel has skipped the program that tells of deaths, and for how many deaths that accounts.
//!
//! Since Linux 7.0 a program on a tracepoint may be interrupted by another process, and is then skipped for whoever dies on that
//! CPU before it can go on. The first of the two is counted: whoever is missed was skipped by both.

use std::os::fd::AsFd as _;

use aya::programs::ProgramFd;

use crate::sys::raw_tracepoint;

/// Deaths that were not told, against times that the program was skipped.
#[derive(Debug)]
pub(super) struct Skips {
    program: ProgramFd,
    /// How often it had been skipped when both counts began.
    before: u64,
    untold: u64,
}

impl Skips {
    pub(super) fn of(program: ProgramFd) -> Self {
        let before = raw_tracepoint::missed(program.as_fd());
        Self { program, before, untold: 0 }
    }

    /// How often it was skipped until now.
    pub(super) fn count(&self) -> u64 {
        raw_tracepoint::missed(self.program.as_fd())
    }

    /// Whether the kernel has skipped the program often enough for one more death that was not told.
    pub(super) fn account_for_another(&mut self) -> bool {
        self.untold += 1;
        self.untold <= self.count().saturating_sub(self.before)
    }

    /// All are known who were dead, or dying, when it had been skipped so often: that accounts for nobody who dies later.
    pub(super) const fn settle(&mut self, count: u64) {
        (self.before, self.untold) = (count, 0);
    }
}
