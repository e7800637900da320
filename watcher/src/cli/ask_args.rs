//! What can be typed to ask a running pcheck.

use std::{num::NonZeroU32, path::PathBuf};

use clap::Args;

use super::{padmin, terms::LogChoice};
use crate::control::RUN_DIR;

/// Ask a running pcheck, or tell it what to do
///
/// What is done is told by the exit code. 0: done. 1: the command line is wrong. 2: no pcheck watches for this pfile. 3:
/// refused. 4: no answer within MSG_CHECK_INTERVAL and 5 seconds.
#[derive(Args, Debug)]
#[command(
    override_usage = "padmin -f PFILE -c COMMAND...\n       padmin -l",
    after_help = padmin::help(),
    display_name = "padmin",
)]
pub(super) struct Padmin {
    /// The pfile that pcheck was started with
    #[arg(short = 'f', value_name = "PFILE", required_unless_present = "list")]
    pub(super) pfile: Option<PathBuf>,
    /// What to do; see below. Several words need no quotes
    #[arg(
        short = 'c',
        value_name = "COMMAND",
        num_args = 1..,
        allow_negative_numbers = true,
        conflicts_with = "list",
        required_unless_present = "list"
    )]
    pub(super) command: Vec<String>,
    /// List the pchecks that run
    #[arg(short = 'l', long)]
    pub(super) list: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
    /// Where running pchecks are found
    #[arg(long, value_name = "DIR", default_value = RUN_DIR)]
    pub(super) run_dir: PathBuf,
    /// Where it is noted that a command was executed
    #[arg(long, value_enum, default_value_t = LogChoice::Syslog)]
    pub(super) log: LogChoice,
}

/// Show what happens to the entries of a pfile, as it happens: one JSON object a line
///
/// Needs a running pcheck, and ends when that ends. Exit code 0: pcheck has ended, or with --no-follow all was shown. 1: no
/// pcheck runs, or the lines cannot be written. 2: the command line is wrong. 129, 130, 141, 143: stopped by SIGHUP, by
/// Ctrl-C, because nobody reads the lines any more, by SIGTERM.
#[derive(Args, Debug)]
pub(super) struct Events {
    /// The pfile that pcheck was started with
    #[arg(short = 'f', value_name = "PFILE")]
    pub(super) pfile: PathBuf,
    /// Begin with so many past events; by default with 10, and with --no-follow with all that are remembered
    #[arg(long, value_name = "COUNT")]
    pub(super) last: Option<u32>,
    /// Do not wait for more
    #[arg(long)]
    pub(super) no_follow: bool,
    /// Where running pchecks are found
    #[arg(long, value_name = "DIR", default_value = RUN_DIR)]
    pub(super) run_dir: PathBuf,
}

/// Say why processes died, and what came of it
///
/// Asks the running pcheck; where none runs, the file that SHM_DUMP_FILE names is read instead. Exit code 0: all that is
/// known was told. 1: nothing can be found out. 2: the command line is wrong.
#[derive(Args, Debug)]
pub(super) struct Why {
    /// The pfile that pcheck was started with
    #[arg(short = 'f', value_name = "PFILE")]
    pub(super) pfile: PathBuf,
    /// Number of the entry, counted from 1; by default all are shown
    #[arg(value_name = "ENTRY")]
    pub(super) entry: Option<NonZeroU32>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
    /// Where running pchecks are found
    #[arg(long, value_name = "DIR", default_value = RUN_DIR)]
    pub(super) run_dir: PathBuf,
}
