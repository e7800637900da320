//! What is shown, as it is on the wire. The same members are what `padmin --json` prints (`docs/json.md`): they are added,
//! never changed.

use serde::{Deserialize, Serialize};
use watcher_core::{
    Mono, Pid, Span, Wall,
    fleet::{EntryView, FleetView, StallView},
    health::{Health, Trouble, troubles_of},
    monitor::{Standing, Symptom},
    pfile::Strings,
};

use super::answer::Who;

/// An entry as it stands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct EntryLine {
    /// `pent_id`
    pub entry: usize,
    /// `pname`
    pub process: String,
    /// The same as hexadecimal digits, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_hex: Option<String>,
    /// `pid`
    pub pid: Option<u32>,
    /// `retry_count`
    pub retry_count: u32,
    /// How many retries there are.
    pub retries: u32,
    /// The grace in seconds.
    pub grace_s: u32,
    /// `restart_count`
    pub restart_count: u32,
    /// `proc_sts`
    pub proc_sts: String,
    /// What the entry is about, more exactly.
    pub doing: String,
    /// For how many seconds more, where it waits for a time.
    pub until_s: Option<f64>,
    /// `stall_chk (…)`
    pub stall_checks: Vec<StallLine>,
    /// `retry_over_act`
    pub retry_over_act: String,
    /// For how many seconds its process has not been there.
    #[serde(default)]
    pub down_s: Option<f64>,
    /// How its script ended, where that was a failure and its process is not back.
    #[serde(default)]
    pub script_failed: Option<String>,
    /// `ok`, `warning` or `critical`.
    #[serde(default)]
    pub health: String,
    /// What is wrong with it, the worst first.
    #[serde(default)]
    pub troubles: Vec<TroubleLine>,
    /// `rerun_time`, in seconds since 1970.
    pub rerun_unix_time: Option<f64>,
    /// `include_strings`
    pub include_strings: Option<String>,
    /// The same as hexadecimal digits, where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_strings_hex: Option<String>,
    /// `monitor_sts`
    pub monitored: bool,
    /// The group that it belongs to.
    pub group: Option<String>,
    /// The restart script.
    pub script: String,
    /// The same as hexadecimal digits, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script_hex: Option<String>,
}

/// Something that is wrong with an entry.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct TroubleLine {
    /// What, by its name.
    pub trouble: String,
    /// The same as a sentence without a subject.
    pub why: String,
}

/// `stall_chk (…)`
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct StallLine {
    /// What stands in the brackets.
    pub kind: String,
    /// Its value.
    pub status: String,
    /// The port that is asked.
    #[serde(default)]
    pub port: u16,
    /// How many checks have failed in a row.
    #[serde(default)]
    pub failures: u32,
    /// For how many seconds.
    #[serde(default)]
    pub failing_s: Option<f64>,
    /// Why the last check failed, or could not be made: it completes the sentence "the service …".
    #[serde(default)]
    pub why: Option<String>,
    /// What is wrong with the sockets of the port.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// A stall is not acted on, since too many services fail together.
    #[serde(default)]
    pub held: bool,
    /// The check has ended.
    #[serde(default)]
    pub ended: bool,
    /// How long the last check took.
    #[serde(default)]
    pub took_ms: Option<f64>,
    /// For how many days the certificate was valid yet, when a check last succeeded.
    #[serde(default)]
    pub certificate_days: Option<i64>,
}

/// The parameters in force.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct ParamLine {
    /// `IPCKEY`, as written.
    pub ipckey: String,
    /// `MSG_CHECK_INTERVAL` in seconds.
    pub msg_check_interval: u32,
    /// `MONITOR_INTERVAL` in seconds.
    pub monitor_interval: u32,
    /// `SHM_DUMP_FILE`
    pub shm_dump_file: Option<String>,
    /// The same as hexadecimal digits, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shm_dump_file_hex: Option<String>,
    /// How many entries there are.
    pub entries: usize,
    /// How deaths are learned of.
    pub tier: String,
}

