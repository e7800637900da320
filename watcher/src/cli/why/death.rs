//! Deaths, put together from the events that tell of them.

use std::collections::BTreeMap;

use serde::Serialize;
use watcher_core::{SocketAlarm, Span};

use super::line::Line;

/// An entry, and what is known of the deaths of its processes. A member of `--json`: documented in `docs/json.md`; members
/// are added, never changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Entry {
    /// Its number.
    pub(super) entry: u64,
    /// Its process.
    pub(super) process: Option<String>,
    /// Deaths, the oldest first.
    pub(super) deaths: Vec<Death>,
    /// Its restart script and retries, where a line of the entry told.
    #[serde(skip)]
    script: Option<String>,
    #[serde(skip)]
    retries: Option<u64>,
    /// Whose process is about to be ended by force, and why.
    #[serde(skip)]
    stall: Option<(Option<u64>, String)>,
}

/// A death, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Death {
    pub(super) pid: Option<u64>,
    /// When it was told.
    pub(super) unix_time: Option<f64>,
    /// What follows "process 4711 …".
    pub(super) cause: Option<String>,
    /// That it was ended by force, and why: a sentence without its subject.
    pub(super) stall: Option<String>,
    pub(super) exit_code: Option<u64>,
    pub(super) signal_name: Option<String>,
    /// From the kernel's stamp to knowing it.
    pub(super) latency_us: Option<f64>,
    /// How long it took to go.
    pub(super) gone_after_s: Option<f64>,
    pub(super) restarts: Vec<Restart>,
    /// The process that came back, and after how long.
    pub(super) back_pid: Option<u64>,
    pub(super) back_after_s: Option<f64>,
    /// The action, where the retries were used up.
    pub(super) retry_over: Option<String>,
    /// The process was not there when it was looked for.
    pub(super) missing: bool,
}

/// One try to bring it back.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Restart {
    pub(super) retry_count: Option<u64>,
    pub(super) retries: Option<u64>,
    pub(super) script: Option<String>,
    /// Why, where it was not `down`.
    pub(super) reason: Option<String>,
    /// How the script ended, where it did not end well.
    pub(super) script_failed: Option<String>,
    /// The script did not even begin.
    #[serde(skip)]
    pub(super) not_started: bool,
}

/// Puts the story together, entry by entry.
pub(super) fn of(lines: &[Line]) -> Vec<Entry> {
    let mut entries: BTreeMap<u64, Entry> = BTreeMap::new();
    for line in lines {
        let Some(number) = line.entry() else { continue };
        let entry = entries.entry(number).or_insert_with(|| Entry { entry: number, ..Entry::default() });
        if let Some(process) = line.text("process") {
            entry.process = Some(process.to_owned());
        }
        match (line.event(), line.kind()) {
            (Some(event), _) => entry.event(event, line),
            (None, Some("entry")) => {
                entry.script = line.text("script").map(str::to_owned);
                entry.retries = line.count("retries");
            }
            (None, Some(_) | None) => {}
        }
    }
    let mut entries: Vec<_> = entries.into_values().collect();
    entries.iter_mut().for_each(Entry::complete);
    entries
}

