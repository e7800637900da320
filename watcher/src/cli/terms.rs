//! Options of commands that run for long, over pfiles.

use std::{io::IsTerminal as _, num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use watcher_core::pfile::UnknownOptions;

use super::args::{self, TierChoice};
use crate::{
    control,
    executor::log::LogTo,
    start::pcheck::{Settings, Terms},
    sys::own,
};

#[derive(Args, Debug)]
pub(super) struct TermsArgs {
    /// Where to keep control sockets, locks, and what survives a crash
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
    /// Give figures by HTTP, at /metrics, for Prometheus: at a loopback address, such as 127.0.0.1:9630, or at a socket of this path
    #[arg(long, value_name = "ADDRESS|SOCKET")]
    metrics: Option<control::Place>,
    /// Ignore options of entries that are not known, rather than refuse the pfile
    #[arg(long)]
    lenient: bool,
}

impl TermsArgs {
    pub(super) fn settings(&self, files_only: bool) -> Settings {
        let Self { run_dir, log, tier, scripts, sweep, metrics, lenient } = self;
        let unknown_options = if *lenient { UnknownOptions::Keep } else { UnknownOptions::Refuse };
        Settings {
            terms: Terms { run_dir: run_dir.clone(), unknown_options, files_only, watcher: own::pid() },
            log: LogChoice::meaning(*log),
            tier: tier.wanted(),
            scripts: scripts.map(NonZeroUsize::get),
            sweep_every: *sweep,
            standalone: false,
            metrics: metrics.clone(),
        }
    }
}

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
