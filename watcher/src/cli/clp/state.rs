//! What is asked of a monitor that runs, and of its record.

use std::{io, path::Path, process::ExitCode, time::Duration};

use serde::Serialize;
use watcher_core::monitor::{Id, Kind, Order};

use super::{printed, say};
use crate::{
    cli::{exit, output},
    control::{
        Command, MonitorLine,
        client::{self, Answer, Failure},
    },
    executor::{
        record::{Found, Record},
        signals::{self, NotEnded},
    },
};

/// How long a monitor may take to answer. It has nothing else to do.
const LIMIT: Duration = Duration::from_secs(5);

/// `--stop`: asks it to end, and waits until it has.
pub(super) fn stop(kind: Kind, id: &Id, root: &Path, wait: Duration) -> Result<(), String> {
    let found = find(kind, id, root)?;
    let (record, pid) = live(kind, id, &found)?;
    let proc = record.proc().ok_or_else(|| format!("its record names no process that can be: {pid}"))?;
    signals::end(proc, found.owner, wait).map_err(|why| match why {
        NotEnded::Alive => {
            format!("process {pid} has not ended within {} s: SIGKILL ends it, if need be", wait.as_secs())
        }
        NotEnded::Another => format!(
            "process {pid} is not the one that is recorded: it may live in another pid namespace, such as a container; \
             stop it there"
        ),
        NotEnded::Refused(error) => format!("process {pid} cannot be asked to end: {error}"),
    })
}

/// `--pause`, `--resume`.
pub(super) fn order(kind: Kind, id: &Id, root: &Path, order: Order) -> ExitCode {
    let done = find(kind, id, root).and_then(|found| {
        live(kind, id, &found)?;
        ask(&found, order)
    });
    match done {
        Ok(MonitorLine { changed, paused, .. }) => {
            if !changed {
                say(kind, if paused { "it is paused already" } else { "it is not paused" });
            }
            ExitCode::from(exit::DONE)
        }
        Err(sentence) => trouble(kind, &sentence),
    }
}

/// `--del`: removes a record that nobody owns any more.
pub(super) fn delete(kind: Kind, id: &Id, root: &Path) -> ExitCode {
    let done = find(kind, id, root).and_then(|found| {
        let refused = in_use(kind, &found);
        found
            .delete()
            .map_err(|error| format!("the record cannot be deleted: {error}"))
            .and_then(|deleted| if deleted { Ok(()) } else { Err(refused) })
    });
    match done {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(sentence) => trouble(kind, &sentence),
    }
}

fn in_use(kind: Kind, found: &Found) -> String {
    let who = found.record.as_ref().map_or_else(String::new, |record| format!(" {}", record.pid));
    format!("{} process{who} lives: its record is not deleted (--stop ends it)", kind.command())
}

/// `--disp --json`. Documented in `docs/json.md`; members are added, never changed.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: u32,
    command: &'static str,
    id: &'a str,
    pid: u32,
    start_ticks: u64,
    state: &'static str,
    options: &'a serde_json::Value,
    #[serde(flatten)]
    standing: Standing,
}

/// What only a monitor that answers can tell.
#[derive(Debug, Default, Serialize)]
struct Standing {
    checks: Option<u64>,
    faults: Option<u32>,
    last_fault: Option<u8>,
    last_error: Option<i32>,
    next_check_s: Option<f64>,
}

/// `--disp`: the process that is recorded, and how it stands.
pub(super) fn show(kind: Kind, id: &Id, root: &Path, json: bool) -> ExitCode {
    let found = match find(kind, id, root) {
        Ok(found) => found,
        Err(sentence) => return trouble(kind, &sentence),
    };
    let Some(record) = &found.record else {
        return trouble(kind, "the record is damaged; --del removes it, unless its process lives");
    };
    let answered = if found.live { Some(ask(&found, Order::Show)) } else { None };
    let (state, standing) = match &answered {
        None => ("stale", Standing::default()),
        Some(Err(sentence)) => {
            say(kind, sentence);
            ("silent", Standing::default())
        }
        Some(Ok(line)) => {
            let MonitorLine { changed: _, paused, checks, faults, last_fault, last_error, next_check_s } = *line;
            let (checks, faults) = (Some(checks), Some(faults));
            let standing = Standing { checks, faults, last_fault, last_error, next_check_s };
            (if paused { "paused" } else { "live" }, standing)
        }
    };
    let Record { pid, start_ticks, options, .. } = record;
    let shown = if json {
        let (command, id) = (kind.command(), id.as_str());
        output::json(&Report { schema: 1, command, id, pid: *pid, start_ticks: *start_ticks, state, options, standing })
    } else {
        output::line(&format!("{pid} {state}"))
    };
    printed(kind, shown, exit::DONE)
}

fn find(kind: Kind, id: &Id, root: &Path) -> Result<Found, String> {
    let command = kind.command();
    match Found::of(root, command, id) {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(format!(
            "there is no record of {} in {}: nothing monitors by this identifier, or with another --run-dir",
            id.as_str(),
            root.join(command).display()
        )),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(format!(
            "records in {} cannot be read by this user: ask as root, or as the user that monitors",
            root.join(command).display()
        )),
        Err(error) => Err(format!("the record of {} cannot be read: {error}", id.as_str())),
    }
}

/// The record of a process that lives, and its pid.
fn live<'a>(kind: Kind, id: &Id, found: &'a Found) -> Result<(&'a Record, u32), String> {
    let command = kind.command();
    let id = id.as_str();
    match &found.record {
        Some(record) if found.live => Ok((record, record.pid)),
        Some(Record { pid, .. }) => Err(format!(
            "process {pid} has ended and left its record behind: `{command} {id} --del` removes it, and so does the next start"
        )),
        None => Err(format!("the record is damaged; `{command} {id} --del` removes it, unless its process lives")),
    }
}

fn ask(found: &Found, order: Order) -> Result<MonitorLine, String> {
    let Some(socket) = found.control() else { return Err("its record names no control socket".to_owned()) };
    match client::ask(&socket, &Command::Monitor(order), LIMIT) {
        Ok(Answer::Monitor(line)) => Ok(line),
        Ok(
            Answer::Done
            | Answer::Entries(_)
            | Answer::Lines(_)
            | Answer::Param(_)
            | Answer::Process(_)
            | Answer::Status(..)
            | Answer::Who(_),
        ) => Err("it answers something else than was asked for: use the program that it was started by".to_owned()),
        Err(Failure::Absent) => Err("it does not listen: it is about to begin, or to end".to_owned()),
        Err(Failure::Broken(error)) => Err(format!("the connection to it broke: {error}")),
        Err(Failure::Forbidden) => {
            Err("this user may not ask it: ask as root, or as the user that monitors".to_owned())
        }
        Err(Failure::Refused(why)) => Err(why),
        Err(Failure::Strange(why)) => Err(format!("its answer is not understood: {why}")),
        Err(Failure::TimedOut(limit)) => Err(format!(
            "it has not answered within {} s: its process may be stopped (SIGCONT wakes it)",
            limit.as_secs_f32()
        )),
    }
}

fn trouble(kind: Kind, sentence: &str) -> ExitCode {
    say(kind, sentence);
    ExitCode::from(exit::TROUBLE)
}
