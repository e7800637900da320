//! What padmin shows: a look at the machine, without a way to change it.

use crate::{
    EntryId, Mono, Pid, SocketAlarm, Span, Tier, Wall,
    pfile::{AbsolutePath, EntryNumber, Port, StallKind, Strings},
    probe::Fault,
};

/// An entry as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryView {
    /// Which.
    pub id: EntryId,
    /// `pent_id`
    pub number: EntryNumber,
    /// `pname`
    pub process: AbsolutePath,
    /// The restart script.
    pub script: AbsolutePath,
    /// `pid`: the process that is watched, or was last.
    pub pid: Option<Pid>,
    /// `retry_count`
    pub retry_count: u32,
    /// How many retries there are, as in force.
    pub retries: u32,
    /// The grace in seconds, as in force.
    pub grace: u32,
    /// `restart_count`
    pub restart_count: u32,
    /// `proc_sts`
    pub status: ProcStatus,
    /// What the entry is about, more exactly than `proc_sts` tells.
    pub doing: Doing,
    /// Until when, where it waits for a time.
    pub until: Option<Mono>,
    /// `stall_chk (…)`, in the order of the file.
    pub stall_checks: Vec<StallView>,
    /// `retry_over_act`, as written.
    pub retry_over: String,
    /// Since when its process is not there.
    pub down_since: Option<Mono>,
    /// How its script ended, where that was a failure and its process is not back: completes "the script …".
    pub script_failed: Option<String>,
    /// `rerun_time`
    pub rerun: Option<Wall>,
    /// `include_strings`
    pub include_strings: Option<Strings>,
    /// `monitor_sts`
    pub monitored: bool,
    /// The group that it belongs to.
    pub group: Option<String>,
}

/// The whole watch as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetView {
    /// `IPCKEY`, as written.
    pub ipc_key: String,
    /// `MSG_CHECK_INTERVAL` in seconds.
    pub msg_check_interval: u32,
    /// `MONITOR_INTERVAL` in seconds, as in force.
    pub monitor_interval: u32,
    /// `SHM_DUMP_FILE`
    pub dump_file: Option<AbsolutePath>,
    /// How many entries there are.
    pub entries: usize,
    /// How deaths are learned of.
    pub tier: Tier,
}

/// `proc_sts`. Only `AVAIL` is published; the others are this project's own choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcStatus {
    /// The process is there.
    Avail,
    /// Nobody has looked yet.
    Init,
    /// The process has gone, and is being brought back.
    Restart,
    /// Given up.
    Unavail,
}

impl ProcStatus {
    /// As padmin shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avail => "AVAIL",
            Self::Init => "INIT",
            Self::Restart => "RESTART",
            Self::Unavail => "UNAVAIL",
        }
    }
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Its process runs.
    Watching,
    /// Its process is looked for.
    Looking,
    /// Its process is dying: what it holds is not free yet.
    Dying,
    /// It waits until the next restart may begin.
    Pacing,
    /// The other members of its group are ended.
    Stopping,
    /// It waits until fewer scripts run.
    Queued,
    /// Its script runs.
    Restarting,
    /// Its script has ended, its process is not there yet.
    Appearing,
    /// It was given up.
    GaveUp,
    /// It is suspended.
    Paused,
}

impl Doing {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Watching => "watching",
            Self::Looking => "looking",
            Self::Dying => "dying",
            Self::Pacing => "pacing",
            Self::Stopping => "stopping",
            Self::Queued => "queued",
            Self::Restarting => "restarting",
            Self::Appearing => "appearing",
            Self::GaveUp => "gave_up",
            Self::Paused => "paused",
        }
    }
}

/// A stall check as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StallView {
    /// What is asked.
    pub kind: StallKind,
    /// On which port.
    pub port: Port,
    /// `stall_chk`
    pub status: StallStatus,
    /// How many checks have failed in a row.
    pub failures: u32,
    /// Since when.
    pub failing_since: Option<Mono>,
    /// Why the last one failed, or could not be made.
    pub fault: Option<Fault>,
    /// What is wrong with the sockets of the port.
    pub alarms: Vec<SocketAlarm>,
    /// A stall is not acted on, since too many services fail together.
    pub held: bool,
    /// The check has ended: by the rule after its first stall, or since the process cannot be ended.
    pub ended: bool,
    /// How long the last check took.
    pub took: Option<Span>,
    /// For how many days the certificate of the service was valid yet, when a check last succeeded.
    pub certificate_days: Option<i64>,
}

/// `stall_chk`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallStatus {
    /// No check has succeeded or failed for good yet.
    Init,
    /// It answers.
    Avail,
    /// A stall was found.
    Detect,
    /// The check could not be made, or stays off after a forced end that failed.
    Unavail,
    /// Paused, or there is no process.
    Unknown,
}

impl StallStatus {
    const ALL: [Self; 5] = [Self::Init, Self::Avail, Self::Detect, Self::Unavail, Self::Unknown];

    /// By what padmin shows.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// As padmin shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Avail => "AVAIL",
            Self::Detect => "DETECT",
            Self::Unavail => "UNAVAIL",
            Self::Unknown => "UNKNOWN",
        }
    }
}
