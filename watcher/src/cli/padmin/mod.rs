//! `padmin`: asks a running pcheck, or tells it what to do.

mod command;
mod layout;
mod list;
mod tell;

use std::{fmt::Write as _, io, process::ExitCode};

use serde::Serialize;
use watcher_core::Order;

use self::command::{Asked, Typed};
use super::{
    ask_args, exit,
    find::{self, Found, NotFound},
    output,
};
use crate::control::{
    self, EntryLine, ParamLine, WhoLine,
    client::{self, Answer},
};

/// All commands, for `--help`.
pub(super) fn help() -> String {
    let mut text = "Commands:".to_owned();
    for (command, about) in command::COMMANDS {
        // Writing to a string cannot fail.
        let _written = write!(text, "\n  {command:<22} {about}");
    }
    text
}

/// Runs the command.
pub(super) fn run(arguments: &ask_args::Padmin) -> ExitCode {
    let done = match typed(arguments) {
        Ok(Typed { asked: Asked::List, words: _ }) => match list::print(&arguments.run_dir, arguments.json) {
            Ok(exit::DONE) => Ok(()),
            Ok(code) => return ExitCode::from(code),
            Err(error) => Err(error),
        },
        Ok(Typed { asked: Asked::Of(command), words }) => match of_one(arguments, &command, &words) {
            Ok(printed) => printed,
            Err(NotFound { sentence, code }) => return end(code, &sentence),
        },
        Err(sentence) => return end(exit::STAND_IN_USAGE, &sentence),
    };
    match done {
        Ok(()) => ExitCode::from(exit::DONE),
        // Whoever read the lines has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::stopped(exit::BROKEN_PIPE),
        // The list could not be made, or what is shown cannot be written: nothing was done.
        Err(error) => end(exit::padmin::REFUSED, &error.to_string()),
    }
}

fn end(code: u8, sentence: &str) -> ExitCode {
    output::say_as("padmin", sentence);
    ExitCode::from(code)
}

fn typed(arguments: &ask_args::Padmin) -> Result<Typed, String> {
    if arguments.list { command::read(&["list".to_owned()]) } else { command::read(&arguments.command) }
}

fn of_one(arguments: &ask_args::Padmin, command: &control::Command, words: &str) -> Result<io::Result<()>, NotFound> {
    let Some(path) = &arguments.pfile else {
        return Err(NotFound {
            sentence: "-f PFILE says which pcheck is meant".to_owned(),
            code: exit::STAND_IN_USAGE,
        });
    };
    let Found { socket, who, pfile, limit } = find::find(path, &arguments.run_dir)?;
    let answer = client::ask(&socket, command, limit).map_err(|failure| NotFound::failed(&failure, who.pid))?;
    if is_logged(command) && answer == Answer::Done {
        tell::log_executed(arguments.log.log_to(), words, &pfile);
    }
    let strange = || NotFound {
        sentence: "pcheck answers something else than was asked for: use the padmin that came with it".to_owned(),
        code: exit::padmin::REFUSED,
    };
    let json = arguments.json;
    Ok(match answer {
        Answer::Done if json => output::json(&Report { command: words, ..Report::of(&who) }),
        Answer::Done => Ok(()),
        Answer::Entries(entries) if json => {
            output::json(&Report { command: words, entries: Some(&entries), ..Report::of(&who) })
        }
        Answer::Entries(entries) => output::bytes(&layout::entries(&entries)),
        Answer::Param(param) if json => {
            output::json(&Report { command: words, param: Some(&param), ..Report::of(&who) })
        }
        Answer::Param(param) => output::bytes(&layout::param(&param)),
        Answer::Lines(_) | Answer::Monitor(_) | Answer::Process(_) | Answer::Status(..) | Answer::Who(_) => {
            return Err(strange());
        }
    })
}

/// What the original notes, and every other order: whoever reads the log wants to know why pcheck has ended.
const fn is_logged(command: &control::Command) -> bool {
    match command {
        control::Command::Order(
            Order::Dump | Order::Pause(_) | Order::Reload | Order::Resume(_) | Order::Set(_) | Order::Shutdown,
        ) => true,
        control::Command::Events { .. }
        | control::Command::Join(_)
        | control::Command::Metrics
        | control::Command::Monitor(_)
        | control::Command::Ping
        | control::Command::ShowEntries { .. }
        | control::Command::ShowParam
        | control::Command::Status { .. }
        | control::Command::Wait
        | control::Command::Why { .. } => false,
    }
}

/// `--json`. Documented in `docs/json.md`; members are added, never changed.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: u32,
    command: &'a str,
    pid: u32,
    pfile: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<&'a [EntryLine]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a ParamLine>,
}

impl<'a> Report<'a> {
    fn of(who: &'a WhoLine) -> Self {
        Self { schema: 1, command: "", pid: who.pid, pfile: &who.pfile, entries: None, param: None }
    }
}
