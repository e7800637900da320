//! The same words on the wire: a line of JSON each.

use std::{collections::BTreeMap, ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

use serde::{Deserialize, Serialize};
use watcher_core::{
    Ending, EntryId, Level, Pid, ProcId, Reason, RunEnd, RunId, ScriptOrder, Signal, StartTicks,
    pfile::{AbsolutePath, EntryNumber, UnknownOptions},
};

use super::{Heard, Join, Word};
use crate::control::{Ended, view};

/// Bytes that are text in most cases.
#[derive(Debug, Deserialize, Serialize)]
struct Text {
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

impl Text {
    fn of(bytes: &[u8]) -> Self {
        let (text, hex) = view::text(bytes);
        Self { text, hex }
    }

    fn bytes(&self) -> Vec<u8> {
        view::bytes(&self.text, self.hex.as_deref())
    }

    fn path(&self) -> PathBuf {
        OsString::from_vec(self.bytes()).into()
    }

    fn absolute(&self) -> Option<AbsolutePath> {
        AbsolutePath::new(&self.bytes())
    }
}

/// `Join`
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct JoinWire {
    pid: u32,
    pfile: Text,
    device: u64,
    inode: u64,
    lenient: bool,
    release: String,
    circumstances: BTreeMap<String, String>,
}

impl JoinWire {
    pub(in crate::control) fn of(join: &Join) -> Self {
        let Join { pid, pfile, file: (device, inode), unknown_options, release, circumstances } = join;
        Self {
            pid: pid.number(),
            pfile: Text::of(pfile.as_os_str().as_encoded_bytes()),
            device: *device,
            inode: *inode,
            lenient: *unknown_options == UnknownOptions::Keep,
            release: release.clone(),
            circumstances: circumstances.clone(),
        }
    }

    pub(in crate::control) fn meaning(self) -> Result<Join, String> {
        let Self { pid, pfile, device, inode, lenient, release, circumstances } = self;
        let pid = Pid::new(pid).ok_or_else(|| format!("{pid} is no pid"))?;
        let unknown_options = if lenient { UnknownOptions::Keep } else { UnknownOptions::Refuse };
        Ok(Join { pid, pfile: pfile.path(), file: (device, inode), unknown_options, release, circumstances })
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WordWire {
    Alone { why: String },
    EndRun { run: u64, force: bool },
    Ended { how: Ended },
    Failed { already_running: bool, why: String },
    Here,
    Joined,
    Log { level: LevelWire, line: Text },
    Lost { lines: u64 },
    Ready,
    Reloading,
    Run(Box<RunWire>),
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum LevelWire {
    Critical,
    Error,
    Notice,
    Warning,
}

impl LevelWire {
    const fn of(level: Level) -> Self {
        match level {
            Level::Critical => Self::Critical,
            Level::Error => Self::Error,
            Level::Notice => Self::Notice,
            Level::Warning => Self::Warning,
        }
    }

    const fn meaning(self) -> Level {
        match self {
            Self::Critical => Level::Critical,
            Self::Error => Level::Error,
            Self::Notice => Level::Notice,
            Self::Warning => Level::Warning,
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RunWire {
    run: u64,
    entry: u32,
    number: usize,
    script: Text,
    process: Text,
    old: Option<u32>,
    retry_count: u32,
    reason: String,
    ending: EndingWire,
    cause: Option<String>,
    output: Text,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum EndingWire {
    Exited { code: u8 },
    Killed { signal: u8, core_dumped: bool },
    Unknown,
}

impl EndingWire {
    const fn of(ending: Ending) -> Self {
        match ending {
            Ending::Exited { code } => Self::Exited { code },
            Ending::Killed { signal: Signal(signal), core_dumped } => Self::Killed { signal, core_dumped },
            Ending::Unknown => Self::Unknown,
        }
    }

    const fn meaning(self) -> Ending {
        match self {
            Self::Exited { code } => Ending::Exited { code },
            Self::Killed { signal, core_dumped } => Ending::Killed { signal: Signal(signal), core_dumped },
            Self::Unknown => Ending::Unknown,
        }
    }
}

impl RunWire {
    fn of(order: &ScriptOrder, output: &std::path::Path) -> Self {
        let ScriptOrder { run, entry, number, script, process, old, retry_count, reason, ending, cause } = order;
        Self {
            run: run.0,
            entry: entry.0,
            number: number.number(),
            script: Text::of(script.as_slice()),
            process: Text::of(process.as_slice()),
            old: old.map(Pid::number),
            retry_count: *retry_count,
            reason: reason.name().to_owned(),
            ending: EndingWire::of(*ending),
            cause: cause.clone(),
            output: Text::of(output.as_os_str().as_encoded_bytes()),
        }
    }

    fn meaning(self) -> Option<Word> {
        let Self { run, entry, number, script, process, old, retry_count, reason, ending, cause, output } = self;
        let reasons = [Reason::Count, Reason::Down, Reason::Stall, Reason::Zombie];
        let order = ScriptOrder {
            run: RunId(run),
            entry: EntryId(entry),
            number: EntryNumber::of_index(number.checked_sub(1)?),
            script: script.absolute()?,
            process: process.absolute()?,
            old: old.and_then(Pid::new),
            retry_count,
            reason: reasons.into_iter().find(|known| known.name() == reason)?,
            ending: ending.meaning(),
            cause,
        };
        Some(Word::Run(Box::new(order), output.path()))
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum HeardWire {
    Dump,
    Knock,
    Reload,
    RunEnded { run: u64, ending: EndingWire },
    RunNotStarted { run: u64, why: String },
    RunStarted { run: u64, pid: u32, start: u64 },
    Stop { signal: u8 },
}

/// A line, with its line feed.
fn line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// The line of what the daemon says.
pub(super) fn word_line(word: &Word) -> serde_json::Result<Vec<u8>> {
    line(&match word {
        Word::Alone(why) => WordWire::Alone { why: why.clone() },
        Word::EndRun { run, force } => WordWire::EndRun { run: run.0, force: *force },
        Word::Ended(how) => WordWire::Ended { how: *how },
        Word::Failed { already_running, why } => {
            WordWire::Failed { already_running: *already_running, why: why.clone() }
        }
        Word::Here => WordWire::Here,
        Word::Joined => WordWire::Joined,
        Word::Log(level, line) => WordWire::Log { level: LevelWire::of(*level), line: Text::of(line) },
        Word::Lost(lines) => WordWire::Lost { lines: *lines },
        Word::Ready => WordWire::Ready,
        Word::Reloading => WordWire::Reloading,
        Word::Run(order, output) => WordWire::Run(Box::new(RunWire::of(order, output))),
    })
}

/// What the daemon says by this line; nothing that could be understood.
pub(super) fn word(line: &[u8]) -> Option<Word> {
    Some(match serde_json::from_slice(line).ok()? {
        WordWire::Alone { why } => Word::Alone(why),
        WordWire::EndRun { run, force } => Word::EndRun { run: RunId(run), force },
        WordWire::Ended { how } => Word::Ended(how),
        WordWire::Failed { already_running, why } => Word::Failed { already_running, why },
        WordWire::Here => Word::Here,
        WordWire::Joined => Word::Joined,
        WordWire::Log { level, line } => Word::Log(level.meaning(), line.bytes()),
        WordWire::Lost { lines } => Word::Lost(lines),
        WordWire::Ready => Word::Ready,
        WordWire::Reloading => Word::Reloading,
        WordWire::Run(run) => run.meaning()?,
    })
}

/// The line of what a pcheck says. That it has gone it cannot say.
pub(super) fn heard_line(heard: &Heard) -> Option<Vec<u8>> {
    let wire = match heard {
        Heard::Dump => HeardWire::Dump,
        Heard::Gone => return None,
        Heard::Knock => HeardWire::Knock,
        Heard::Reload => HeardWire::Reload,
        Heard::RunEnded(RunId(run), RunEnd::Ended(ending)) => {
            HeardWire::RunEnded { run: *run, ending: EndingWire::of(*ending) }
        }
        Heard::RunEnded(RunId(run), RunEnd::NotStarted(why)) => {
            HeardWire::RunNotStarted { run: *run, why: why.clone() }
        }
        Heard::RunStarted(RunId(run), ProcId { pid, start }) => {
            HeardWire::RunStarted { run: *run, pid: pid.number(), start: start.0 }
        }
        Heard::Stop(Signal(signal)) => HeardWire::Stop { signal: *signal },
    };
    line(&wire).ok()
}

/// What a pcheck says by this line; nothing that could be understood.
pub(super) fn heard(line: &[u8]) -> Option<Heard> {
    Some(match serde_json::from_slice(line).ok()? {
        HeardWire::Dump => Heard::Dump,
        HeardWire::Knock => Heard::Knock,
        HeardWire::Reload => Heard::Reload,
        HeardWire::RunEnded { run, ending } => Heard::RunEnded(RunId(run), RunEnd::Ended(ending.meaning())),
        HeardWire::RunNotStarted { run, why } => Heard::RunEnded(RunId(run), RunEnd::NotStarted(why)),
        HeardWire::RunStarted { run, pid, start } => {
            Heard::RunStarted(RunId(run), ProcId { pid: Pid::new(pid)?, start: StartTicks(start) })
        }
        HeardWire::Stop { signal } => Heard::Stop(Signal(signal)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ending() -> impl Strategy<Value = Ending> {
        prop_oneof![
            any::<u8>().prop_map(|code| Ending::Exited { code }),
            (any::<u8>(), any::<bool>())
                .prop_map(|(signal, core_dumped)| Ending::Killed { signal: Signal(signal), core_dumped }),
            Just(Ending::Unknown),
        ]
    }

    /// Any bytes that can be a path of a pfile.
    fn path() -> impl Strategy<Value = AbsolutePath> {
        prop::collection::vec(any::<u8>(), 0..20)
            .prop_filter_map("a path", |bytes| AbsolutePath::new(&[b"/".as_slice(), &bytes].concat()))
    }

    fn word_of_a_daemon() -> impl Strategy<Value = Word> {
        let levels = [Level::Critical, Level::Error, Level::Warning, Level::Notice];
        let order = (any::<(u64, u32, Option<String>)>(), path(), path(), ending(), 0..4_usize).prop_map(
            |((run, count, cause), script, process, ending, reason)| {
                let order = ScriptOrder {
                    run: RunId(run),
                    entry: EntryId(count),
                    number: EntryNumber::of_index(count as usize),
                    script: script.clone(),
                    process,
                    old: Pid::new(count),
                    retry_count: count,
                    reason: [Reason::Count, Reason::Down, Reason::Stall, Reason::Zombie][reason],
                    ending,
                    cause,
                };
                Word::Run(Box::new(order), OsString::from_vec(script.as_slice().to_vec()).into())
            },
        );
        let ends = [Ended::Asked, Ended::Exit, Ended::HandedOver, Ended::Shutdown];
        prop_oneof![
            order,
            any::<String>().prop_map(Word::Alone),
            (any::<bool>(), any::<String>()).prop_map(|(already_running, why)| Word::Failed { already_running, why }),
            (any::<u64>(), any::<bool>()).prop_map(|(run, force)| Word::EndRun { run: RunId(run), force }),
            (prop::sample::select(levels.to_vec()), prop::collection::vec(any::<u8>(), 0..40))
                .prop_map(|(level, line)| Word::Log(level, line)),
            prop::sample::select(ends.to_vec()).prop_map(Word::Ended),
            any::<u64>().prop_map(Word::Lost),
            prop::sample::select(vec![Word::Here, Word::Joined, Word::Ready, Word::Reloading]),
        ]
    }

    fn heard_of_a_pcheck() -> impl Strategy<Value = Heard> {
        prop_oneof![
            (any::<u64>(), ending()).prop_map(|(run, ending)| Heard::RunEnded(RunId(run), RunEnd::Ended(ending))),
            (any::<u64>(), any::<String>()).prop_map(|(run, why)| Heard::RunEnded(RunId(run), RunEnd::NotStarted(why))),
            (any::<u64>(), 1..i32::MAX as u32, any::<u64>()).prop_map(|(run, pid, start)| {
                Heard::RunStarted(RunId(run), ProcId { pid: Pid::new(pid).unwrap(), start: StartTicks(start) })
            }),
            any::<u8>().prop_map(|signal| Heard::Stop(Signal(signal))),
            prop::sample::select(vec![Heard::Dump, Heard::Knock, Heard::Reload]),
        ]
    }

    proptest! {
        #[test]
        fn what_is_said_arrives(word_said in word_of_a_daemon(), answered in heard_of_a_pcheck()) {
            let line = word_line(&word_said).unwrap();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(word(&line), Some(word_said));
            let line = heard_line(&answered).unwrap();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(heard(&line), Some(answered));
        }

        #[test]
        fn any_bytes_are_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!((word(&bytes), heard(&bytes)), (None, None));
        }
    }

    #[test]
    fn what_would_be_half_understood_is_nothing() {
        assert_eq!(heard(br#"{"stop":{"signal":15,"later":true}}"#), None);
        assert_eq!(heard(br#"{"run_started":{"run":1,"pid":0,"start":1}}"#), None);
        assert_eq!(heard(br#"{"gone":null}"#), None, "it is not said");
        assert_eq!(heard(format!("{{\"stop\":{}", "[".repeat(60_000)).as_bytes()), None);
    }
}
