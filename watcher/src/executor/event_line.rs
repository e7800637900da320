//! What was told, as a line of JSON: for the dump file, and for whoever follows (`docs/json.md`).

use serde::Serialize;
use watcher_core::{
    Ending, Level, Note, Origin, Pid, RunEnd, SocketAlarm, Span, Subject, Told, Wall,
    pfile::{AbsolutePath, Port},
    probe::Fault,
};

/// One event. What does not belong to it, or is not known, is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EventLine {
    /// What happened: [`Note::name`].
    pub event: &'static str,
    /// When, in seconds since 1970.
    pub unix_time: f64,
    /// The number of the entry; none when it is about all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<usize>,
    /// The entry's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// The same as hexadecimal digits, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_hex: Option<String>,
    /// How much its line in the log matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<&'static str>,
    /// Its line in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What belongs to this kind of event.
    #[serde(flatten)]
    pub details: Details,
}

macro_rules! details {
    ($($(#[doc = $about:literal])+ $name:ident: $kind:ty,)+) => {
        /// What belongs to one kind of event or another.
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct Details {
            $($(#[doc = $about])+ #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$kind>,)+
        }
    };
}

details! {
    /// The process.
    pid: u32,
    /// With what code it exited.
    exit_code: u8,
    /// The signal that killed it, or that was caught.
    signal: u8,
    /// Its name.
    signal_name: String,
    /// Whether memory was dumped.
    core_dumped: bool,
    /// Whose doing it was.
    origin: &'static str,
    /// Who or what did it: a sentence without its subject, which is the process.
    cause: String,
    /// From the kernel's time stamp to knowing it here.
    latency_us: f64,
    /// How long a process took to die.
    took_ms: f64,
    /// So many processes there are,
    have: u32,
    /// so many are wanted at least,
    min: u32,
    /// and at most.
    max: u32,
    /// The group that is restarted.
    group: String,
    /// Which retry this is.
    retry_count: u32,
    /// Which restart this is.
    restart_count: u32,
    /// Why a restart is needed.
    reason: &'static str,
    /// The script.
    script: String,
    /// The same as hexadecimal digits, where it is not UTF-8.
    script_hex: String,
    /// How long it ran.
    ran_s: f64,
    /// How long it may run.
    limit_s: f64,
    /// What is done when the retries are used up.
    action: &'static str,
    /// Why something was not done.
    why: String,
    /// What was set.
    setting: String,
    /// The port of a service that is asked.
    port: u16,
    /// How it is asked: `skt`, `web` or `ssl`.
    check: &'static str,
    /// What kind of fault it has.
    fault: &'static str,
    /// How many checks have failed in a row.
    failures: u32,
    /// For how long.
    after_s: f64,
    /// How long the oldest of several has been so at least.
    oldest_s: f64,
    /// Whose descriptors they are, where they are not those of the process but of a child of it.
    descriptor_pid: u32,
    /// What is wrong with sockets.
    alarm: &'static str,
    /// How many were found,
    value: u64,
    /// and what that is measured by.
    limit: u64,
    /// In which network namespace, by its inode.
    network_namespace: u32,
    /// So many entries fail,
    failing: usize,
    /// of so many that are asked.
    asked: usize,
    /// In how many days a certificate ends.
    days: i64,
    /// How many records were lost.
    records: u64,
    /// How many entries have not changed,
    kept: usize,
    /// have changed,
    changed: usize,
    /// are new,
    added: usize,
    /// or are no more.
    removed: usize,
}

impl EventLine {
    /// Of something that was told at this time.
    #[must_use]
    pub fn of(told: &Told, at: Wall) -> Self {
        let Told { entry, note } = told;
        let (level, message) = told.line().map_or((None, None), |(level, line)| {
            (Some(level_name(level)), Some(String::from_utf8_lossy(&line).into_owned()))
        });
        let subject =
            entry.as_ref().map(|Subject { id: _, number, process }| (number.number(), text(process.as_slice())));
        let (entry, process) = subject.unzip();
        let (process, process_hex) = process.unzip();
        Self {
            event: note.name(),
            unix_time: Span(at.unix_ns).seconds(),
            entry,
            process,
            process_hex: process_hex.flatten(),
            level,
            message,
            details: details(note),
        }
    }

    /// As a line, without a line feed.
    #[must_use]
    pub fn json(&self) -> String {
        // Numbers and strings: there is nothing that could not be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::Critical => "critical",
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Notice => "notice",
    }
}

/// Bytes as text; and as digits, too, where text cannot hold them.
fn text(bytes: &[u8]) -> (String, Option<String>) {
    let hex = || bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    (String::from_utf8_lossy(bytes).into_owned(), str::from_utf8(bytes).is_err().then(hex))
}

fn details(note: &Note) -> Details {
    let none = Details::default;
    match note {
        Note::Cause { pid, ending, origin, cause, latency } => Details {
            pid: Some(pid.number()),
            origin: origin.map(Origin::name),
            cause: Some(cause.clone()),
            latency_us: latency.map(Span::micros),
            ..of_ending(*ending)
        },
        Note::CheckEnds { port } => Details { port: Some(port.number()), ..none() },
        Note::CountWrong { have, min, max } => Details { have: Some(*have), min: Some(*min), max: *max, ..none() },
        Note::Down { pid, again: _ } => Details { pid: pid.map(Pid::number), ..none() },
        Note::Gone { pid, took } => Details { took_ms: Some(took.micros() / 1e3), ..of_pid(*pid) },
        Note::GroupRestart { tag } => Details { group: Some(tag.to_string()), ..none() },
        Note::Lost { records } => Details { records: Some(*records), ..none() },
        Note::MemberAsked { pid, tag } => Details { group: Some(tag.to_string()), ..of_pid(*pid) },
        Note::AnswersAgain { pid, port, after, failures } => {
            Details { failures: Some(*failures), after_s: Some(after.seconds()), ..of_port(*pid, *port) }
        }
        Note::CannotKill { pid } | Note::Killed { pid } | Note::MemberKilled { pid } | Note::Up { pid } => of_pid(*pid),
        Note::CertificateEnds { port, days } => Details { port: Some(port.number()), days: Some(*days), ..none() },
        Note::NoAnswer { pid, port, fault } | Note::NotAsked { pid, port, fault } => {
            of_fault(fault, of_port(*pid, *port))
        }
        Note::Shortage { netns, alarm, value, limit } => {
            Details { network_namespace: Some(netns.0), ..of_alarm(*alarm, *value, *limit) }
        }
        Note::SocketAlarm { pid, port, alarm, value, limit, oldest, of_child } => Details {
            pid: Some(pid.number()),
            port: Some(port.number()),
            oldest_s: oldest.map(|oldest| oldest.seconds()),
            descriptor_pid: of_child.map(Pid::number),
            ..of_alarm(*alarm, *value, *limit)
        },
        Note::SocketClear { pid, port, alarm, after } | Note::SocketStall { pid, port, alarm, after } => {
            Details { alarm: Some(alarm.name()), after_s: Some(after.seconds()), ..of_port(*pid, *port) }
        }
        Note::Stall { kind, pid, port } => Details { check: Some(kind.short()), ..of_port(*pid, *port) },
        Note::StallsHeld { failing, asked } => Details { failing: Some(*failing), asked: Some(*asked), ..none() },
        Note::Unanswered { pid, port, fault, after, failures } => Details {
            failures: Some(*failures),
            after_s: Some(after.seconds()),
            ..of_fault(fault, of_port(*pid, *port))
        },
        Note::NotReloaded { why } => Details { why: Some(why.clone()), ..none() },
        Note::Reloaded { kept, added, changed, removed } => Details {
            kept: Some(*kept),
            added: Some(*added),
            changed: Some(*changed),
            removed: Some(*removed),
            ..none()
        },
        Note::RetryOver { action } => Details { action: Some(action.name()), ..none() },
        Note::ScriptEnded { script, end, ran } => {
            let end = match end {
                RunEnd::Ended(ending) => of_ending(*ending),
                RunEnd::NotStarted(why) => Details { why: Some(why.clone()), ..none() },
            };
            Details { ran_s: Some(ran.seconds()), ..of_script(script, end) }
        }
        Note::ScriptOverdue { script, limit } => {
            Details { limit_s: Some(limit.seconds()), ..of_script(script, none()) }
        }
        Note::ScriptSlow { script, ran } => Details { ran_s: Some(ran.seconds()), ..of_script(script, none()) },
        Note::Set { what } => Details { setting: Some(what.clone()), ..none() },
        Note::SignalCaught { signal } => {
            Details { signal: Some(signal.0), signal_name: Some(signal.to_string()), ..none() }
        }
        Note::TryToRestart { retry_count, restart_count, reason } => Details {
            retry_count: Some(*retry_count),
            restart_count: Some(*restart_count),
            reason: Some(reason.name()),
            ..none()
        },
        Note::Fatal | Note::Paused | Note::Resumed | Note::SetPidFail | Note::StallsReleased | Note::Stop => none(),
    }
}

fn of_pid(pid: Pid) -> Details {
    Details { pid: Some(pid.number()), ..Details::default() }
}

fn of_port(pid: Pid, port: Port) -> Details {
    Details { port: Some(port.number()), ..of_pid(pid) }
}

fn of_alarm(alarm: SocketAlarm, value: u64, limit: u64) -> Details {
    let limit = (limit > 0).then_some(limit);
    Details { alarm: Some(alarm.name()), value: Some(value), limit, ..Details::default() }
}

fn of_fault(fault: &Fault, details: Details) -> Details {
    Details { fault: Some(fault.name()), why: Some(fault.to_string()), ..details }
}

fn of_script(script: &AbsolutePath, details: Details) -> Details {
    let (script, script_hex) = text(script.as_slice());
    Details { script: Some(script), script_hex, ..details }
}

fn of_ending(ending: Ending) -> Details {
    match ending {
        Ending::Exited { code } => Details { exit_code: Some(code), ..Details::default() },
        Ending::Killed { signal, core_dumped } => Details {
            signal: Some(signal.0),
            signal_name: Some(signal.to_string()),
            core_dumped: Some(core_dumped),
            ..Details::default()
        },
        Ending::Unknown => Details::default(),
    }
}

#[cfg(test)]
mod tests {
    use watcher_core::{EntryId, Reason, Signal, pfile::EntryNumber};

    use super::*;

    fn line(process: &[u8], note: Note) -> String {
        let process = AbsolutePath::new(process).unwrap();
        let entry = Some(Subject { id: EntryId(7), number: EntryNumber::of_index(0), process });
        EventLine::of(&Told { entry, note }, Wall { unix_ns: 1_318_383_648_500_000_000 }).json()
    }

    #[test]
    fn an_event_has_what_belongs_to_it() {
        let pid = Pid::new(4711).unwrap();
        let head =
            |event| format!("{{\"event\":\"{event}\",\"unix_time\":1318383648.5,\"entry\":1,\"process\":\"/a\",");
        let up = format!("{}\"level\":\"notice\",\"message\":\"(/a ,pid=4711) Up\",\"pid\":4711}}", head("up"));
        assert_eq!(line(b"/a", Note::Up { pid }), up);
        let cause = Note::Cause {
            pid,
            ending: Ending::Killed { signal: Signal(9), core_dumped: false },
            origin: Some(Origin::User),
            cause: "was killed".to_owned(),
            latency: Some(Span(27_500)),
        };
        let rest = "\"level\":\"notice\",\"message\":\"Process [/a,pid=4711] was killed\",\"pid\":4711,\"signal\":9,\
                    \"signal_name\":\"SIGKILL\",\"core_dumped\":false,\"origin\":\"user\",\"cause\":\"was killed\",\"latency_us\":27.5}";
        assert_eq!(line(b"/a", cause), head("cause") + rest);
        let restart = Note::TryToRestart { retry_count: 1, restart_count: 2, reason: Reason::Count };
        let rest = "\"level\":\"warning\",\"message\":\"Try to restart (/a)\",\"retry_count\":1,\"restart_count\":2,\
                    \"reason\":\"count\"}";
        assert_eq!(line(b"/a", restart), head("try_to_restart") + rest);
        let ended = Note::ScriptEnded {
            script: AbsolutePath::new(b"/s").unwrap(),
            end: RunEnd::Ended(Ending::Exited { code: 0 }),
            ran: Span::of_millis(1500),
        };
        assert_eq!(line(b"/a", ended), head("script_ended") + "\"exit_code\":0,\"script\":\"/s\",\"ran_s\":1.5}");
        let stop = EventLine::of(&Told { entry: None, note: Note::Stop }, Wall { unix_ns: 0 }).json();
        assert_eq!(stop, "{\"event\":\"stop\",\"unix_time\":0.0,\"level\":\"notice\",\"message\":\"Stop pcheck!!\"}");
    }

    #[test]
    fn names_that_are_not_utf_8_survive() {
        let line = line(b"/\xff", Note::Paused);
        assert!(line.contains("\"process\":\"/\u{fffd}\",\"process_hex\":\"2fff\""), "{line}");
    }
}
