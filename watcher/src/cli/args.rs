//! What can be typed.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use watcher_core::Tier;

/// Watches processes: learns of deaths from the kernel within microseconds.
#[derive(Debug, Parser)]
#[command(name = "watcher", version, max_term_width = 100)]
pub(super) struct Arguments {
    /// Show diagnostics on standard error (WATCHER_LOG=watcher::kernel=trace in the environment does so too, and chooses)
    #[arg(long, global = true)]
    pub(super) verbose: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Doctor(Doctor),
    Watch(Watch),
}

/// Show what this host allows, and which tier watcher would take
///
/// Every tier is really tried: kernel programs are loaded and attached, and a child dies to see whether it is reported.
/// Exit code 0: an event-driven tier works. 1: deaths can only be polled for, or not be seen at all.
#[derive(Args, Debug)]
pub(super) struct Doctor {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// Wait for processes to end, and print one line for each
///
/// Ends when all of them have gone, however they ended. Exit code 0: all have gone. 1: a process cannot be watched, or the
/// lines cannot be written. 2: the command line is wrong. 129, 130, 141, 143: stopped by SIGHUP, by Ctrl-C, because
/// nobody reads the lines any more, by SIGTERM.
#[derive(Args, Debug)]
pub(super) struct Watch {
    /// Process numbers; `-` reads them from standard input, separated by white space
    #[arg(required = true, value_name = "PID", allow_negative_numbers = true)]
    pub(super) pids: Vec<String>,
    /// Print one JSON object a line instead of text
    #[arg(long)]
    pub(super) json: bool,
    /// Go on without the processes that are not there (any more); by default nothing is watched then
    #[arg(long)]
    pub(super) ignore_missing: bool,
    /// How to learn of deaths; auto takes the first that works, in this order
    #[arg(long, value_enum, default_value_t = TierChoice::Auto)]
    pub(super) tier: TierChoice,
    /// How often to look at processes that cannot be watched by events, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds, allow_negative_numbers = true)]
    pub(super) interval: Duration,
    /// Say nothing on standard error but errors
    #[arg(long, short)]
    pub(super) quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TierChoice {
    /// The best that works here
    Auto,
    /// Kernel programs: events for watched processes only
    Ebpf,
    /// A descriptor for each process: events
    Pidfd,
    /// Looking at /proc at intervals
    Poll,
}

impl TierChoice {
    pub(super) const fn wanted(self) -> Option<Tier> {
        match self {
            Self::Auto => None,
            Self::Ebpf => Some(Tier::Ebpf),
            Self::Pidfd => Some(Tier::Pidfd),
            Self::Poll => Some(Tier::Poll),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    const SHORTEST: f64 = 0.01;
    const LONGEST: f64 = 86_400.0;
    match text.parse() {
        Ok(seconds) if (SHORTEST..=LONGEST).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        Ok(_) | Err(_) => Err(format!("a number of seconds between {SHORTEST} and {LONGEST} is wanted")),
    }
}
