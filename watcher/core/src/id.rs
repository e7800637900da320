//! Names of things. A pid alone never names a process: pids are reused.

use std::{fmt, num::NonZeroU32};

/// A process number. It names a process only together with a start time: see [`ProcId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pid(NonZeroU32);

impl Pid {
    /// A pid, unless the number cannot be one.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number > i32::MAX as u32 {
            return None;
        }
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When a process was started, in ticks of 1/100 s since boot: field 22 of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StartTicks(pub u64);

/// A process: its pid and its start time. Another process with the same pid is another `ProcId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcId {
    /// Its number.
    pub pid: Pid,
    /// Its start time.
    pub start: StartTicks,
}

/// An entry, for as long as it is watched: unlike its number it does not change when the file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId(pub u32);

/// One run of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(pub u64);

/// A request of an operator who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// A command name as the kernel keeps it: at most 15 bytes, any bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comm([u8; 16]);

impl Comm {
    /// Takes the bytes before the first NUL; what follows it is left over from longer names.
    #[must_use]
    pub fn new(mut bytes: [u8; 16]) -> Self {
        let mut ended = false;
        for byte in &mut bytes {
            ended |= *byte == 0;
            if ended {
                *byte = 0;
            }
        }
        Self(bytes)
    }
}

impl fmt::Display for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        f.write_str(&String::from_utf8_lossy(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_no_process_can_have_are_refused() {
        assert_eq!(Pid::new(0), None);
        assert_eq!(Pid::new(u32::MAX), None);
        assert_eq!(Pid::new(4_194_303).map(Pid::number), Some(4_194_303));
    }

    #[test]
    fn command_names_end_at_the_first_nul() {
        let comm = Comm::new(*b"sem\0\0er/0\0\0\0\0\0\0\0");
        assert_eq!(comm.to_string(), "sem");
        assert_eq!(comm, Comm::new(*b"sem\0\0\0\0\0\0\0\0\0\0\0\0\0"));
    }
}
