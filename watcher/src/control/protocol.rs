//! The request: one line, `{"version":1,"request":…}`. What is on the wire is apart from the core's own words, so that
//! either can change without the other.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use watcher_core::{
    Order, Setting, monitor,
    pfile::{EntryNumber, Interval, Seconds},
};

use super::join::{Join, JoinWire};

/// Version of requests and answers. A change that an older side would misread makes it one more.
pub(super) const VERSION: u32 = 1;

/// Longest request, in bytes, without its line feed.
pub(super) const LONGEST: usize = 64 << 10;

/// What can be asked of a running pcheck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Events as lines.
    Events {
        /// Those to come, too.
        follow: bool,
        /// At most so many of those that are remembered; all of them where none is given.
        last: Option<u32>,
    },
    /// To a daemon: watch a pfile for a pcheck, as long as the connection stays.
    Join(Box<Join>),
    /// Figures of all that this process watches.
    Metrics,
    /// To a `clp_httpmon` or `clp_smtpmon`.
    Monitor(monitor::Order),
    /// Do something.
    Order(Order),
    /// Who are you?
    Ping,
    /// How entries stand: one, or all.
    ShowEntries {
        /// Which.
        entry: Option<EntryNumber>,
    },
    /// The parameters in force.
    ShowParam,
    /// How the watch and its entries stand.
    Status {
        /// And the process that watches: what it costs, and how far it has come.
        process: bool,
    },
    /// How does the watch end? That is answered when it does.
    Wait,
    /// What is remembered of entries, in the lines of the dump file: one, or all.
    Why {
        /// Which.
        entry: Option<EntryNumber>,
    },
}

/// The request line of a command, with its line feed.
pub(super) fn line(command: &Command) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Versioned { version: VERSION, request: Wire::of(command) })?;
    line.push(b'\n');
    Ok(line)
}

/// Reads a request line.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn read(line: &[u8]) -> Result<Command, String> {
    let Version { version } =
        serde_json::from_slice(line).map_err(|error| format!("this is not a request of padmin: {error}"))?;
    if version != VERSION {
        return Err(format!(
            "the request is in version {version} of the control protocol, and this pcheck speaks version {VERSION}: use \
             the padmin that came with it"
        ));
    }
    let Versioned { version: _, request } =
        serde_json::from_slice(line).map_err(|error| format!("this pcheck does not know the request: {error}"))?;
    request.meaning()
}

/// What every line begins with, whatever else it holds.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) version: u32,
}

#[derive(Debug, Deserialize, Serialize)]
struct Versioned {
    version: u32,
    request: Wire,
}

/// Numbers of entries are those of `pent_id`. A member that is not known is an error: an order must not be done by half.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Wire {
    Dump,
    Events { follow: bool, last: Option<u32> },
    Join(Box<JoinWire>),
    Metrics,
    MonitorPause,
    MonitorResume,
    MonitorShow,
    Pause { entry: Option<NonZeroU32> },
    Ping,
    Reload,
    Resume { entry: Option<NonZeroU32> },
    SetGrace { entry: Option<NonZeroU32>, seconds: u32 },
    SetInterval { seconds: u32 },
    SetRetries { entry: Option<NonZeroU32>, count: u32 },
    ShowEntries { entry: Option<NonZeroU32> },
    ShowParam,
    Shutdown,
    Status { process: bool },
    Wait,
    Why { entry: Option<NonZeroU32> },
}

