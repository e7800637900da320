//! One entry of a pfile: a process, what brings it back, and when to give up.

use super::{AbsolutePath, Bytes, Extension, Placed, Seconds, StallCheck};

/// A process that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The program, as `ps` shows it.
    pub process: Placed<AbsolutePath>,
    /// What brings it back.
    pub script: Placed<AbsolutePath>,
    /// The period that the retry count belongs to; 0: no end.
    pub grace: Placed<Seconds>,
    /// How many restarts are tried before a retry-over.
    pub retries: Placed<u32>,
    /// What happens then.
    pub retry_over: Placed<WrittenRetryOver>,
    /// Options, in the order in which they are written.
    pub options: Vec<Placed<EntryOption>>,
    /// Stall checks, in order.
    pub stall_checks: Vec<Placed<StallCheck>>,
    /// Extensions, in order.
    pub extensions: Vec<Placed<Extension>>,
}

impl Entry {
    /// What the command line must contain.
    #[must_use]
    pub fn include_strings(&self) -> Option<&Strings> {
        self.options.iter().find_map(|option| {
            if let EntryOption::IncludeStrings(strings) = &option.value { Some(strings) } else { None }
        })
    }

    /// What the command line must not contain.
    #[must_use]
    pub fn exclude_strings(&self) -> Option<&Strings> {
        self.options.iter().find_map(|option| {
            if let EntryOption::ExcludeStrings(strings) = &option.value { Some(strings) } else { None }
        })
    }

    /// How long is waited after the restart script, in seconds.
    #[must_use]
    pub fn restart_wait(&self) -> Seconds {
        let wait = self.options.iter().find_map(|option| {
            if let EntryOption::RestartWaitTime(seconds) = &option.value { Some(*seconds) } else { None }
        });
        wait.unwrap_or(Seconds(0))
    }

    /// The group that it belongs to.
    #[must_use]
    pub fn group(&self) -> Option<&Bytes> {
        self.options
            .iter()
            .find_map(|option| if let EntryOption::GroupTag { tag, .. } = &option.value { Some(tag) } else { None })
    }

    /// What is run before the restart script.
    #[must_use]
    pub fn clear_cmd(&self) -> Option<&AbsolutePath> {
        self.options
            .iter()
            .find_map(|option| if let EntryOption::ClearCmd(path) = &option.value { Some(path) } else { None })
    }

    /// Time limit of the restart script, where one is given.
    #[must_use]
    pub fn script_timeout(&self) -> Option<Seconds> {
        self.extensions.iter().find_map(|extension| {
            if let Extension::ScriptTimeout(seconds) = extension.value { Some(seconds) } else { None }
        })
    }

    /// Whether several processes of this name are expected.
    #[must_use]
    pub fn counts_processes(&self) -> bool {
        let counts = |option: &Placed<EntryOption>| {
            matches!(option.value, EntryOption::MaxProcCount(_) | EntryOption::MinProcCount(_))
        };
        self.options.iter().any(counts)
    }
}

/// What happens when the retries are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOver {
    /// The entry is given up, the others go on.
    Continue,
    /// pcheck ends, so that a cluster manager or a reboot takes over.
    Exit,
    /// pcheck ends.
    Shutdown,
}

impl RetryOver {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Continue, Self::Exit, Self::Shutdown];

    /// As it is written in a pfile.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Exit => "exit",
            Self::Shutdown => "shutdown",
        }
    }
}

/// A retry-over action, and how it is written: in any case, and padmin shows it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenRetryOver {
    action: RetryOver,
    written: Bytes,
}

impl WrittenRetryOver {
    /// Reads one of the three words.
    #[must_use]
    pub fn read(written: &[u8]) -> Option<Self> {
        let action =
            RetryOver::ALL.into_iter().find(|action| written.eq_ignore_ascii_case(action.name().as_bytes()))?;
        Some(Self { action, written: written.into() })
    }

    /// What is meant.
    #[must_use]
    pub const fn action(&self) -> RetryOver {
        self.action
    }

    /// As it stands in the file.
    #[must_use]
    pub const fn written(&self) -> &Bytes {
        &self.written
    }
}

/// An option of an entry. All but `include_strings` are this project's reading of names that are in circulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryOption {
    /// Run before the restart script.
    ClearCmd(AbsolutePath),
    /// Only processes whose command line contains none of these.
    ExcludeStrings(Strings),
    /// Entries with the same tag are restarted together.
    GroupTag {
        /// The tag.
        tag: Bytes,
        /// Written `group_tag` rather than `grp_tag`.
        long: bool,
    },
    /// Only processes whose command line contains all of these.
    IncludeStrings(Strings),
    /// More processes than this are a fault.
    MaxProcCount(u32),
    /// Fewer processes than this are a fault.
    MinProcCount(u32),
    /// Wait so long after the restart script.
    RestartWaitTime(Seconds),
    /// Not known, but kept because the reader was asked to.
    Unknown(Bytes),
}

impl EntryOption {
    /// The names that are known.
    pub const NAMES: [&'static str; 8] = [
        "include_strings",
        "exclude_strings",
        "min_proc_count",
        "max_proc_count",
        "grp_tag",
        "group_tag",
        "clear_cmd",
        "restart_waittime",
    ];

    /// Its name; none where it is not known.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        match self {
            Self::ClearCmd(_) => Some("clear_cmd"),
            Self::ExcludeStrings(_) => Some("exclude_strings"),
            Self::GroupTag { long: false, .. } => Some("grp_tag"),
            Self::GroupTag { long: true, .. } => Some("group_tag"),
            Self::IncludeStrings(_) => Some("include_strings"),
            Self::MaxProcCount(_) => Some("max_proc_count"),
            Self::MinProcCount(_) => Some("min_proc_count"),
            Self::RestartWaitTime(_) => Some("restart_waittime"),
            Self::Unknown(_) => None,
        }
    }

    /// Its name, the same for two names of one thing.
    pub(super) const fn meaning(&self) -> Option<&'static str> {
        match self {
            Self::GroupTag { .. } => Some("grp_tag"),
            Self::ClearCmd(_)
            | Self::ExcludeStrings(_)
            | Self::IncludeStrings(_)
            | Self::MaxProcCount(_)
            | Self::MinProcCount(_)
            | Self::RestartWaitTime(_)
            | Self::Unknown(_) => self.name(),
        }
    }
}

/// Search strings, joined by `&` as they are written: padmin shows them so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Strings(Bytes);

impl Strings {
    pub(super) fn new(written: &[u8]) -> Self {
        Self(written.into())
    }

    /// As they stand in the file.
    #[must_use]
    pub const fn written(&self) -> &Bytes {
        &self.0
    }

    /// Each of them.
    pub fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.0.as_slice().split(|byte| *byte == b'&').filter(|word| !word.is_empty())
    }
}
