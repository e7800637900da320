//! What the core can ask for.

use std::sync::Arc;

use crate::{
    Answer, EntryId, PortWatchId, ProbeId, ProcId, RequestId, RunId, SavedEntry, ScriptOrder, Signal, Thresholds, Told,
    pfile::{Bytes, Port, RetryOver},
    probe::Ask,
};

/// Something to be done. Actions are done in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A watched process is dying: tell when it has gone.
    AwaitEnd(ProcId),
    /// Write the dump file: something has failed, or the operator asks for it.
    Dump,
    /// End a script, with all its processes.
    EndRun {
        /// Which run.
        run: RunId,
        /// By force.
        force: bool,
    },
    /// Tell when a process begins to run a program of this name.
    Expect(Bytes),
    /// That is not wanted any more.
    ExpectNoMore(Bytes),
    /// The watch is over.
    Finish(Finish),
    /// An attempt to ask a service is not wanted any more.
    ForgetProbe(ProbeId),
    /// Forget all that was saved, and save this.
    Renew(Vec<Arc<SavedEntry>>),
    /// List all processes of the host.
    List,
    /// Look at a watched port: what the kernel does not tell unasked.
    LookAtPort(PortWatchId),
    /// Ask a service, once.
    Probe {
        /// This attempt.
        probe: ProbeId,
        /// What.
        ask: Arc<Ask>,
    },
    /// Remember this, and tell whoever follows: the log has been told, since all pfiles of the host are concerned.
    Remember(Told),
    /// Read the rules again.
    ReadRules {
        /// Who waits for an answer.
        request: Option<RequestId>,
    },
    /// Answer an operator.
    Reply {
        /// Whom.
        request: RequestId,
        /// What.
        answer: Answer,
    },
    /// Run a script.
    Run(Box<ScriptOrder>),
    /// Save this, for when the watch is killed.
    Save(Arc<SavedEntry>),
    /// Send a process a signal.
    Signal {
        /// Which.
        proc: ProcId,
        /// What.
        signal: Signal,
    },
    /// Send a signal to all processes of a group.
    SignalGroup {
        /// Who leads it.
        leader: ProcId,
        /// What.
        signal: Signal,
    },
    /// Keep what can still be seen of a process that is dying, or dead.
    Snapshot {
        /// Whose process it was.
        entry: EntryId,
        /// Which.
        proc: ProcId,
    },
    /// Look at every watched process once: some news was lost.
    Sweep,
    /// Tell the log, and whoever follows.
    Tell(Told),
    /// Watch this process no longer.
    Unwatch(ProcId),
    /// Watch this port no longer.
    UnwatchPort(PortWatchId),
    /// Watch this process: tell when it dies.
    Watch(ProcId),
    /// Watch the sockets of a port: tell when one of these thresholds is crossed.
    WatchPort {
        /// This watch.
        watch: PortWatchId,
        /// In whose network namespace.
        proc: ProcId,
        /// Which.
        port: Port,
        /// When to tell.
        thresholds: Thresholds,
    },
}

/// Why a watch is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The operator asked for it.
    Asked,
    /// An entry's retries are used up, and its action ends the watch: `Exit` or `Shutdown`.
    RetryOver(RetryOver),
}

/// The actions of one step, in order.
#[derive(Debug)]
pub struct Outbox<A>(Vec<A>);

impl<A> Default for Outbox<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A> Outbox<A> {
    /// Asks for something.
    pub(crate) fn push(&mut self, action: A) {
        self.0.push(action);
    }

    /// Asks for all of these.
    pub(crate) fn extend(&mut self, actions: impl IntoIterator<Item = A>) {
        self.0.extend(actions);
    }

    /// Takes everything that was asked for. Room for it is not kept: after the first look at ten thousand processes that would
    /// be more than all that is known of them.
    #[must_use = "an action that is dropped is never done"]
    pub fn drain(&mut self) -> impl Iterator<Item = A> + use<A> {
        std::mem::take(&mut self.0).into_iter()
    }
}
