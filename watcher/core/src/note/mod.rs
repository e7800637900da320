//! What is told: every thing that happens to an entry or to the whole watch.

mod line;
mod sockets;

use crate::{
    Ending, EntryId, NetNs, Origin, Pid, Reason, RunEnd, Signal, SocketAlarm, Span,
    pfile::{AbsolutePath, Bytes, EntryNumber, Port, RetryOver, StallKind},
    probe::Fault,
};

/// How much a line of the log matters. The original's levels are not public; these are this project's own choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `LOG_CRIT`
    Critical,
    /// `LOG_ERR`
    Error,
    /// `LOG_WARNING`
    Warning,
    /// `LOG_NOTICE`
    Notice,
}

/// Something that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Of which entry; none when it is about all of them.
    pub entry: Option<Subject>,
    /// What.
    pub note: Note,
}

/// The entry that something is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which.
    pub id: EntryId,
    /// Its number at this time.
    pub number: EntryNumber,
    /// Its process, as the messages name it.
    pub process: AbsolutePath,
}

/// What can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A service answers, after it did not.
    AnswersAgain {
        /// Its process.
        pid: Pid,
        /// On which port.
        port: Port,
        /// How long it did not.
        after: Span,
        /// How many checks had failed.
        failures: u32,
    },
    /// A process that was to be ended by force is still there.
    CannotKill {
        /// It.
        pid: Pid,
    },
    /// Why a process died, as far as that is known. Follows `Down`.
    Cause {
        /// The process.
        pid: Pid,
        /// How it ended.
        ending: Ending,
        /// Whose doing it was, where that is known.
        origin: Option<Origin>,
        /// Who or what did it, as a sentence that follows "the process".
        cause: String,
        /// From the kernel's stamp to knowing it.
        latency: Option<Span>,
    },
    /// The certificate of a service ends, or has ended.
    CertificateEnds {
        /// On which port.
        port: Port,
        /// In so many days.
        days: i64,
    },
    /// A stall check ends after its first stall, as the rule wants it.
    CheckEnds {
        /// On which port.
        port: Port,
    },
    /// There are too few or too many processes.
    CountWrong {
        /// So many there are.
        have: u32,
        /// At least so many are wanted.
        min: u32,
        /// At most so many are wanted.
        max: Option<u32>,
    },
    /// The process has gone, or is going.
    Down {
        /// The last process that was known.
        pid: Option<Pid>,
        /// Its end was told before: its successor has not come.
        again: bool,
    },
    /// What follows `RetryOver` with `exit`.
    Fatal,
    /// The process that was dying has gone: its memory, files and sockets are free.
    Gone {
        /// It.
        pid: Pid,
        /// How long it took to die.
        took: Span,
    },
    /// A fault in one member of a group restarts all.
    GroupRestart {
        /// The group.
        tag: Bytes,
    },
    /// A process was ended by force, since its service did not answer.
    Killed {
        /// It.
        pid: Pid,
    },
    /// News from the kernel got lost; all processes are looked at.
    Lost {
        /// How much.
        records: u64,
    },
    /// A process is asked to end, since its group is restarted.
    MemberAsked {
        /// It.
        pid: Pid,
        /// The group.
        tag: Bytes,
    },
    /// A process does not end; it is ended by force.
    MemberKilled {
        /// It.
        pid: Pid,
    },
    /// A service does not answer; it may do so again.
    NoAnswer {
        /// Its process.
        pid: Pid,
        /// On which port.
        port: Port,
        /// Why.
        fault: Fault,
    },
    /// A service could not be asked: nothing is known of it.
    NotAsked {
        /// Its process.
        pid: Pid,
        /// On which port.
        port: Port,
        /// Why.
        fault: Fault,
    },
    /// Rules could not be read again; the old ones stay in force.
    NotReloaded {
        /// Why, as a sentence.
        why: String,
    },
    /// Watching is suspended by the operator.
    Paused,
    /// Rules were read again.
    Reloaded {
        /// Entries that did not change.
        kept: usize,
        /// Entries that are new.
        added: usize,
        /// Entries that changed.
        changed: usize,
        /// Entries that are no more.
        removed: usize,
    },
    /// Watching goes on.
    Resumed,
    /// The retries are used up.
    RetryOver {
        /// What is done now.
        action: RetryOver,
    },
    /// A script has ended.
    ScriptEnded {
        /// It.
        script: AbsolutePath,
        /// How.
        end: RunEnd,
        /// How long it ran.
        ran: Span,
    },
    /// A script takes too long; it is ended.
    ScriptOverdue {
        /// It.
        script: AbsolutePath,
        /// Its time limit.
        limit: Span,
    },
    /// A script has run for long. That may be as it should.
    ScriptSlow {
        /// It.
        script: AbsolutePath,
        /// How long it has run.
        ran: Span,
    },
    /// A value was set by the operator.
    Set {
        /// Which, and to what.
        what: String,
    },
    /// No process matches the entry.
    SetPidFail,
    /// A signal asks to end.
    SignalCaught {
        /// Which.
        signal: Signal,
    },
    /// A network namespace runs short of something that TCP needs.
    Shortage {
        /// Which.
        netns: NetNs,
        /// Of what: ports, or memory.
        alarm: SocketAlarm,
        /// What was found.
        value: u64,
        /// What it is measured by; 0: not known.
        limit: u64,
    },
    /// Something is wrong with the sockets of a service.
    SocketAlarm {
        /// Its process.
        pid: Pid,
        /// On which port.
        port: Port,
        /// What.
        alarm: SocketAlarm,
        /// What was found.
        value: u64,
        /// What it is measured by; 0: nothing.
        limit: u64,
        /// How long the oldest of them has been so at least, where that is known: of connections that are not closed.
        oldest: Option<Span>,
        /// The child of the process whose descriptors they are, where they are not its own.
        of_child: Option<Pid>,
    },
    /// It is well again.
    SocketClear {
        /// Its process.
        pid: Pid,
        /// On which port.
        port: Port,
        /// What.
        alarm: SocketAlarm,
        /// How long it was wrong.
        after: Span,
    },
    /// Why a service counts as stalled: its sockets have been of no use for so long. Follows `Stall`.
    SocketStall {
        /// Its process.
        pid: Pid,
        /// On which port.
        port: Port,
        /// What is wrong.
        alarm: SocketAlarm,
        /// For how long.
        after: Span,
    },
    /// A service has not answered for so long that its process is ended by force.
    Stall {
        /// How it was asked.
        kind: StallKind,
        /// Its process.
        pid: Pid,
        /// On which port.
        port: Port,
    },
    /// So many services fail together that it is hardly their fault: verdicts are held.
    StallsHeld {
        /// So many entries fail,
        failing: usize,
        /// of so many that are asked.
        asked: usize,
    },
    /// Verdicts are held no longer.
    StallsReleased,
    /// The watch ends.
    Stop,
    /// The restart script is about to run.
    TryToRestart {
        /// Which retry.
        retry_count: u32,
        /// Restarts since the start, with this one.
        restart_count: u32,
        /// Why.
        reason: Reason,
    },
    /// Why a service counts as stalled. Follows `Stall`.
    Unanswered {
        /// Its process.
        pid: Pid,
        /// On which port.
        port: Port,
        /// How the last check failed.
        fault: Fault,
        /// For how long no check has succeeded.
        after: Span,
        /// How many checks have failed.
        failures: u32,
    },
    /// The process is there.
    Up {
        /// It.
        pid: Pid,
    },
}

