//! Options of commands that run for long, over pfiles.

use std::{ffi::OsString, io::IsTerminal as _, num::NonZeroUsize, path::PathBuf, time::Duration};

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
    /// The words that say the same to another command.
    pub(super) fn words(&self) -> Vec<OsString> {
        let Self { run_dir, log, tier, scripts, sweep, metrics, lenient } = self;
        let mut words = vec!["--run-dir".into(), run_dir.clone().into_os_string()];
        let mut say = |option: &str, value: String| words.push(format!("--{option}={value}").into());
        if let Some(log) = log {
            say("log", value_name(log));
        }
        say("tier", value_name(tier));
        if let Some(scripts) = scripts {
            say("scripts", scripts.to_string());
        }
        say("sweep", sweep.as_secs_f64().to_string());
        if let Some(place) = metrics {
            say("metrics", place.to_string());
        }
        if *lenient {
            words.push("--lenient".into());
        }
        words
    }

    /// Where messages go.
    pub(super) fn log_to(&self) -> LogTo {
        LogChoice::meaning(self.log)
    }

    /// How options are taken that are not known.
    pub(super) const fn unknown_options(&self) -> UnknownOptions {
        if self.lenient { UnknownOptions::Keep } else { UnknownOptions::Refuse }
    }

    pub(super) fn settings(&self, files_only: bool) -> Settings {
        let Self { run_dir, log: _, tier, scripts, sweep, metrics, lenient: _ } = self;
        Settings {
            terms: Terms {
                run_dir: run_dir.clone(),
                unknown_options: self.unknown_options(),
                files_only,
                watcher: own::pid(),
            },
            log: self.log_to(),
            tier: tier.wanted(),
            scripts: scripts.map(NonZeroUsize::get),
            sweep_every: *sweep,
            standalone: false,
            metrics: metrics.clone(),
        }
    }
}

/// How a value is typed.
fn value_name(value: &impl ValueEnum) -> String {
    // Those that cannot be typed have none, and were not.
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
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
