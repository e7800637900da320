//! `clp_httpmon` and `clp_smtpmon`: one service is monitored in the foreground, by an identifier.

mod help;
mod once;
mod options;
mod state;
mod words;

use std::{ffi::OsString, io, process::ExitCode};

use clap::Args;
use watcher_core::monitor::{Finish, Kind, Note};

use self::words::{Common, Typed, What, Wrong};
use super::{exit, output, terms::LogChoice};
use crate::{
    executor::log::{Log, LogTo},
    start::monitor::{self, Failed, Settings},
};

pub(super) use self::help::{HTTPMON, SMTPMON};

/// Monitor a service by HTTP: what `clp_httpmon` is
#[derive(Args, Debug)]
#[command(display_name = "clp_httpmon", disable_help_flag = true, disable_version_flag = true, override_help = HTTPMON)]
pub(super) struct Httpmon {
    #[command(flatten)]
    words: Words,
}

/// Monitor a service by SMTP: what `clp_smtpmon` is
#[derive(Args, Debug)]
#[command(display_name = "clp_smtpmon", disable_help_flag = true, disable_version_flag = true, override_help = SMTPMON)]
pub(super) struct Smtpmon {
    #[command(flatten)]
    words: Words,
}

/// What follows the command. It is read here, since what is wrong has a message of the original's.
#[derive(Args, Debug)]
struct Words {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORD")]
    words: Vec<OsString>,
}

impl Httpmon {
    /// Whether diagnostics are wanted.
    pub(super) fn is_verbose(&self) -> bool {
        self.words.words.iter().any(|word| word == words::VERBOSE)
    }

    /// Runs the command.
    pub(super) fn run(&self) -> ExitCode {
        run(Kind::Http, &self.words.words)
    }
}

impl Smtpmon {
    /// Whether diagnostics are wanted.
    pub(super) fn is_verbose(&self) -> bool {
        self.words.words.iter().any(|word| word == words::VERBOSE)
    }

    /// Runs the command.
    pub(super) fn run(&self) -> ExitCode {
        run(Kind::Smtp, &self.words.words)
    }
}

fn run(kind: Kind, words: &[OsString]) -> ExitCode {
    let Common { id, root, log, json, what } = match words::read(kind, words) {
        Ok(Typed::Do(common)) => *common,
        Ok(Typed::Help) => return printed(kind, output::line(help::of(kind).trim_end()), exit::DONE),
        Ok(Typed::Version) => {
            let text = concat!("watcher ", env!("CARGO_PKG_VERSION"));
            return printed(kind, output::line(text), exit::DONE);
        }
        Err(Wrong { note, id, sentence, log }) => {
            Teller { kind, id: &id, log: LogChoice::meaning(log) }.complain(note, &sentence);
            return ExitCode::from(exit::USAGE);
        }
    };
    let log = LogChoice::meaning(log);
    let teller = Teller { kind, id: id.as_str().as_bytes(), log };
    match what {
        What::Start(options) => {
            let (plan, ask) = (options.plan(), options.ask());
            let options = options.json();
            match monitor::run(Settings { kind, id: id.clone(), plan, ask, root, log, options }) {
                Ok(Finish::Asked) => ExitCode::from(exit::DONE),
                Ok(Finish::Fault) => ExitCode::from(exit::TROUBLE),
                Err(Failed { note, sentence }) => {
                    teller.complain(note, &sentence);
                    ExitCode::from(exit::USAGE)
                }
            }
        }
        What::Once(options) => once::run(kind, &id, &options, json),
        What::Del => state::delete(kind, &id, &root),
        What::Disp => state::show(kind, &id, &root, json),
        What::Order(order) => state::order(kind, &id, &root, order),
        What::Stop { wait } => match state::stop(kind, &id, &root, wait) {
            Ok(()) => ExitCode::from(exit::DONE),
            Err(sentence) => {
                teller.complain(Note::NotEnded, &sentence);
                ExitCode::from(exit::TROUBLE)
            }
        },
    }
}

/// Who tells of what is wrong, in the log and to the operator.
struct Teller<'a> {
    kind: Kind,
    id: &'a [u8],
    log: LogTo,
}

impl Teller<'_> {
    fn complain(&self, note: Note, sentence: &str) {
        /// How long the log may take.
        const LAST_LINES: std::time::Duration = std::time::Duration::from_secs(1);
        let line = note.line(self.kind, self.id);
        let mut log = Log::open(self.log, self.kind.command()).for_once();
        log.tell(note.level(), &line);
        log.tell(note.level(), sentence.as_bytes());
        log.flush(LAST_LINES);
        // Where the log goes to standard error, it stands there already.
        if self.log == LogTo::Syslog {
            say(self.kind, &String::from_utf8_lossy(&line));
            say(self.kind, sentence);
        }
    }
}

fn say(kind: Kind, sentence: &str) {
    output::say_as(kind.command(), sentence);
}

/// The exit code of a command that has printed something.
fn printed(kind: Kind, printed: io::Result<()>, code: u8) -> ExitCode {
    match printed {
        Ok(()) => ExitCode::from(code),
        // Whoever read the lines has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::stopped(exit::BROKEN_PIPE),
        Err(error) => {
            say(kind, &error.to_string());
            ExitCode::from(exit::TROUBLE)
        }
    }
}