impl Entry {
    fn event(&mut self, event: &str, line: &Line) {
        let time = line.number("unix_time");
        match event {
            "unanswered" => {
                self.stall = stall(line).map(|stall| (line.count("pid"), stall));
            }
            "socket_stall" => {
                self.stall = socket_stall(line).map(|stall| (line.count("pid"), stall));
            }
            "down" | "set_pid_fail" => {
                // Between two tries it is the same failure, still.
                if self.open().is_some_and(|death| death.pid == line.count("pid") || event == "set_pid_fail") {
                    return;
                }
                let missing = event == "set_pid_fail";
                let pid = line.count("pid");
                let stall = self.stall.take().filter(|(of, _)| *of == pid).map(|(_, stall)| stall);
                self.deaths.push(Death { pid, unix_time: time, missing, stall, ..Death::default() });
            }
            "cause" => {
                let pid = line.count("pid");
                // It follows `down`; where that was forgotten, it tells of the death itself.
                if self.deaths.last().is_none_or(|death| death.pid != pid) {
                    self.deaths.push(Death { pid, unix_time: time, ..Death::default() });
                }
                if let Some(death) = self.deaths.last_mut() {
                    death.cause = line.text("cause").map(str::to_owned);
                    death.exit_code = line.count("exit_code");
                    death.signal_name = line.text("signal_name").map(str::to_owned);
                    death.latency_us = line.number("latency_us");
                }
            }
            "gone" => {
                let pid = line.count("pid");
                if let Some(death) = self.deaths.iter_mut().rev().find(|death| death.pid == pid) {
                    let told = line.number("took_ms").map(|took| took / 1e3);
                    death.gone_after_s = told.or_else(|| since(death.unix_time, time));
                }
            }
            "try_to_restart" => {
                let restart = Restart {
                    retry_count: line.count("retry_count"),
                    retries: line.count("retries"),
                    script: line.text("script").map(str::to_owned),
                    reason: line.text("reason").filter(|reason| *reason != "down").map(str::to_owned),
                    script_failed: None,
                    not_started: false,
                };
                if let Some(death) = self.open() {
                    death.restarts.push(restart);
                }
            }
            "script_ended" | "script_overdue" => {
                if let Some(restart) = self.deaths.last_mut().and_then(|death| death.restarts.last_mut()) {
                    restart.script = line.text("script").map(str::to_owned).or_else(|| restart.script.take());
                    restart.script_failed = script_failed(event, line);
                    restart.not_started = line.text("why").is_some();
                }
            }
            "up" => {
                if let Some(death) = self.open() {
                    death.back_pid = line.count("pid");
                    death.back_after_s = since(death.unix_time, time);
                }
            }
            "retry_over" => {
                if let Some(death) = self.deaths.last_mut() {
                    death.retry_over = line.text("action").or_else(|| line.text("retry_over_act")).map(str::to_owned);
                    death.retry_over.get_or_insert_default();
                }
            }
            // Other events tell nothing of deaths, or are not known to this version.
            _ => {}
        }
    }

    /// The last death, while nothing has come of it yet.
    fn open(&mut self) -> Option<&mut Death> {
        self.deaths.last_mut().filter(|death| death.back_pid.is_none() && death.retry_over.is_none())
    }

    /// What events do not tell and the line of the entry does.
    fn complete(&mut self) {
        for restart in self.deaths.iter_mut().flat_map(|death| &mut death.restarts) {
            restart.script = restart.script.take().or_else(|| self.script.clone());
            restart.retries = restart.retries.or(self.retries);
        }
    }
}

fn since(earlier: Option<f64>, later: Option<f64>) -> Option<f64> {
    // The clock may have been set back meanwhile.
    Some((later? - earlier?).max(0.0))
}

fn span(seconds: f64) -> Span {
    Span((seconds.max(0.0) * 1e9) as u64)
}

/// Why a process was ended by force.
fn stall(line: &Line) -> Option<String> {
    let (port, why) = (line.count("port")?, line.text("why")?);
    let checks = match (line.count("failures"), line.number("after_s")) {
        (Some(failures), Some(after)) => {
            format!("; {failures} checks failed within {}", span(after))
        }
        (_, _) => String::new(),
    };
    Some(format!("ended by pcheck, since the service on port {port} {why}{checks}"))
}

/// Why a process was ended by force whose service may even have answered.
fn socket_stall(line: &Line) -> Option<String> {
    let (port, name) = (line.count("port")?, line.text("alarm")?);
    // One that is not known here is of another version.
    let title = SocketAlarm::ALL.iter().find(|alarm| alarm.name() == name).map_or(name, |alarm| alarm.title());
    let after = line.number("after_s").map_or_else(String::new, |after| format!(" for {}", span(after)));
    Some(format!("ended by pcheck, since its port {port} was of no use: {title}{after}"))
}

fn script_failed(event: &str, line: &Line) -> Option<String> {
    match (line.count("exit_code"), line.text("signal_name"), line.text("why")) {
        _ if event == "script_overdue" => Some("took too long".to_owned()),
        (_, _, Some(why)) => Some(format!("was not started: {why}")),
        (_, Some(signal), None) => Some(format!("was killed by {signal}")),
        (Some(0) | None, None, None) => None,
        (Some(code), None, None) => Some(format!("exited with code {code}")),
    }
}
