//! `pcheck`: the watch over one pfile, in the foreground.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use watcher_core::{Finish, pfile::RetryOver};

use super::{exit, output, terms::TermsArgs};
use crate::{
    executor::log::LogTo,
    start::pcheck::{self, Failed, Settings},
};

/// Watch the processes of a pfile, and bring them back by its scripts
///
/// Stays in the foreground. SIGTERM and SIGINT end it (the processes live on), SIGHUP reads the pfile again, SIGUSR1 writes
/// SHM_DUMP_FILE. Exit code 0: asked to end. 1: the command line or the pfile is wrong, or nothing can be watched here.
/// 2: already running. 3: RETRY_OVER:SHUTDOWN. 4: RETRY_OVER:EXIT. Where `watcher run` runs with the same --run-dir it joins that: it loads
/// no kernel programs, and all else is the same; if the daemon goes, it goes on by itself.
#[derive(Args, Debug)]
#[command(override_usage = "pcheck [OPTIONS] -f PFILE", display_name = "pcheck")]
pub(super) struct Pcheck {
    /// Rule file
    #[arg(short = 'f', long = "file", value_name = "PFILE", required_unless_present = "w")]
    pfile: Option<PathBuf>,
    #[command(flatten)]
    terms: TermsArgs,
    /// Do not join the `watcher run` of the same --run-dir, if there is one
    #[arg(long)]
    standalone: bool,
    /// Not supported: what it does in the original is not published
    #[arg(short = 'w', hide = true)]
    w: bool,
}

pub(super) fn run(arguments: &Pcheck) -> ExitCode {
    let Pcheck { pfile, terms, standalone, w } = arguments;
    let (Some(pfile), false) = (pfile, *w) else {
        output::say_as("pcheck", "-w is not supported: what it does in the original is not published");
        return ExitCode::from(exit::STAND_IN_USAGE);
    };
    let settings = Settings { standalone: *standalone, ..terms.settings(false) };
    match pcheck::run(pfile, &settings) {
        Ok(Finish::Asked) => ExitCode::from(exit::DONE),
        Ok(Finish::RetryOver(RetryOver::Exit)) => ExitCode::from(exit::RETRY_OVER_EXIT),
        Ok(Finish::RetryOver(RetryOver::Shutdown | RetryOver::Continue)) => ExitCode::from(exit::RETRY_OVER_SHUTDOWN),
        Err(failed) => exit_failed("pcheck", settings.log, &failed),
    }
}

/// Says why it did not start, unless the log has.
pub(super) fn exit_failed(name: &str, log: LogTo, failed: &Failed) -> ExitCode {
    let Failed { already_running, sentence } = failed;
    // Where the log goes to standard error, it stands there already.
    if log == LogTo::Syslog {
        output::complain(&format!("{name}: {}", output::harmless(sentence)));
    }
    ExitCode::from(if *already_running { exit::ALREADY_RUNNING } else { exit::TROUBLE })
}
