//! The lines of the log.
//!
//! The texts of the original are kept to the byte, since filters of log monitors wait for them; ours are in the same
//! plain style.

use super::{Level, Note, Told, sockets};
use crate::{
    Ending, Pid, RunEnd,
    pfile::{RetryOver, StallKind},
};

impl Told {
    /// Its line in the log; none for what only those see who ask for events.
    #[must_use]
    pub fn line(&self) -> Option<(Level, Vec<u8>)> {
        let name = self.entry.as_ref().map_or(b"".as_slice(), |entry| entry.process.as_slice());
        let around = |before: &str, after: String| [before.as_bytes(), name, after.as_bytes()].concat();
        let plain = |text: String| text.into_bytes();
        Some(match &self.note {
            Note::AnswersAgain { pid, port, after, failures } => {
                let text = format!(
                    ",pid={pid}] port {port}: the service answers again, after {after} and {failures} {}",
                    checks(*failures)
                );
                (Level::Notice, around("Process [", text))
            }
            Note::CannotKill { pid } => (Level::Critical, plain(format!("Can not killed Process: pid= {pid}"))),
            Note::CertificateEnds { port, days } => {
                let when = match days {
                    ..=-1 => format!("has ended {} ago", in_days(days.unsigned_abs())),
                    0 => "ends within a day".to_owned(),
                    1.. => format!("ends in {}", in_days(days.unsigned_abs())),
                };
                (Level::Warning, around("Process [", format!("] port {port}: the certificate {when}")))
            }
            Note::Killed { pid } | Note::MemberKilled { pid } => {
                (Level::Warning, plain(format!("Killed Process: pid= {pid}")))
            }
            Note::NoAnswer { pid, port, fault } => {
                (Level::Warning, around("Process [", format!(",pid={pid}] port {port}: the service {fault}")))
            }
            Note::NotAsked { pid, port, fault } => {
                let text = format!(",pid={pid}] port {port}: the service {fault}; no stall is looked for meanwhile");
                (Level::Warning, around("Process [", text))
            }
            Note::Shortage { netns, alarm, value, limit } => (
                Level::Warning,
                plain(format!("{} in {netns}{}", alarm.title(), sockets::measure(*alarm, *value, *limit))),
            ),
            Note::SocketAlarm { pid, port, alarm, value, limit, oldest, of_child } => {
                let measure = sockets::measure(*alarm, *value, *limit);
                let age = oldest.map_or_else(String::new, |oldest| format!(", the oldest for {oldest}"));
                let whose = of_child.map_or_else(String::new, |child| format!(" of its child {child}"));
                let text = format!("{}: pid = {pid} : port = {port}{measure}{whose}{age}", alarm.title());
                (Level::Warning, plain(text))
            }
            Note::SocketClear { pid, port, alarm, after } => {
                let text = format!("{} is over: pid = {pid} : port = {port} : after {after}", alarm.title());
                (Level::Notice, plain(text))
            }
            Note::SocketStall { pid, port, alarm, after } => {
                let text = format!(",pid={pid}] port {port}: {} for {after}", alarm.title());
                (Level::Notice, around("Process [", text))
            }
            Note::Stall { kind, pid, port } => {
                let what = match kind {
                    StallKind::Socket => "Socket Service",
                    StallKind::Web | StallKind::WebTls => "Web Server",
                };
                (Level::Error, plain(format!("Find {what} Stall: pid = {pid} : port = {port}")))
            }
            Note::StallsHeld { failing, asked } => {
                let text = format!(
                    "{failing} of {asked} services do not answer: no stall is acted on while so many fail together \
                     (stall_guard)"
                );
                (Level::Error, plain(text))
            }
            Note::StallsReleased => (Level::Notice, plain("Stalls are acted on again".to_owned())),
            Note::Unanswered { pid, port, fault, after, failures } => {
                let text = format!(
                    ",pid={pid}] port {port}: the service {fault}; {failures} {} failed within {after}",
                    checks(*failures)
                );
                (Level::Notice, around("Process [", text))
            }
            Note::Cause { pid, cause, .. } => (Level::Notice, around("Process [", format!(",pid={pid}] {cause}"))),
            Note::CheckEnds { port } => {
                let text =
                    format!("] port {port}: no more stalls are looked for (EXEC error 1); padmin start begins anew");
                (Level::Notice, around("Process [", text))
            }
            Note::CountWrong { have, min, max } => {
                let wanted = match max {
                    Some(max) => format!("{min} to {max}"),
                    None => format!("at least {min}"),
                };
                let noun = if *have == 1 { "process" } else { "processes" };
                (Level::Error, around("Process [", format!("] has {have} {noun}, wanted are {wanted}")))
            }
            Note::Down { pid, .. } => {
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

const fn checks(count: u32) -> &'static str {
    if count == 1 { "check" } else { "checks" }
}

fn in_days(days: u64) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        EntryId, Reason, Signal, Span, Subject,
        pfile::{AbsolutePath, EntryNumber, Port},
    };

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
        assert_eq!(line(Note::Down { pid: Some(pid), again: false }), "Process [/usr/bin/java,pid=12742] Down");
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
        assert_eq!(line(Note::Killed { pid }), "Killed Process: pid= 12742");
        assert_eq!(line(Note::CannotKill { pid }), "Can not killed Process: pid= 12742");
        let stall = |kind| line(Note::Stall { kind, pid, port: Port::new(8080).unwrap() });
        assert_eq!(stall(StallKind::Web), "Find Web Server Stall: pid = 12742 : port = 8080");
        assert_eq!(stall(StallKind::WebTls), "Find Web Server Stall: pid = 12742 : port = 8080");
        assert_eq!(stall(StallKind::Socket), "Find Socket Service Stall: pid = 12742 : port = 8080");
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
