//! `--once`: one check, and what came of it.

use std::process::ExitCode;

use serde::Serialize;
use watcher_core::{
    monitor::{Id, Kind, Note, Symptom},
    probe::{Fault, Verdict},
};

use super::{options::Options, printed, say};
use crate::{
    cli::{exit, output},
    executor::probe::{Attempt, Timings},
    start::monitor,
};

/// `--json`. Documented in `docs/json.md`; members are added, never changed.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: u32,
    command: &'static str,
    id: &'a str,
    options: serde_json::Value,
    good: bool,
    fault: Option<&'static str>,
    why: Option<String>,
    message: Option<u8>,
    error: Option<i32>,
    answer: Option<&'a str>,
    address: Option<String>,
    took_s: Option<f64>,
}

/// Runs the command.
pub(super) fn run(kind: Kind, id: &Id, options: &Options, json: bool) -> ExitCode {
    let attempt = match monitor::once(options.ask()) {
        Ok(attempt) => attempt,
        Err(error) => {
            say(kind, &format!("nobody can be asked: {error}"));
            return ExitCode::from(exit::TROUBLE);
        }
    };
    let Attempt { verdict, timings: Timings { total, .. }, address, answer, .. } = &attempt;
    let fault = match verdict {
        Verdict::Good { .. } => None,
        Verdict::Bad(fault) => Some(fault),
    };
    let symptom = fault.and_then(|fault| Symptom::of(kind, fault));
    let code = if fault.is_none() { exit::DONE } else { exit::TROUBLE };
    let shown = if json {
        output::json(&Report {
            schema: 1,
            command: kind.command(),
            id: id.as_str(),
            options: options.json(),
            good: fault.is_none(),
            fault: fault.map(Fault::name),
            why: fault.map(ToString::to_string),
            message: symptom.map(Symptom::number),
            error: symptom.and_then(Symptom::error),
            answer: answer.as_deref(),
            address: address.map(|address| address.to_string()),
            took_s: total.map(|took| took.as_secs_f64()),
        })
    } else {
        let Options { server, port, .. } = options;
        let line = match (fault, symptom) {
            (None, _) => format!("answers: {}", answer.as_deref().unwrap_or("as it should")),
            (Some(fault), None) => fault.to_string(),
            (Some(fault), Some(symptom)) => {
                let line = Note::Found(symptom).line(kind, id.as_str().as_bytes());
                format!("{fault} (message {}: {})", symptom.number(), String::from_utf8_lossy(&line))
            }
        };
        output::line(&output::harmless(&format!("{server} port {} {line}", port.number())))
    };
    printed(kind, shown, code)
}
