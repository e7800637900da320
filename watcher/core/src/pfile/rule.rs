//! What a pfile says, as values that cannot be wrong: whoever holds one need not check it again.

use std::fmt;

use super::{Bytes, Entry, Extension, Placed};

/// A whole pfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pfile {
    /// The parameters.
    pub param: Param,
    /// The entries, in order.
    pub entries: Vec<Placed<Entry>>,
    /// Extensions that belong to the file.
    pub extensions: Vec<Placed<Extension>>,
}

impl Pfile {
    /// From which share of failing services on verdicts are held, in percent: what the file says, which may be "never".
    #[must_use]
    pub fn stall_guard(&self) -> Option<Option<u32>> {
        self.extensions
            .iter()
            .find_map(|extension| if let Extension::StallGuard(share) = extension.value { Some(share) } else { None })
    }

    /// The entries with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (EntryNumber, &Placed<Entry>)> {
        self.entries.iter().enumerate().map(|(index, entry)| (EntryNumber::of_index(index), entry))
    }
}

/// Number of an entry in its file, from 1: the `pent_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryNumber(usize);

impl EntryNumber {
    /// Of the entry at this index.
    #[must_use]
    pub const fn of_index(index: usize) -> Self {
        Self(index.saturating_add(1))
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> usize {
        self.0
    }

    /// Of which index it is.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.saturating_sub(1)
    }
}

impl fmt::Display for EntryNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Key of the channel between pcheck and padmin.
    pub ipc_key: Placed<IpcKey>,
    /// How often pcheck looks for padmin's requests.
    pub msg_check_interval: Option<Placed<Interval>>,
    /// How often the original looks at processes.
    pub monitor_interval: Option<Placed<Interval>>,
    /// The file that receives the trace when something fails.
    pub dump_file: Option<Placed<AbsolutePath>>,
}

impl Param {
    /// How often pcheck looks for padmin's requests, as given or by default.
    #[must_use]
    pub fn msg_check_interval(&self) -> Interval {
        self.msg_check_interval.map_or(Interval::MSG_CHECK_DEFAULT, |interval| interval.value)
    }

    /// How often the original looks at processes, as given or by default.
    #[must_use]
    pub fn monitor_interval(&self) -> Interval {
        self.monitor_interval.map_or(Interval::MONITOR_DEFAULT, |interval| interval.value)
    }
}

/// `IPCKEY`: a number, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpcKey {
    number: u32,
    written: Bytes,
}

impl IpcKey {
    /// Reads `0x` and one to eight hexadecimal digits.
    #[must_use]
    pub fn read(written: &[u8]) -> Option<Self> {
        let digits = written.strip_prefix(b"0x").or_else(|| written.strip_prefix(b"0X"))?;
        let digits =
            str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let number = (digits.len() <= 8).then(|| u32::from_str_radix(digits, 16).ok())??;
        Some(Self { number, written: written.into() })
    }

    /// What counts: two files must not have the same.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// As it stands in the file.
    #[must_use]
    pub const fn written(&self) -> &Bytes {
        &self.written
    }
}

/// An interval of 1 to 86400 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(u32);

impl Interval {
    /// The longest: a day.
    pub const LONGEST: u32 = 86_400;
    /// `MONITOR_INTERVAL` where none is given.
    pub const MONITOR_DEFAULT: Self = Self(10);
    /// `MSG_CHECK_INTERVAL` where none is given.
    pub const MSG_CHECK_DEFAULT: Self = Self(5);

    /// An interval, unless it is too short or too long.
    #[must_use]
    pub const fn new(seconds: u32) -> Option<Self> {
        if 1 <= seconds && seconds <= Self::LONGEST { Some(Self(seconds)) } else { None }
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

/// A length of time in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u32);

/// A path that begins with a slash and stays on its line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AbsolutePath(Bytes);

impl AbsolutePath {
    /// A path, unless it is relative, contains a control character or ends in a blank.
    #[must_use]
    pub fn new(path: &[u8]) -> Option<Self> {
        let fits = path.first() == Some(&b'/')
            && !path.last().is_some_and(|byte| matches!(byte, b' ' | b'\t'))
            && !path.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
        fits.then(|| Self(path.into()))
    }

    /// The path.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The same place without detours: no empty part, no `.`, no `..`. (Links are not known here.)
    #[must_use]
    pub fn normalized(&self) -> Bytes {
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in self.as_slice().split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        let joined: Vec<u8> = parts.iter().flat_map(|part| [b"/", *part].concat()).collect();
        joined.as_slice().into()
    }

    /// Its last part.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        self.as_slice().rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
