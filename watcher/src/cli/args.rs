//! What can be typed.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use watcher_core::{
    Pid, Tier,
    pfile::{IpcKey, RetryOver},
};

use super::ask_args::{Events, Padmin, Why};

/// Watches processes: learns of deaths from the kernel within microseconds.
#[derive(Debug, Parser)]
#[command(name = "watcher", version, propagate_version = true, max_term_width = 100)]
pub(super) struct Arguments {
    /// Show diagnostics on standard error (WATCHER_LOG=watcher::kernel=trace in the environment does so too, and chooses)
    #[arg(long, global = true)]
    pub(super) verbose: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Check(Check),
    Doctor(Doctor),
    Events(Events),
    Explain(Explain),
    Httpmon(super::clp::Httpmon),
    New(New),
    Pcheck(super::pcheck::Pcheck),
    Padmin(Padmin),
    Probe(super::probe::Probe),
    RebootGuard(super::reboot_guard::RebootGuard),
    Run(super::run::Run),
    Smtpmon(super::clp::Smtpmon),
    Sockets(super::sockets::Sockets),
    Status(super::status::Status),
    Wait(super::wait::Wait),
    Watch(Watch),
    Why(Why),
}

impl Command {
    /// Whether diagnostics are wanted, by a command that reads its words by itself.
    pub(super) fn is_verbose(&self) -> bool {
        match self {
            Self::Httpmon(arguments) => arguments.is_verbose(),
            Self::Smtpmon(arguments) => arguments.is_verbose(),
            Self::Check(_)
            | Self::Doctor(_)
            | Self::Events(_)
            | Self::Explain(_)
            | Self::New(_)
            | Self::Pcheck(_)
            | Self::Padmin(_)
            | Self::Probe(_)
            | Self::RebootGuard(_)
            | Self::Run(_)
            | Self::Sockets(_)
            | Self::Status(_)
            | Self::Wait(_)
            | Self::Watch(_)
            | Self::Why(_) => false,
        }
    }
}

/// Find what is wrong with pfiles: mistakes, and what will hurt on this host
///
/// Each warning has a name, in brackets; a line `#@ allow=NAME` before the first entry silences it in the file, after an
/// entry for that entry. Exit code 0: every file loads. 1: one does not, or there are warnings and --deny-warnings is
/// given. 2: the command line is wrong.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Rule files; those of one host belong together on one command line
    #[arg(required_unless_present = "list", value_name = "PFILE")]
    pub(super) pfiles: Vec<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
    /// Fail for warnings too
    #[arg(long)]
    pub(super) deny_warnings: bool,
    /// Look at the text only, not at the scripts, processes and ports of this host
    #[arg(long)]
    pub(super) no_host: bool,
    /// Take options that are not known for warnings, rather than for errors
    #[arg(long)]
    pub(super) lenient: bool,
    /// Repair what is safe to repair, without a change of meaning, and show it as a diff; what is left is told after it
    #[arg(long)]
    pub(super) fix: bool,
    /// With --fix: change the files
    #[arg(long, requires = "fix")]
    pub(super) write: bool,
    /// Show everything that is looked for, by name
    #[arg(long, conflicts_with = "pfiles")]
    pub(super) list: bool,
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

/// Show which running processes the entries of a pfile match, which nearly do, and why
///
/// Exit code 0: every entry shown matches a process. 1: one does not, or the file does not load. 2: the command line is
/// wrong, or there is no such entry.
#[derive(Args, Debug)]
pub(super) struct Explain {
    /// Rule file
    #[arg(value_name = "PFILE")]
    pub(super) pfile: PathBuf,
    /// Number of the entry, counted from 1; by default all are shown
    #[arg(value_name = "ENTRY")]
    pub(super) entry: Option<NonZeroUsize>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// Write a pfile, with a restart script for each entry, for processes that run now
///
/// Each entry gets the include_strings that tell its process from the others, and from its own workers where anything does,
/// and a block for each port that the process listens on: of the kind that fits the answer to one request for a web page,
/// `GET /`, sent to each of these ports, once. A restart script ends what is left of
/// its process, then starts it again, writing to the same files; it says so if it cannot know by which command.
/// On a terminal it asks what is not said. What it writes passes `watcher check --deny-warnings`. Exit code 0:
/// written, and in order. 1: not written, or not in order. 2: the command line is wrong.
#[derive(Args, Debug)]
pub(super) struct New {
    /// For these processes
    #[arg(long = "pid", value_name = "PID", num_args = 1.., value_parser = pid)]
    pub(super) pids: Vec<Pid>,
    /// For processes whose program has this name; * and ? stand for anything
    #[arg(long, value_name = "PATTERN")]
    pub(super) name: Option<String>,
    /// Where to write it; scripts and the dump go to the same folder. By default PROGRAM.pfile in this folder
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// What happens when the retries are used up
    #[arg(long, value_enum, default_value_t = ActionChoice::Exit)]
    pub(super) action: ActionChoice,
    /// How many restarts are tried before that
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    pub(super) retries: u32,
    /// The period that they belong to, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    pub(super) grace: u32,
    /// IPCKEY, such as 0x1f000001; by default it is made of the file's path
    #[arg(long, value_name = "KEY", value_parser = ipckey)]
    pub(super) ipckey: Option<u32>,
    /// Write no blocks for ports, and send them no request
    #[arg(long)]
    pub(super) no_stall_checks: bool,
    /// Write over files that exist
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ActionChoice {
    /// Give the entry up; the others go on
    Continue,
    /// pcheck ends, so that a cluster manager or a reboot takes over
    Exit,
    /// pcheck ends
    Shutdown,
}

impl ActionChoice {
    pub(super) const fn meaning(self) -> RetryOver {
        match self {
            Self::Continue => RetryOver::Continue,
            Self::Exit => RetryOver::Exit,
            Self::Shutdown => RetryOver::Shutdown,
        }
    }
}

fn pid(text: &str) -> Result<Pid, String> {
    text.parse().ok().and_then(Pid::new).ok_or_else(|| "a process number is wanted".to_owned())
}

fn ipckey(text: &str) -> Result<u32, String> {
    let key = IpcKey::read(text.as_bytes()).map(|key| key.number());
    key.ok_or_else(|| "0x and up to eight hexadecimal digits are wanted".to_owned())
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
    /// How often to look at all of them, however well the kernel tells of deaths: what fails silently is found so
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(super) sweep: Duration,
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
    /// The kernel's process connector: events
    Connector,
    /// Looking at /proc at intervals
    Poll,
}

impl TierChoice {
    pub(super) const fn wanted(self) -> Option<Tier> {
        match self {
            Self::Auto => None,
            Self::Ebpf => Some(Tier::Ebpf),
            Self::Pidfd => Some(Tier::Pidfd),
            Self::Connector => Some(Tier::Connector),
            Self::Poll => Some(Tier::Poll),
        }
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    const SHORTEST: f64 = 0.01;
    const LONGEST: f64 = 86_400.0;
    match text.parse() {
        Ok(seconds) if (SHORTEST..=LONGEST).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        Ok(_) | Err(_) => Err(format!("a number of seconds between {SHORTEST} and {LONGEST} is wanted")),
    }
}
