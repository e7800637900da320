//! `padmin -l`: the pchecks that run.

use std::{io, path::Path, time::Duration};

use serde::Serialize;

use crate::{
    cli::{exit, find, output},
    control::{
        self, Command, WhoLine,
        client::{self, Answer, Failure},
    },
};

/// How long each of them may take: one that was stopped must not hide the others.
const LIMIT: Duration = Duration::from_secs(2);

/// `--json`. Documented in `docs/json.md`; members are added, never changed.
#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    pchecks: Vec<WhoLine>,
    silent: Vec<Silent>,
}

/// A pcheck that may run, but does not say who it is.
#[derive(Debug, Serialize)]
struct Silent {
    socket: String,
    reason: String,
    #[serde(skip)]
    code: u8,
}

/// Prints them; those that say nothing are told on standard error, and by the exit code.
pub(super) fn print(run_dir: &Path, json: bool) -> io::Result<u8> {
    let sentence = |error: io::Error| {
        io::Error::new(error.kind(), format!("{} cannot be looked through: {error}", run_dir.display()))
    };
    let (mut pchecks, mut silent) = (Vec::new(), Vec::new());
    for socket in control::sockets(run_dir).map_err(sentence)? {
        match client::ask(&socket, &Command::Ping, LIMIT) {
            Ok(Answer::Who(who)) => pchecks.push(who),
            // Left over from one that was killed.
            Err(Failure::Absent) => {}
            Ok(_) => {
                let reason = "it says something else than who it is".to_owned();
                silent.push(Silent::of(&socket, reason, exit::padmin::REFUSED));
            }
            Err(failure) => silent.push(Silent::of(&socket, failure.to_string(), find::code(&failure))),
        }
    }
    pchecks.sort_by(|one, other| one.pfile.cmp(&other.pfile));
    for Silent { socket, reason, code: _ } in &silent {
        output::say_as("padmin", &format!("{socket}: {reason}"));
    }
    // One that may be asked and does not answer is worse than one that may not be asked. Who has just ended is neither.
    let codes = silent.iter().map(|silent| silent.code).filter(|code| *code != exit::padmin::NO_PCHECK);
    let code = codes.max().unwrap_or(exit::DONE);
    if json {
        output::json(&Report { schema: 1, pchecks, silent })?;
        return Ok(code);
    }
    if pchecks.is_empty() {
        if silent.is_empty() {
            output::say_as("padmin", &format!("no pcheck is found in {}", run_dir.display()));
        }
        return Ok(code);
    }
    output::line(&format!("{:>7} {:<10} {:>7} {:<9} PFILE", "PID", "IPCKEY", "ENTRIES", "TIER"))?;
    for WhoLine { pid, ipckey, entries, tier, pfile, .. } in &pchecks {
        output::line(&format!("{pid:>7} {ipckey:<10} {entries:>7} {tier:<9} {}", output::harmless(pfile)))?;
    }
    Ok(code)
}

impl Silent {
    fn of(socket: &Path, reason: String, code: u8) -> Self {
        Self { socket: socket.display().to_string(), reason, code }
    }
}