impl Note {
    /// Whether it tells that something is wrong, or right again, with sockets: that, clients may bring about as often as they
    /// like.
    #[must_use]
    pub const fn is_of_sockets(&self) -> bool {
        matches!(self, Self::SocketAlarm { .. } | Self::SocketClear { .. })
    }

    /// Its name in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AnswersAgain { .. } => "answers_again",
            Self::CannotKill { .. } => "cannot_kill",
            Self::Cause { .. } => "cause",
            Self::CertificateEnds { .. } => "certificate_ends",
            Self::CheckEnds { .. } => "check_ends",
            Self::CountWrong { .. } => "count_wrong",
            Self::Down { .. } => "down",
            Self::Fatal => "fatal",
            Self::Gone { .. } => "gone",
            Self::GroupRestart { .. } => "group_restart",
            Self::Killed { .. } => "killed",
            Self::Lost { .. } => "lost",
            Self::MemberAsked { .. } => "member_asked",
            Self::MemberKilled { .. } => "member_killed",
            Self::NoAnswer { .. } => "no_answer",
            Self::NotAsked { .. } => "not_asked",
            Self::NotReloaded { .. } => "not_reloaded",
            Self::Paused => "paused",
            Self::Reloaded { .. } => "reloaded",
            Self::Resumed => "resumed",
            Self::RetryOver { .. } => "retry_over",
            Self::ScriptEnded { .. } => "script_ended",
            Self::ScriptOverdue { .. } => "script_overdue",
            Self::ScriptSlow { .. } => "script_slow",
            Self::Set { .. } => "set",
            Self::SetPidFail => "set_pid_fail",
            Self::SignalCaught { .. } => "signal_caught",
            Self::Shortage { .. } => "shortage",
            Self::SocketAlarm { .. } => "socket_alarm",
            Self::SocketClear { .. } => "socket_clear",
            Self::SocketStall { .. } => "socket_stall",
            Self::Stall { .. } => "stall",
            Self::StallsHeld { .. } => "stalls_held",
            Self::StallsReleased => "stalls_released",
            Self::Stop => "stop",
            Self::TryToRestart { .. } => "try_to_restart",
            Self::Unanswered { .. } => "unanswered",
            Self::Up { .. } => "up",
        }
    }
}
