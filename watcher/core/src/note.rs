//! What is told: every thing that happens to an entry or to the whole watch, and the lines of the log.
//!
//! The texts of the original are kept to the byte, since filters of log monitors wait for them; ours are in the same
//! plain style.

use crate::{
    Ending, EntryId, Pid, Reason, RunEnd, Signal, Span,
    pfile::{AbsolutePath, Bytes, EntryNumber, RetryOver},
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
    /// Why a process died, as far as that is known. Follows `Down`.
    Cause {
        /// The process.
        pid: Pid,
        /// How it ended.
        ending: Ending,
        /// Who or what did it, as a sentence that follows "the process".
        cause: String,
        /// From the kernel's stamp to knowing it.
        latency: Option<Span>,
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
    /// The process is there.
    Up {
        /// It.
        pid: Pid,
    },
}

impl Note {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Cause { .. } => "cause",
            Self::CountWrong { .. } => "count_wrong",
            Self::Down { .. } => "down",
            Self::Fatal => "fatal",
            Self::Gone { .. } => "gone",
            Self::GroupRestart { .. } => "group_restart",
            Self::Lost { .. } => "lost",
            Self::MemberAsked { .. } => "member_asked",
            Self::MemberKilled { .. } => "member_killed",
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
            Self::Stop => "stop",
            Self::TryToRestart { .. } => "try_to_restart",
            Self::Up { .. } => "up",
        }
    }
}

impl Told {
    /// Its line in the log; none for what only those see who ask for events.
    #[must_use]
    pub fn line(&self) -> Option<(Level, Vec<u8>)> {
        let name = self.entry.as_ref().map_or(b"".as_slice(), |entry| entry.process.as_slice());
        let around = |before: &str, after: String| [before.as_bytes(), name, after.as_bytes()].concat();
        let plain = |text: String| text.into_bytes();
        Some(match &self.note {
            Note::Cause { pid, cause, .. } => (Level::Notice, around("Process [", format!(",pid={pid}] {cause}"))),
            Note::CountWrong { have, min, max } => {
                let wanted = match max {
                    Some(max) => format!("{min} to {max}"),
                    None => format!("at least {min}"),
                };
                let noun = if *have == 1 { "process" } else { "processes" };
                (Level::Error, around("Process [", format!("] has {have} {noun}, wanted are {wanted}")))
            }
            Note::Down { pid } => {
                let pid = pid.map_or(0, Pid::number);
                (Level::Error, around("Process [", format!(",pid={pid}] Down")))
            }
            Note::Fatal => (Level::Critical, around("(", ") FATAL".to_owned())),
            Note::GroupRestart { tag } => (Level::Warning, around("(", format!(") Restart group [{tag}]"))),
            Note::Lost { records } => {
                let text = format!("{records} kernel records lost, all processes are checked");
                (Level::Warning, plain(text))
            }
            Note::MemberAsked { pid, tag } => {
                (Level::Notice, around("Process [", format!(",pid={pid}] is ended to restart group [{tag}]")))
            }
            Note::MemberKilled { pid } => (Level::Warning, plain(format!("Killed Process: pid= {pid}"))),
            Note::NotReloaded { why } => (Level::Error, plain(format!("Reload fail, the old rules stay: {why}"))),
            Note::Reloaded { kept, added, changed, removed } => {
                let text = format!("Reloaded: {kept} unchanged, {changed} changed, {added} new, {removed} removed");
                (Level::Notice, plain(text))
            }
            Note::RetryOver { action } => {
                let level = match action {
                    RetryOver::Continue => Level::Error,
                    RetryOver::Exit | RetryOver::Shutdown => Level::Critical,
                };
                (level, around("(", format!(") RETRY_OVER:{}", action.name().to_ascii_uppercase())))
            }
            Note::ScriptEnded { end: RunEnd::Ended(Ending::Exited { code: 0 } | Ending::Unknown), .. } => return None,
            Note::ScriptEnded { script, end, .. } => {
                (Level::Warning, around("Restart script of (", format!(") {end} [{script}]")))
            }
            Note::ScriptOverdue { script, limit } => {
                let text = format!(") takes longer than {} s, it is ended [{script}]", limit.seconds());
                (Level::Warning, around("Restart script of (", text))
            }
            Note::ScriptSlow { script, ran } => {
                let text = format!(
                    ") runs for {} s now: it must end, and leave the process in the background [{script}]",
                    ran.seconds()
                );
                (Level::Warning, around("Restart script of (", text))
            }
            Note::Set { what } if name.is_empty() => (Level::Notice, plain(format!("Set {what}"))),
            Note::Set { what } => (Level::Notice, around("(", format!(") Set {what}"))),
            Note::SetPidFail => (Level::Warning, around("Set pid fail (", ")".to_owned())),
            Note::SignalCaught { signal } => (Level::Notice, plain(format!("{signal} Catch ({})!!", signal.0))),
            Note::Stop => (Level::Notice, plain("Stop pcheck!!".to_owned())),
            Note::TryToRestart { .. } => (Level::Warning, around("Try to restart (", ")".to_owned())),
            Note::Up { pid } => (Level::Notice, around("(", format!(" ,pid={pid}) Up"))),
            Note::Gone { .. } | Note::Paused | Note::Resumed => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(note: Note) -> String {
        let process = AbsolutePath::new(b"/usr/bin/java").unwrap();
        let entry = Subject { id: EntryId(0), number: EntryNumber::of_index(0), process };
        let (_, line) = Told { entry: Some(entry), note }.line().unwrap();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn the_published_messages_are_kept_to_the_byte() {
        let pid = Pid::new(12742).unwrap();
        assert_eq!(line(Note::Up { pid }), "(/usr/bin/java ,pid=12742) Up");
        assert_eq!(line(Note::Down { pid: Some(pid) }), "Process [/usr/bin/java,pid=12742] Down");
        let (retry_count, restart_count, reason) = (1, 1, Reason::Down);
        let again = Note::TryToRestart { retry_count, restart_count, reason };
        assert_eq!(line(again), "Try to restart (/usr/bin/java)");
        assert_eq!(line(Note::SetPidFail), "Set pid fail (/usr/bin/java)");
        assert_eq!(line(Note::RetryOver { action: RetryOver::Exit }), "(/usr/bin/java) RETRY_OVER:EXIT");
        assert_eq!(line(Note::RetryOver { action: RetryOver::Shutdown }), "(/usr/bin/java) RETRY_OVER:SHUTDOWN");
        assert_eq!(line(Note::RetryOver { action: RetryOver::Continue }), "(/usr/bin/java) RETRY_OVER:CONTINUE");
        assert_eq!(line(Note::Fatal), "(/usr/bin/java) FATAL");
        assert_eq!(line(Note::SignalCaught { signal: Signal(15) }), "SIGTERM Catch (15)!!");
        assert_eq!(line(Note::SignalCaught { signal: Signal(2) }), "SIGINT Catch (2)!!");
        assert_eq!(line(Note::Stop), "Stop pcheck!!");
        assert_eq!(line(Note::MemberKilled { pid }), "Killed Process: pid= 12742");
    }

    #[test]
    fn a_script_that_did_its_work_is_not_worth_a_line() {
        let script = AbsolutePath::new(b"/s").unwrap();
        let ended = |code| Note::ScriptEnded {
            script: script.clone(),
            end: RunEnd::Ended(Ending::Exited { code }),
            ran: Span::of_seconds(1),
        };
        assert_eq!(Told { entry: None, note: ended(0) }.line(), None);
        assert_eq!(line(ended(3)), "Restart script of (/usr/bin/java) exited with code 3 [/s]");
    }
}
