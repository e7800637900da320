//! `watcher run`: the watch over many pfiles, in one process.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{exit, pcheck::exit_failed, terms::TermsArgs};
use crate::{executor::muster::Places, start::pcheck};

/// Watch the processes of many pfiles in one process, and bring them back by their scripts
///
/// Each pfile is watched as pcheck would watch it, and has its own control socket: padmin, `watcher why` and `watcher events`
/// speak with it by -f PFILE. A `pcheck -f PFILE` that is started while this runs joins it. `exit` and `shutdown` end the watch over that pfile only. SIGHUP looks which pfiles
/// there are: new ones are watched (and those whose watch has ended, anew), those that are gone are not any more, the
/// others are read again; one with a mistake stays as it was. SIGTERM and SIGINT end all (the processes live on). Exit code 0:
/// asked to end. 1: no file that was named can be watched, or nothing works here. 2: those that were named are watched already, or
/// the command line is wrong. With -d it stays in any case: SIGHUP looks again.
#[derive(Args, Debug)]
pub(super) struct Run {
    /// Rule file; more than one may be given (this or -d is needed)
    #[arg(short = 'f', long = "file", value_name = "PFILE", required_unless_present = "folders")]
    files: Vec<PathBuf>,
    /// Folder whose files *.pfile are watched; more than one may be given
    #[arg(short = 'd', long = "dir", value_name = "DIR")]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    terms: TermsArgs,
}

pub(super) fn run(arguments: &Run) -> ExitCode {
    let Run { files, folders, terms } = arguments;
    let settings = terms.settings(true);
    match pcheck::run_many(Places { files: files.clone(), folders: folders.clone() }, &settings) {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(failed) => exit_failed("watcher", settings.log, &failed),
    }
}
