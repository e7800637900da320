//! Names of things. A pid alone never names a process: pids are reused.

use std::{fmt, num::NonZeroU32};

use crate::Mono;

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

/// What the clock of start times says at a moment. Only both together tell when a process began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uptime {
    /// What it says.
    pub ticks: StartTicks,
    /// The moment.
    pub at: Mono,
}

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

/// The watch over one pfile, among all of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FleetId(u32);

impl FleetId {
    /// So many bits of a name are left for what is named: more than anybody uses up.
    const BITS: u32 = 40;

    /// The first of all.
    pub const FIRST: Self = Self(0);

    /// The last that there can be.
    pub(crate) const LAST: Self = Self((1 << (u64::BITS - Self::BITS)) - 1);

    /// A fleet by its number, unless that is too large.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number <= Self::LAST.0 { Some(Self(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The first of the names that are its own.
    pub(crate) const fn first_name(self) -> u64 {
        (self.0 as u64) << Self::BITS
    }

    /// By this its entries are kept out of step with those of others.
    pub(crate) const fn first_order(self) -> u64 {
        (self.0 as u64) << 12
    }

    /// Whose name this is.
    const fn of(name: u64) -> Self {
        Self((name >> Self::BITS) as u32)
    }
}

/// One run of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(pub u64);

impl RunId {
    /// Whose it is.
    #[must_use]
    pub const fn fleet(self) -> FleetId {
        FleetId::of(self.0)
    }
}

/// One attempt to ask a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeId(pub u64);

impl ProbeId {
    /// Whose it is.
    #[must_use]
    pub const fn fleet(self) -> FleetId {
        FleetId::of(self.0)
    }
}

/// A port that is watched for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortWatchId(pub u64);

impl PortWatchId {
    /// Whose it is.
    #[must_use]
    pub const fn fleet(self) -> FleetId {
        FleetId::of(self.0)
    }
}

/// A request of an operator who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// A command name as the kernel keeps it: at most 15 bytes, any bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

    /// The name that a process gets when it begins to run the program with this base name: its first 15 bytes.
    #[must_use]
    pub fn of_program(name: &[u8]) -> Self {
        let mut bytes = [0; 16];
        // The last place stays a NUL.
        for (byte, of_name) in bytes.iter_mut().take(15).zip(name) {
            *byte = *of_name;
        }
        Self::new(bytes)
    }

    /// Its bytes, zeros after the first NUL.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
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
    fn names_of_programs_are_cut_as_the_kernel_cuts_them() {
        assert_eq!(Comm::of_program(b"nginx").to_string(), "nginx");
        assert_eq!(Comm::of_program(b"leader_exits_first").to_string(), "leader_exits_fi");
        assert_eq!(Comm::of_program(b"").bytes(), [0; 16]);
    }

    #[test]
    fn command_names_end_at_the_first_nul() {
        let comm = Comm::new(*b"sem\0\0er/0\0\0\0\0\0\0\0");
        assert_eq!(comm.to_string(), "sem");
        assert_eq!(comm, Comm::new(*b"sem\0\0\0\0\0\0\0\0\0\0\0\0\0"));
    }
}
