//! `watcher wait`: the end of the watch over a pfile, as an exit code.

use std::{
    path::PathBuf,
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use clap::Args;
use tracing::debug;

use super::{
    exit::{self, wait},
    find::{self, Found, NotFound},
    output,
};
use crate::control::{
    Ended, RUN_DIR,
    client::{self, Failure},
};

/// How often is looked whether somebody watches by now.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long whoever goes on with a watch may take to begin.
const HANDING_OVER: Duration = Duration::from_secs(10);

/// Wait until the watch over a pfile ends, and exit with the code that pcheck would have ended with
///
/// For cluster managers and scripts: the same whether a pcheck watches or `watcher run`. A reload is no end. Exit code 0: the watch
/// was asked to end (SIGTERM, `padmin -c shutdown`, or a reload of `watcher run` found the pfile gone). 1: nothing can be found out, such
/// as by another user. 2: the command line is wrong. 3: RETRY_OVER:SHUTDOWN. 4: RETRY_OVER:EXIT. 5: nobody watches that pfile. 6:
/// whoever watched it has vanished without an end, such as killed: nobody watches now. 7: it is still watched after --timeout.
#[derive(Args, Debug)]
pub(super) struct Wait {
    /// The pfile that is watched
    #[arg(short = 'f', long = "file", value_name = "PFILE")]
    pfile: PathBuf,
    /// Wait no longer than so many seconds; 0 only asks whether it is watched (exit code 7: it is, 5: it is not)
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// If nobody watches it yet, wait so many seconds for that to begin
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "0")]
    until_watched: Duration,
    /// Where running pchecks are found
    #[arg(long, value_name = "DIR", default_value = RUN_DIR)]
    run_dir: PathBuf,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "a number of seconds is wanted, 0 or more".to_owned())
}

pub(super) fn run(arguments: &Wait) -> ExitCode {
    let timeout = arguments.timeout.map(Deadline::after);
    let mut begins = Deadline::after(arguments.until_watched);
    loop {
        let Found { socket, who, pfile, limit } = match found(arguments, begins.or_earlier(timeout)) {
            Ok(found) => found,
            Err(NotFound { sentence, code }) => {
                output::say(&sentence);
                let is_unwatched = code == exit::padmin::NO_PCHECK;
                return ExitCode::from(if is_unwatched { wait::NOT_WATCHED } else { exit::TROUBLE });
            }
        };
        let waiting = match client::wait(&socket, limit) {
            Ok(waiting) => waiting,
            // It has ended since it was found: how, nobody tells.
            Err(Failure::Absent | Failure::Broken(_)) => continue,
            Err(failure) => return exit::trouble(&NotFound::failed(&failure, who.pid).sentence),
        };
        debug!(pid = who.pid, "it will tell of the end");
        match waiting.end(timeout.map(Deadline::left)) {
            Ok(Ended::Asked) => return ExitCode::from(exit::DONE),
            Ok(Ended::Exit) => return ExitCode::from(exit::RETRY_OVER_EXIT),
            Ok(Ended::Shutdown) => return ExitCode::from(exit::RETRY_OVER_SHUTDOWN),
            Ok(Ended::HandedOver) => begins = Deadline::after(HANDING_OVER),
            Err(Failure::TimedOut(_)) => return ExitCode::from(wait::TIMED_OUT),
            Err(Failure::Absent | Failure::Broken(_)) => {
                let (pid, pfile) = (who.pid, pfile.display());
                output::say(&format!(
                    "process {pid}, which watched for {pfile}, has vanished: it did not end in good order"
                ));
                return ExitCode::from(wait::VANISHED);
            }
            Err(failure @ (Failure::Forbidden | Failure::Refused(_) | Failure::Strange(_))) => {
                return exit::trouble(&failure.to_string());
            }
        }
    }
}

/// Whoever watches, as soon as somebody does.
fn found(arguments: &Wait, until: Deadline) -> Result<Found, NotFound> {
    loop {
        match find::find(&arguments.pfile, &arguments.run_dir) {
            Err(NotFound { code: exit::padmin::NO_PCHECK, .. }) if !until.left().is_zero() => {
                sleep(LOOK_EVERY.min(until.left()));
            }
            found => return found,
        }
    }
}

/// A moment; none is never.
#[derive(Clone, Copy, Debug)]
struct Deadline(Option<Instant>);

impl Deadline {
    fn after(span: Duration) -> Self {
        Self(Instant::now().checked_add(span))
    }

    fn left(self) -> Duration {
        self.0.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }

    fn or_earlier(self, other: Option<Self>) -> Self {
        let other = other.and_then(|other| other.0);
        Self([self.0, other].into_iter().flatten().min())
    }
}
