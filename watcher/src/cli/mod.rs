//! The command line: what people type, and what they are shown.

mod args;
mod ask_args;
mod check;
mod clp;
mod diagnostic;
mod doctor;
mod events;
pub mod exit;
mod explain;
mod find;
mod fix;
mod names;
mod new;
mod output;
mod padmin;
mod pcheck;
mod probe;
mod reboot_guard;
mod run;
mod sockets;
mod status;
mod terms;
mod wait;
mod watch;
mod why;

use std::{env, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};

use crate::{sys::limits, telemetry};

/// Descriptors without which nothing starts.
const FEWEST_DESCRIPTORS: u64 = 32;

/// So many of them must not be taken: without them nothing can even wait.
const FEWEST_LEFT: u64 = 8;

/// What can be typed: manual pages and completions are made of it, and nothing of that goes into the program.
#[must_use]
pub fn command() -> clap::Command {
    args::Arguments::command()
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let words = names::arguments(env::args_os());
    let args::Arguments { verbose, command } = match args::Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return exit::not_parsed(&error, names::usage_code(&words)),
    };
    let verbose = verbose || command.is_verbose();
    if let Err(error) = telemetry::init(verbose) {
        return exit::usage(&error);
    }
    if let Some(limit) = limits::raise_descriptors().filter(|limit| *limit < FEWEST_DESCRIPTORS) {
        return exit::trouble(&format!(
            "only {limit} open descriptors are allowed, and {FEWEST_DESCRIPTORS} are needed (ulimit -n)"
        ));
    }
    // What cannot be counted is not held against anybody.
    if let (Some(limit), Ok(open)) = (limits::descriptors(), limits::open_descriptors())
        && open.saturating_add(FEWEST_LEFT) > limit
    {
        return exit::trouble(&format!(
            "of {limit} open descriptors that are allowed {open} are taken, and {FEWEST_LEFT} more are needed (ulimit -n)"
        ));
    }
    match command {
        args::Command::Check(arguments) => check::run(&arguments),
        args::Command::Doctor(arguments) => doctor::run(&arguments),
        args::Command::Events(arguments) => events::run(&arguments),
        args::Command::Explain(arguments) => explain::run(&arguments),
        args::Command::Httpmon(arguments) => arguments.run(),
        args::Command::New(arguments) => new::run(&arguments),
        args::Command::Pcheck(arguments) => pcheck::run(&arguments),
        args::Command::Padmin(arguments) => padmin::run(&arguments),
        args::Command::Probe(arguments) => probe::run(&arguments),
        args::Command::RebootGuard(arguments) => reboot_guard::run(&arguments),
        args::Command::Run(arguments) => run::run(&arguments),
        args::Command::Smtpmon(arguments) => arguments.run(),
        args::Command::Sockets(arguments) => sockets::run(&arguments),
        args::Command::Status(arguments) => status::run(&arguments),
        args::Command::Wait(arguments) => wait::run(&arguments),
        args::Command::Watch(arguments) => watch::run(&arguments),
        args::Command::Why(arguments) => why::run(&arguments),
    }
}