impl Wire {
    fn of(command: &Command) -> Self {
        match command {
            Command::Events { follow, last } => Self::Events { follow: *follow, last: *last },
            Command::Join(join) => Self::Join(Box::new(JoinWire::of(join))),
            Command::Metrics => Self::Metrics,
            Command::Monitor(monitor::Order::Pause) => Self::MonitorPause,
            Command::Monitor(monitor::Order::Resume) => Self::MonitorResume,
            Command::Monitor(monitor::Order::Show) => Self::MonitorShow,
            Command::Order(Order::Dump) => Self::Dump,
            Command::Order(Order::Pause(entry)) => Self::Pause { entry: entry.map(number) },
            Command::Order(Order::Reload) => Self::Reload,
            Command::Order(Order::Resume(entry)) => Self::Resume { entry: entry.map(number) },
            Command::Order(Order::Set(Setting::Grace(entry, Seconds(seconds)))) => {
                Self::SetGrace { entry: entry.map(number), seconds: *seconds }
            }
            Command::Order(Order::Set(Setting::MonitorInterval(interval))) => {
                Self::SetInterval { seconds: interval.seconds() }
            }
            Command::Order(Order::Set(Setting::Retries(entry, count))) => {
                Self::SetRetries { entry: entry.map(number), count: *count }
            }
            Command::Order(Order::Shutdown) => Self::Shutdown,
            Command::Ping => Self::Ping,
            Command::ShowEntries { entry } => Self::ShowEntries { entry: entry.map(number) },
            Command::ShowParam => Self::ShowParam,
            Command::Status { process } => Self::Status { process: *process },
            Command::Wait => Self::Wait,
            Command::Why { entry } => Self::Why { entry: entry.map(number) },
        }
    }

    fn meaning(self) -> Result<Command, String> {
        Ok(match self {
            Self::Dump => Command::Order(Order::Dump),
            Self::Events { follow, last } => Command::Events { follow, last },
            Self::Join(join) => Command::Join(Box::new(join.meaning()?)),
            Self::Metrics => Command::Metrics,
            Self::MonitorPause => Command::Monitor(monitor::Order::Pause),
            Self::MonitorResume => Command::Monitor(monitor::Order::Resume),
            Self::MonitorShow => Command::Monitor(monitor::Order::Show),
            Self::Pause { entry } => Command::Order(Order::Pause(entry.map(entry_number))),
            Self::Ping => Command::Ping,
            Self::Reload => Command::Order(Order::Reload),
            Self::Resume { entry } => Command::Order(Order::Resume(entry.map(entry_number))),
            Self::SetGrace { entry, seconds } => {
                Command::Order(Order::Set(Setting::Grace(entry.map(entry_number), Seconds(seconds))))
            }
            Self::SetInterval { seconds } => {
                let interval = Interval::new(seconds).ok_or_else(|| {
                    format!("an interval of {seconds} s is not possible: 1 to {} s are", Interval::LONGEST)
                })?;
                Command::Order(Order::Set(Setting::MonitorInterval(interval)))
            }
            Self::SetRetries { entry, count } => {
                Command::Order(Order::Set(Setting::Retries(entry.map(entry_number), count)))
            }
            Self::ShowEntries { entry } => Command::ShowEntries { entry: entry.map(entry_number) },
            Self::ShowParam => Command::ShowParam,
            Self::Shutdown => Command::Order(Order::Shutdown),
            Self::Status { process } => Command::Status { process },
            Self::Wait => Command::Wait,
            Self::Why { entry } => Command::Why { entry: entry.map(entry_number) },
        })
    }
}

/// No pfile has more entries than fit; if one had, the last number would name none of them.
fn number(entry: EntryNumber) -> NonZeroU32 {
    u32::try_from(entry.number()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX)
}

