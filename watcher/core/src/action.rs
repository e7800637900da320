//! What the core can ask for.

use crate::{Death, ProcId, Signal};

/// Something to be done. Actions are done in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell of a death.
    Report(Death),
    /// Watch this process no longer.
    Unwatch(ProcId),
    /// Look at every watched process once: some news was lost.
    Sweep {
        /// How many records were lost.
        lost: u64,
    },
    /// All is done, or the operator wants to stop.
    Finish {
        /// The signal that asked for it, if one did.
        stopped_by: Option<Signal>,
    },
}

/// The actions of one step, in order.
#[derive(Debug, Default)]
pub struct Outbox(Vec<Action>);

impl Outbox {
    /// Asks for something.
    pub(crate) fn push(&mut self, action: Action) {
        self.0.push(action);
    }

    /// Takes everything that was asked for.
    #[must_use = "an action that is dropped is never done"]
    pub fn drain(&mut self) -> impl Iterator<Item = Action> + '_ {
        self.0.drain(..)
    }
}
