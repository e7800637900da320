//! What the core can be told.

use crate::{
    Blame, Comm, Ending, Mono, Order, Origin, PortKey, PortReport, PortWatchId, ProbeId, ProcId, RequestId, RunEnd,
    RunId, Signal, SocketNews, Span, Uptime,
    pfile::{Pfile, select::Processes},
    probe::Verdict,
};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time has passed: something was to be done by now.
    Deadline,
    /// A process has begun to run a program of a name that is waited for.
    Exec {
        /// Which.
        proc: ProcId,
    },
    /// The kernel reported that a process is dying.
    Exit(ExitNotice),
    /// A process has gone: its pidfd says so, or `/proc` has no such process any more.
    Gone {
        /// Which.
        proc: ProcId,
        /// How it ended, where that could still be found out.
        ending: Ending,
    },
    /// The kernel side could not deliver this many records.
    Lost {
        /// How many since the last such event.
        records: u64,
    },
    /// All processes of the host, as they were asked for.
    Listed {
        /// They.
        processes: Processes,
        /// When they had been read.
        uptime: Uptime,
    },
    /// An operator's order.
    Order {
        /// Who waits for an answer; nobody when it came by a signal.
        request: Option<RequestId>,
        /// What.
        order: Order,
    },
    /// A look at a watched port is over.
    PortLooked {
        /// Which.
        watch: PortWatchId,
        /// What there is; nothing when it could not be seen.
        report: Option<PortReport>,
    },
    /// A port is watched: by this name the kernel speaks of it.
    PortWatched {
        /// Which.
        watch: PortWatchId,
        /// Its name.
        key: PortKey,
    },
    /// An attempt to ask a service is over.
    Probed {
        /// Which.
        probe: ProbeId,
        /// What came of it.
        verdict: Verdict,
    },
    /// Rules that were asked for.
    Rules {
        /// Who waits for an answer.
        request: Option<RequestId>,
        /// They, or why they are not to be had, as a sentence.
        rules: Result<Box<Pfile>, String>,
    },
    /// A script has ended, or was never started.
    RunEnded {
        /// Which run.
        run: RunId,
        /// How.
        end: RunEnd,
    },
    /// A script runs.
    RunStarted {
        /// Which run.
        run: RunId,
        /// The script's process.
        script: ProcId,
    },
    /// The kernel has seen that something is wrong, or well again, with the sockets of a watched port.
    Socket(SocketNews),
    /// The kernel side could not deliver this many of these: each watched port may stand otherwise than it was told.
    SocketsLost {
        /// How many since the last such event.
        records: u64,
    },
    /// Starts of programs that are waited for may not have been told for a moment: what tells of them was replaced.
    StartsUntold,
    /// The operator asked to stop.
    Stop {
        /// By this signal.
        signal: Signal,
    },
    /// A look has found a process dead, and its parent has not taken notice.
    Zombie {
        /// Which.
        proc: ProcId,
        /// How it ended, where that could be found out.
        ending: Ending,
    },
}

/// The last thread of a process has begun to exit. Memory, files and sockets may still be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitNotice {
    /// Which process.
    pub proc: ProcId,
    /// How it ends.
    pub ending: Ending,
    /// When the kernel noticed.
    pub at: Mono,
    /// Its command name at that moment.
    pub comm: Comm,
    /// The last signal that may have ended it, if one was sent and the kernel told. See [`crate::explain`].
    pub blame: Option<Blame>,
}

impl ExitNotice {
    /// Whose doing the end was, where that is known.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        self.blame.filter(|blame| blame.explains(self.ending, self.at)).map(|blame| blame.origin)
    }

    /// Who or what ended the process, as a sentence that follows "the process".
    #[must_use]
    pub fn cause(&self) -> String {
        crate::explain(self.ending, self.at, self.blame.as_ref())
    }
}

/// A death, as it is reported: once for each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// Which process.
    pub proc: ProcId,
    /// How it ended.
    pub ending: Ending,
    /// When: by the kernel's stamp, or when it was found out where there is none.
    pub at: Mono,
    /// From the kernel's stamp to the decision; unknown where the kernel sent no stamp.
    pub latency: Option<Span>,
    /// Its command name when it died, where the kernel told.
    pub comm: Option<Comm>,
    /// The last signal that may have ended it, if one was sent and the kernel told. See [`crate::explain`].
    pub blame: Option<Blame>,
}