fn entry_number(number: NonZeroU32) -> EntryNumber {
    EntryNumber::of_index(number.get() as usize - 1)
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

    use proptest::prelude::*;
    use watcher_core::{Pid, pfile::UnknownOptions};

    use super::*;

    fn entry() -> impl Strategy<Value = Option<EntryNumber>> {
        prop::option::of((0..u32::MAX - 1).prop_map(|index| EntryNumber::of_index(index as usize)))
    }

    fn join() -> impl Strategy<Value = Command> {
        let path = prop::collection::vec(any::<u8>(), 0..40);
        let circumstances = prop::collection::btree_map(any::<String>(), any::<String>(), 0..4);
        let numbers = (1..i32::MAX as u32, any::<(u64, u64)>(), any::<bool>());
        (path, circumstances, numbers, any::<String>()).prop_map(|(path, circumstances, numbers, release)| {
            let (pid, file, lenient) = numbers;
            Command::Join(Box::new(Join {
                pid: Pid::new(pid).unwrap(),
                pfile: OsString::from_vec(path).into(),
                file,
                unknown_options: if lenient { UnknownOptions::Keep } else { UnknownOptions::Refuse },
                release,
                circumstances,
            }))
        })
    }

    fn command() -> impl Strategy<Value = Command> {
        let order = prop_oneof![
            Just(Order::Dump),
            Just(Order::Reload),
            Just(Order::Shutdown),
            entry().prop_map(Order::Pause),
            entry().prop_map(Order::Resume),
            (entry(), any::<u32>()).prop_map(|(entry, grace)| Order::Set(Setting::Grace(entry, Seconds(grace)))),
            (entry(), any::<u32>()).prop_map(|(entry, count)| Order::Set(Setting::Retries(entry, count))),
            (1..=Interval::LONGEST)
                .prop_map(|seconds| Order::Set(Setting::MonitorInterval(Interval::new(seconds).unwrap()))),
        ];
        prop_oneof![
            order.prop_map(Command::Order),
            join(),
            Just(Command::Metrics),
            Just(Command::Monitor(monitor::Order::Pause)),
            Just(Command::Monitor(monitor::Order::Resume)),
            Just(Command::Monitor(monitor::Order::Show)),
            Just(Command::Ping),
            Just(Command::ShowParam),
            any::<bool>().prop_map(|process| Command::Status { process }),
            Just(Command::Wait),
            entry().prop_map(|entry| Command::ShowEntries { entry }),
            entry().prop_map(|entry| Command::Why { entry }),
            (any::<bool>(), any::<Option<u32>>()).prop_map(|(follow, last)| Command::Events { follow, last }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_asked_arrives(command in command()) {
            let line = line(&command).unwrap();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(read(&line), Ok(command));
        }

        #[test]
        fn any_bytes_are_refused_by_a_sentence(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn a_request_that_was_damaged_never_becomes_an_order_of_another_kind(
            command in command(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut line = line(&command).unwrap();
            *at.get_mut(&mut line) = byte;
            if let Ok(Command::Monitor(read)) = read(&line) {
                prop_assert!(matches!(&command, Command::Monitor(order) if *order == read));
            }
            if let Ok(Command::Join(_)) = read(&line) {
                prop_assert!(matches!(command, Command::Join(_)));
            }
            if let Ok(Command::Order(read)) = read(&line) {
                let same = |order: &Order| std::mem::discriminant(order) == std::mem::discriminant(&read);
                prop_assert!(matches!(&command, Command::Order(order) if same(order)));
            }
        }
    }

    #[test]
    fn the_wire_form_is_what_other_programs_may_rely_on() {
        let wire = |command| String::from_utf8(line(&command).unwrap()).unwrap();
        assert_eq!(wire(Command::Ping), "{\"version\":1,\"request\":\"ping\"}\n");
        let entry = Some(EntryNumber::of_index(1));
        let pause = Command::Order(Order::Pause(entry));
        assert_eq!(wire(pause), "{\"version\":1,\"request\":{\"pause\":{\"entry\":2}}}\n");
        assert_eq!(read(br#"{"request":{"show_entries":{}},"version":1}"#), Ok(Command::ShowEntries { entry: None }));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let why = |line: &str| read(line.as_bytes()).unwrap_err();
        assert!(why("GET / HTTP/1.1").starts_with("this is not a request of padmin"));
        assert!(why(r#"{"version":2,"request":"ping"}"#).contains("version 2"));
        assert!(why(r#"{"version":1,"request":"sing"}"#).contains("unknown variant `sing`"));
        assert!(why(r#"{"version":1,"request":{"pause":{"entry":0}}}"#).contains("nonzero"));
        assert!(why(r#"{"version":1,"request":{"pause":{"minutes":5}}}"#).contains("unknown field `minutes`"));
        assert!(why(r#"{"version":1,"request":{"set_interval":{"seconds":0}}}"#).contains("1 to 86400"));
        assert!(why(&format!("{{\"deep\":{}", "[".repeat(60_000))).starts_with("this is not a request"));
    }
}
