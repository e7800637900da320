//! `watcher status`: how everything stands that is watched on this host.

mod ask;
mod choice;
mod numbers;
mod report;
mod text;

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use watcher_core::health::{Health, Trouble};

use self::{
    choice::Choice,
    report::{Problem, Report},
};
use super::{args, exit, output};
use crate::control::RUN_DIR;

/// Show how everything stands that is watched on this host, sorted by trouble
///
/// Asks every running pcheck, and `watcher run`, whatever it watches. The first line is that of a plugin of a monitoring
/// system, with its numbers behind `|`; then come entries in trouble, the worst first, and what each process that watches costs.
/// Exit code 0: all is well. 1, warning: something is not as it should be, and is taken care of, or was wanted so. 2,
/// critical: an entry was given up, or hangs for good, or a process that watches does not answer or was killed. 3, unknown:
/// nothing is watched here, a filter matches nothing, somebody may not be asked, or the command line is wrong. Of what is
/// filtered out, nothing counts.
#[derive(Args, Debug)]
pub(super) struct Status {
    /// Only these pfiles; more than one may be given
    #[arg(short = 'f', long = "file", value_name = "PFILE")]
    files: Vec<PathBuf>,
    /// Only entries of these processes: the path, or the name alone; * and ? stand for anything; more than one may be given
    #[arg(long = "process", value_name = "PATTERN")]
    processes: Vec<String>,
    /// Only entries of these groups; more than one may be given
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Only entries of which this is so: `well`, or a trouble by its name; more than one may be given
    #[arg(long = "state", value_name = "STATE", value_parser = choice::state, help = choice::states())]
    states: Vec<Option<Trouble>>,
    /// Only entries in trouble
    #[arg(long)]
    trouble: bool,
    /// Show entries that are well one by one, too
    #[arg(long)]
    all: bool,
    /// Entries that the operator has suspended count as well
    #[arg(long)]
    paused_ok: bool,
    /// Show at most so many entries; 0: all (with --json all are shown)
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// How long answers are waited for, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = args::seconds)]
    timeout: Duration,
    /// Where running pchecks are found
    #[arg(long, value_name = "DIR", default_value = RUN_DIR)]
    run_dir: PathBuf,
}

pub(super) fn run(arguments: &Status) -> ExitCode {
    let report = report(arguments);
    match print(arguments, &report) {
        Ok(()) => ExitCode::from(code(report.health)),
        // Whoever read the lines has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::stopped(exit::BROKEN_PIPE),
        Err(error) => {
            output::say(&error.to_string());
            ExitCode::from(exit::status::UNKNOWN)
        }
    }
}

const fn code(health: Health) -> u8 {
    match health {
        Health::Ok => exit::status::OK,
        Health::Warning => exit::status::WARNING,
        Health::Unknown => exit::status::UNKNOWN,
        Health::Critical => exit::status::CRITICAL,
    }
}

fn report(arguments: &Status) -> Report {
    let Status { files, processes, groups, states, trouble, paused_ok, timeout, run_dir, .. } = arguments;
    let choice = Choice { files, processes, groups, states, trouble: *trouble };
    match ask::everybody(run_dir, &choice, *timeout) {
        Ok(answers) => Report::of(answers, &choice, *paused_ok, run_dir),
        Err(error) => {
            let why = format!("{} cannot be looked through: {error}", run_dir.display());
            Report::of_problem(Problem::new(Health::Unknown, why))
        }
    }
}

fn print(arguments: &Status, report: &Report) -> io::Result<()> {
    if arguments.json {
        return output::json(report);
    }
    let shown = text::Shown { all: arguments.all, limit: arguments.limit };
    output::bytes(text::of(report, shown).as_bytes())
}

#[cfg(test)]
mod tests;
