//! `pcheck`: the watch over one pfile, in the foreground.

use std::{io::IsTerminal as _, num::NonZeroUsize, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use watcher_core::{
    Finish,
    pfile::{RetryOver, UnknownOptions},
};

use super::{
    args::{self, TierChoice},
    exit, output,
};
use crate::{
    control,
    executor::log::LogTo,
    start::pcheck::{self, Failed, Settings},
};

/// Watch the processes of a pfile, and bring them back by its scripts
///
/// Stays in the foreground. SIGTERM and SIGINT end it (the processes live on), SIGHUP reads the pfile again, SIGUSR1 writes
/// SHM_DUMP_FILE. Exit code 0: asked to end. 1: the command line or the pfile is wrong, or nothing can be watched here.
/// 2: already running. 3: RETRY_OVER:SHUTDOWN. 4: RETRY_OVER:EXIT.
#[derive(Args, Debug)]
#[command(override_usage = "pcheck [OPTIONS] -f PFILE", display_name = "pcheck")]
pub(super) struct Pcheck {
    /// Rule file
    #[arg(short = 'f', long = "file", value_name = "PFILE", required_unless_present = "w")]
    pfile: Option<PathBuf>,
    /// Where to keep the control socket, the lock, and what survives a crash
    #[arg(long, value_name = "DIR", default_value = control::RUN_DIR)]
    run_dir: PathBuf,
    /// Where messages go; by default to syslog, and to standard error too if that is a terminal
    #[arg(long, value_enum, value_name = "WHERE")]
    log: Option<LogChoice>,
    /// How to learn of deaths; auto takes the first that works, in this order
    #[arg(long, value_enum, default_value_t = TierChoice::Auto)]
    tier: TierChoice,
    /// How many restart scripts may run at once; by default as many as there are processors, and at least two
    #[arg(long, value_name = "COUNT")]
    scripts: Option<NonZeroUsize>,
    /// How often to look at every watched process, however well the kernel tells of deaths: what fails silently is found so
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = args::seconds)]
    sweep: Duration,
    /// Ignore options of entries that are not known, rather than refuse the pfile
    #[arg(long)]
    lenient: bool,
    /// Not supported: what it does in the original is not published
    #[arg(short = 'w', hide = true)]
    w: bool,
}

/// Where messages go.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogChoice {
    /// To standard error only, exactly as syslog would get them
    Stderr,
    /// To syslog only
    Syslog,
}

impl LogChoice {
    /// What was said.
    pub(super) const fn log_to(self) -> LogTo {
        match self {
            Self::Stderr => LogTo::Stderr,
            Self::Syslog => LogTo::Syslog,
        }
    }

    /// Where, also if nothing was said.
    pub(super) fn meaning(choice: Option<Self>) -> LogTo {
        match choice {
            Some(choice) => choice.log_to(),
            None if std::io::stderr().is_terminal() => LogTo::Both,
            None => LogTo::Syslog,
        }
    }
}

/// Runs the command.
pub(super) fn run(arguments: &Pcheck) -> ExitCode {
    let Pcheck { pfile, run_dir, log, tier, scripts, sweep, lenient, w } = arguments;
    let (Some(pfile), false) = (pfile, *w) else {
        output::say_as("pcheck", "-w is not supported: what it does in the original is not published");
        return ExitCode::from(exit::STAND_IN_USAGE);
    };
    let settings = Settings {
        pfile: pfile.clone(),
        run_dir: run_dir.clone(),
        log: LogChoice::meaning(*log),
        tier: tier.wanted(),
        scripts: scripts.map(NonZeroUsize::get),
        sweep_every: *sweep,
        unknown_options: if *lenient { UnknownOptions::Keep } else { UnknownOptions::Refuse },
    };
    match pcheck::run(&settings) {
        Ok(Finish::Asked) => ExitCode::from(exit::DONE),
        Ok(Finish::RetryOver(RetryOver::Exit)) => ExitCode::from(exit::RETRY_OVER_EXIT),
        Ok(Finish::RetryOver(RetryOver::Shutdown | RetryOver::Continue)) => ExitCode::from(exit::RETRY_OVER_SHUTDOWN),
        Err(Failed { already_running, sentence }) => {
            // Where the log goes to standard error, it stands there already.
            if settings.log == LogTo::Syslog {
                output::complain(&format!("pcheck: {}", output::harmless(&sentence)));
            }
            ExitCode::from(if already_running { exit::ALREADY_RUNNING } else { exit::TROUBLE })
        }
    }
}
