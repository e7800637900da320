//! The lines of the file: what stands on disk is apart from what the core means by it.

use serde::{Deserialize, Serialize};
use watcher_core::{Mono, Pid, ProcId, RarelySaved, SavedEntry, StartTicks, Wall, fleet::StallStatus};

use crate::executor::percent;

/// Another form of the file has another number.
pub(super) const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u32,
    pub(super) boot_id: String,
}

/// All others. Times are nanoseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    text: String,
    occurrence: u32,
    proc: Option<Proc>,
    died_at: Option<u64>,
    retry_count: u32,
    window_opened: Option<u64>,
    last_restart: Option<u64>,
    restart_count: u32,
    rerun: Option<u64>,
    paused: bool,
    gave_up: bool,
    set_retries: Option<u32>,
    set_grace: Option<u32>,
    script: Option<Script>,
    /// What padmin shows of stall checks that are off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stalls: Vec<Option<String>>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Proc {
    pid: u32,
    start: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Script {
    proc: Proc,
    since: u64,
}

impl From<ProcId> for Proc {
    fn from(ProcId { pid, start }: ProcId) -> Self {
        Self { pid: pid.number(), start: start.0 }
    }
}

impl Proc {
    fn read(self) -> Option<ProcId> {
        Some(ProcId { pid: Pid::new(self.pid)?, start: StartTicks(self.start) })
    }
}

impl From<&SavedEntry> for Record {
    fn from(entry: &SavedEntry) -> Self {
        let SavedEntry { text, occurrence, proc, retry_count, restart_count, paused, gave_up, rare } = entry;
        let RarelySaved { died_at, window_opened, last_restart, rerun, set_retries, set_grace, script, stalls } =
            &**rare;
        let time = |at: &Option<Mono>| at.map(|at| at.0);
        Self {
            text: percent::encode(text.as_slice()),
            occurrence: *occurrence,
            proc: proc.map(Proc::from),
            died_at: time(died_at),
            retry_count: *retry_count,
            window_opened: time(window_opened),
            last_restart: time(last_restart),
            restart_count: *restart_count,
            rerun: rerun.map(|wall| wall.unix_ns),
            paused: *paused,
            gave_up: *gave_up,
            set_retries: *set_retries,
            set_grace: *set_grace,
            script: script.map(|(proc, since)| Script { proc: proc.into(), since: since.0 }),
            stalls: stalls.iter().map(|status| status.map(|status| status.name().to_owned())).collect(),
        }
    }
}

impl Record {
    /// What the core knows by it; `None` when it makes no sense.
    pub(super) fn read(self) -> Option<SavedEntry> {
        let Self {
            text,
            occurrence,
            proc,
            died_at,
            retry_count,
            window_opened,
            last_restart,
            restart_count,
            rerun,
            paused,
            gave_up,
            set_retries,
            set_grace,
            script,
            stalls,
        } = self;
        let proc = match proc {
            Some(proc) => Some(proc.read()?),
            None => None,
        };
        let script = match script {
            Some(Script { proc, since }) => Some((proc.read()?, Mono(since))),
            None => None,
        };
        let rare = RarelySaved {
            died_at: died_at.map(Mono),
            window_opened: window_opened.map(Mono),
            last_restart: last_restart.map(Mono),
            rerun: rerun.map(|unix_ns| Wall { unix_ns }),
            set_retries,
            set_grace,
            script,
            stalls: stalls.iter().map(|name| StallStatus::named(name.as_deref()?)).collect(),
        };
        Some(SavedEntry {
            text: percent::decode(&text)?.as_slice().into(),
            occurrence,
            proc,
            retry_count,
            restart_count,
            paused,
            gave_up,
            rare: rare.into(),
        })
    }
}