/// How a `clp_httpmon` or `clp_smtpmon` stands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct MonitorLine {
    /// Whether the order that this answers has changed anything.
    pub changed: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// Checks that were begun.
    pub checks: u64,
    /// Checks that failed, one after the other, up to now.
    pub faults: u32,
    /// Number of the message of the last fault.
    pub last_fault: Option<u8>,
    /// The number in that message.
    pub last_error: Option<i32>,
    /// Seconds until the next check, where one is waited for.
    pub next_check_s: Option<f64>,
}

/// A running pcheck.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct WhoLine {
    /// Its process.
    pub pid: u32,
    /// Its pfile, by its full path.
    pub pfile: String,
    /// The same as hexadecimal digits, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pfile_hex: Option<String>,
    /// Since when it watches, in seconds since 1970.
    pub since_unix_time: f64,
    /// `IPCKEY`, as written.
    pub ipckey: String,
    /// `MSG_CHECK_INTERVAL` in seconds.
    pub msg_check_interval: u32,
    /// How many entries there are.
    pub entries: usize,
    /// How deaths are learned of.
    pub tier: String,
}

impl EntryLine {
    /// Of an entry, as it stands at this moment.
    #[must_use]
    pub fn of(view: &EntryView, now: Mono) -> Self {
        let EntryView {
            id: _,
            number,
            process,
            script,
            pid,
            retry_count,
            retries,
            grace,
            restart_count,
            status,
            doing,
            until,
            stall_checks,
            retry_over,
            down_since,
            script_failed,
            rerun,
            include_strings,
            monitored,
            group,
        } = view;
        let (process, process_hex) = text(process.as_slice());
        let (script, script_hex) = text(script.as_slice());
        let (include_strings, include_strings_hex) =
            optional(include_strings.as_ref().map(Strings::written).map(|written| written.as_slice()));
        let stall_checks = stall_checks.iter().map(|view| StallLine::of(view, now));
        let troubles = troubles_of(view, now);
        let health = troubles.first().map_or(Health::Ok, |(worst, _)| worst.health());
        Self {
            entry: number.number(),
            process,
            process_hex,
            pid: pid.map(Pid::number),
            retry_count: *retry_count,
            retries: *retries,
            grace_s: *grace,
            restart_count: *restart_count,
            proc_sts: status.name().to_owned(),
            doing: doing.name().to_owned(),
            until_s: until.map(|until| until.since(now).seconds()),
            stall_checks: stall_checks.collect(),
            retry_over_act: retry_over.clone(),
            down_s: down_since.map(|since| now.since(since).seconds()),
            script_failed: script_failed.clone(),
            health: health.name().to_owned(),
            troubles: troubles.into_iter().map(TroubleLine::of).collect(),
            rerun_unix_time: rerun.map(unix_seconds),
            include_strings,
            include_strings_hex,
            monitored: *monitored,
            group: group.clone(),
            script,
            script_hex,
        }
    }

    /// `pname`, byte for byte.
    #[must_use]
    pub fn process(&self) -> Vec<u8> {
        bytes(&self.process, self.process_hex.as_deref())
    }

    /// `include_strings`, byte for byte.
    #[must_use]
    pub fn include_strings(&self) -> Option<Vec<u8>> {
        self.include_strings.as_ref().map(|strings| bytes(strings, self.include_strings_hex.as_deref()))
    }
}

impl TroubleLine {
    fn of((trouble, why): (Trouble, String)) -> Self {
        Self { trouble: trouble.name().to_owned(), why }
    }
}

