//! Parameter lines: a keyword, blanks, a value.

use super::{Check, Field, Place, Placed, Problem, Reader, field::nearest};
use crate::pfile::{AbsolutePath, Interval, IpcKey, Param};

/// The parameters that there are.
pub(super) const KEYWORDS: [&str; 4] = ["IPCKEY", "MSG_CHECK_INTERVAL", "MONITOR_INTERVAL", "SHM_DUMP_FILE"];

/// How the Windows edition calls them.
const WINDOWS: [(&str, &str); 3] = [
    ("MsgCheckInterval", "MSG_CHECK_INTERVAL"),
    ("MonitorInterval", "MONITOR_INTERVAL"),
    ("DumpFileName", "SHM_DUMP_FILE"),
];

/// A parameter: not seen yet, seen with a mistake, or read.
#[derive(Default)]
enum Slot<T> {
    #[default]
    Empty,
    Spoilt(Place),
    Read(Place, Placed<T>),
}

impl<T> Slot<T> {
    fn set(&mut self, keyword: Field<'_>, value: Result<Placed<T>, Problem>) -> Result<(), Problem> {
        match self {
            Self::Spoilt(first) | Self::Read(first, _) => Err(keyword
                .problem(Check::DuplicateParameter, format!("{} is given a second time", keyword.quoted()))
                .hint("keep one of the two lines")
                .related(*first, "it was given here first")),
            Self::Empty => match value {
                Ok(value) => {
                    *self = Self::Read(keyword.place(), value);
                    Ok(())
                }
                Err(problem) => {
                    *self = Self::Spoilt(keyword.place());
                    Err(problem)
                }
            },
        }
    }

    fn value(self) -> Option<Placed<T>> {
        match self {
            Self::Empty | Self::Spoilt(_) => None,
            Self::Read(_, value) => Some(value),
        }
    }
}

/// The parameters, as far as they have been read.
#[derive(Default)]
pub(super) struct Draft {
    ipc_key: Slot<IpcKey>,
    msg_check_interval: Slot<Interval>,
    monitor_interval: Slot<Interval>,
    dump_file: Slot<AbsolutePath>,
}

impl Draft {
    /// The parameters, unless the one that must be there is not.
    pub(super) fn finish(self) -> Result<Param, Problem> {
        let Self { ipc_key, msg_check_interval, monitor_interval, dump_file } = self;
        let ipc_key = match ipc_key {
            Slot::Read(_, key) => key,
            // Why the key could not be read has been told; this file fails anyway.
            Slot::Spoilt(place) => return Err(missing_key(place)),
            Slot::Empty => return Err(missing_key(Place::default())),
        };
        Ok(Param {
            ipc_key,
            msg_check_interval: msg_check_interval.value(),
            monitor_interval: monitor_interval.value(),
            dump_file: dump_file.value(),
        })
    }
}

fn missing_key(place: Place) -> Problem {
    Problem::new(Check::MissingParameter, place, "the file has no `IPCKEY`")
        .hint("add a line `IPCKEY 0x` and eight hexadecimal digits that no other pfile of this host has")
}

impl<'a> Reader<'a> {
    pub(super) fn param_line(&mut self, keyword: Field<'a>, value: Field<'a>) {
        let draft = &mut self.param;
        let result = match keyword.bytes {
            b"IPCKEY" => draft.ipc_key.set(keyword, given(keyword, value).and_then(key)),
            b"MSG_CHECK_INTERVAL" => draft.msg_check_interval.set(keyword, given(keyword, value).and_then(interval)),
            b"MONITOR_INTERVAL" => draft.monitor_interval.set(keyword, given(keyword, value).and_then(interval)),
            b"SHM_DUMP_FILE" => draft.dump_file.set(keyword, given(keyword, value).and_then(dump_file)),
            _ => Err(unknown(keyword)),
        };
        self.take(result);
    }
}

fn given<'a>(keyword: Field<'_>, value: Field<'a>) -> Result<Field<'a>, Problem> {
    if value.bytes.is_empty() {
        return Err(Problem::new(Check::InvalidValue, keyword.place(), format!("{} has no value", keyword.quoted())));
    }
    Ok(value)
}

fn key(value: Field<'_>) -> Result<Placed<IpcKey>, Problem> {
    let key = IpcKey::read(value.bytes).ok_or_else(|| {
        value
            .problem(Check::InvalidValue, format!("{} is not a key", value.quoted()))
            .hint("a key is `0x` and up to eight hexadecimal digits, such as 0x1f000001")
    })?;
    Ok(Placed::new(key, value.place()))
}

fn interval(value: Field<'_>) -> Result<Placed<Interval>, Problem> {
    let seconds = value.number("the number of seconds")?;
    let interval = Interval::new(seconds).ok_or_else(|| {
        value
            .problem(Check::InvalidValue, format!("an interval of {seconds} seconds is not possible"))
            .hint(format!("1 to {} seconds are", Interval::LONGEST))
    })?;
    Ok(Placed::new(interval, value.place()))
}

fn dump_file(value: Field<'_>) -> Result<Placed<AbsolutePath>, Problem> {
    Ok(Placed::new(value.absolute_path("the dump file")?, value.place()))
}

fn unknown(keyword: Field<'_>) -> Problem {
    let problem = keyword.problem(Check::UnknownParameter, format!("{} is not a parameter", keyword.quoted()));
    let name = keyword.bytes.split(|byte| matches!(byte, b'=' | b':')).next().unwrap_or_default();
    let windows = WINDOWS.iter().find(|(windows, _)| windows.as_bytes() == name);
    match (windows, KEYWORDS.iter().find(|known| known.as_bytes() == name)) {
        (Some((_, linux)), _) => problem.hint(format!("the Windows edition calls it so; here it is `{linux}`")),
        (None, Some(known)) => problem.hint(format!("write `{known}`, a blank, and the value")),
        (None, None) => {
            problem.suggest(nearest(name, KEYWORDS), format!("it is ignored; parameters are {}", KEYWORDS.join(", ")))
        }
    }
}