impl StallLine {
    fn of(view: &StallView, now: Mono) -> Self {
        let StallView {
            kind,
            port,
            status,
            failures,
            failing_since,
            fault,
            held,
            ended,
            alarms,
            took,
            certificate_days,
        } = view;
        Self {
            kind: kind.short().to_owned(),
            status: status.name().to_owned(),
            port: port.number(),
            failures: *failures,
            failing_s: failing_since.map(|since| now.since(since).seconds()),
            why: fault.as_ref().map(ToString::to_string),
            alarms: alarms.iter().map(|alarm| alarm.name().to_owned()).collect(),
            held: *held,
            ended: *ended,
            took_ms: took.map(|took| took.micros() / 1e3),
            certificate_days: *certificate_days,
        }
    }
}

impl ParamLine {
    pub(super) fn of(view: &FleetView) -> Self {
        let FleetView { ipc_key, msg_check_interval, monitor_interval, dump_file, entries, tier } = view;
        let (shm_dump_file, shm_dump_file_hex) = optional(dump_file.as_ref().map(|path| path.as_slice()));
        Self {
            ipckey: ipc_key.clone(),
            msg_check_interval: *msg_check_interval,
            monitor_interval: *monitor_interval,
            shm_dump_file,
            shm_dump_file_hex,
            entries: *entries,
            tier: tier.name().to_owned(),
        }
    }

    /// `SHM_DUMP_FILE`, byte for byte.
    #[must_use]
    pub fn shm_dump_file(&self) -> Option<Vec<u8>> {
        self.shm_dump_file.as_ref().map(|path| bytes(path, self.shm_dump_file_hex.as_deref()))
    }
}

impl MonitorLine {
    pub(super) fn of(standing: &Standing) -> Self {
        let Standing { changed, paused, checks, faults, last, next_in } = *standing;
        Self {
            changed,
            paused,
            checks,
            faults,
            last_fault: last.map(Symptom::number),
            last_error: last.and_then(Symptom::error),
            next_check_s: next_in.map(Span::seconds),
        }
    }
}

impl WhoLine {
    pub(super) fn of(who: &Who) -> Self {
        let Who { pid, pfile, since, fleet } = who;
        let FleetView { ipc_key, msg_check_interval, monitor_interval: _, dump_file: _, entries, tier } = fleet;
        let (pfile, pfile_hex) = text(pfile.as_slice());
        Self {
            pid: pid.number(),
            pfile,
            pfile_hex,
            since_unix_time: unix_seconds(*since),
            ipckey: ipc_key.clone(),
            msg_check_interval: *msg_check_interval,
            entries: *entries,
            tier: tier.name().to_owned(),
        }
    }

    /// Its pfile, byte for byte.
    #[must_use]
    pub fn pfile(&self) -> Vec<u8> {
        bytes(&self.pfile, self.pfile_hex.as_deref())
    }
}

pub(super) fn unix_seconds(Wall { unix_ns }: Wall) -> f64 {
    unix_ns as f64 / 1e9
}

/// Names are bytes, JSON is UTF-8: what would get lost goes along as hexadecimal digits.
pub(super) fn text(bytes: &[u8]) -> (String, Option<String>) {
    match str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (
            String::from_utf8_lossy(bytes).into_owned(),
            Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        ),
    }
}

fn optional(bytes: Option<&[u8]>) -> (Option<String>, Option<String>) {
    bytes.map(text).map_or((None, None), |(text, hex)| (Some(text), hex))
}

pub(super) fn bytes(text: &str, hex: Option<&str>) -> Vec<u8> {
    hex.and_then(of_hex).unwrap_or_else(|| text.as_bytes().to_vec())
}

fn of_hex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_of_any_bytes_arrive_as_they_are(name in prop::collection::vec(any::<u8>(), 0..40)) {
            let (shown, hex) = text(&name);
            prop_assert_eq!(hex.is_some(), str::from_utf8(&name).is_err());
            let wire = serde_json::to_string(&(&shown, &hex)).unwrap();
            let (shown, hex): (String, Option<String>) = serde_json::from_str(&wire).unwrap();
            prop_assert_eq!(bytes(&shown, hex.as_deref()), name);
        }
    }
}
