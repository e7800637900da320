//! `watcher reboot-guard`: pcheck, and a reboot of the host when that gives up; and what has been counted so far.

use std::{
    ffi::OsString,
    io,
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use serde::Serialize;
use watcher_core::{
    Ending, Wall,
    pfile::{Bytes, Pfile, Position, RetryOver, Severity},
    reboot::{self, Date, Limits, Reboot},
};

use super::{diagnostic, exit, output, terms::TermsArgs};
use crate::{
    check::{self, Checked},
    engine::guard::Finish,
    executor::{
        percent,
        reboots::{self, Found, Reboots, date},
    },
    start::guard::{self, Settings},
    sys::local_time,
};

/// Run pcheck, and reboot the host when it gives up (RETRY_OVER:EXIT), but not for ever
///
/// For a host whose service can be brought back by nothing else, such as one behind a load balancer. SIGTERM and SIGINT end it, and
/// pcheck with it; SIGHUP and SIGUSR1 are passed on to pcheck. During the grace time SIGTERM calls the reboot off, and it does not count.
/// A reboot is written down before it begins; what cannot be written down is not done. When pcheck has run for the whole window, all are
/// forgotten. Exit code 0: asked to end. 1, 2, 3: as those of pcheck; so are others, but for: 4: pcheck has given up, and the
/// reboot is on its way. 10: pcheck has given up, and there were too many reboots. 11: pcheck has given up, and there is no
/// reboot, since it cannot be counted or the command failed.
#[derive(Args, Debug)]
#[command(
    override_usage = "watcher reboot-guard [OPTIONS] -f PFILE\n       watcher reboot-guard --show [OPTIONS]\n       watcher reboot-guard --clear [OPTIONS]"
)]
pub(super) struct RebootGuard {
    /// Rule file; at least one of its entries must have the action exit
    #[arg(short = 'f', long = "file", value_name = "PFILE", required_unless_present_any = ["show", "clear"])]
    pfile: Option<PathBuf>,
    /// So many reboots within the window, and no more
    #[arg(long, value_name = "COUNT", default_value = "3")]
    threshold: NonZeroU32,
    /// Seconds after which a reboot is forgotten
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(1..=LONGEST))]
    window: u64,
    /// Seconds in which a reboot can be called off
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(..=LONGEST))]
    grace: u64,
    /// What reboots the host; run by /bin/sh
    #[arg(long, value_name = "COMMAND", default_value = "systemctl reboot")]
    reboot_command: OsString,
    /// Do all but run that command. Reboots that are only said count for --dry-run alone
    #[arg(long)]
    dry_run: bool,
    /// Where reboots are counted: a file that survives them, one for all guards of the host
    #[arg(long, value_name = "FILE", default_value = reboots::FILE)]
    state: PathBuf,
    /// Show the reboots that were counted, and do nothing. Exit code 0: one more is allowed. 10: not
    #[arg(long, conflicts_with = "clear")]
    show: bool,
    /// Forget all reboots, and do nothing
    #[arg(long)]
    clear: bool,
    /// With --show: print one JSON object instead of text
    #[arg(long, requires = "show")]
    json: bool,
    #[command(flatten)]
    terms: TermsArgs,
    /// Do not let pcheck join the `watcher run` of the same --run-dir, if there is one
    #[arg(long)]
    standalone: bool,
}

/// Ten years.
const LONGEST: u64 = 315_360_000;

pub(super) fn run(arguments: &RebootGuard) -> ExitCode {
    let RebootGuard { pfile, show, clear, .. } = arguments;
    match pfile {
        _ if *show => show_counted(arguments),
        _ if *clear => forget(arguments),
        Some(pfile) => guard(arguments, pfile.clone()),
        None => exit::trouble("a pfile is wanted: -f PFILE"),
    }
}

fn guard(arguments: &RebootGuard, pfile: PathBuf) -> ExitCode {
    let RebootGuard { threshold, window, grace, reboot_command, dry_run, state, terms, standalone, .. } = arguments;
    if let Err(code) = check_pfile(&pfile, terms) {
        return code;
    }
    let mut pcheck = terms.words();
    pcheck.extend(standalone.then(|| "--standalone".into()));
    let settings = Settings {
        pcheck,
        gave_up: exit::RETRY_OVER_EXIT,
        reboots: state.clone(),
        limits: Limits { threshold: *threshold, window: *window },
        grace: Duration::from_secs(*grace),
        command: reboot_command.clone(),
        dry_run: *dry_run,
        log: terms.log_to(),
    };
    match guard::run(&pfile, settings) {
        Ok(Finish::CalledOff) => ExitCode::from(exit::DONE),
        Ok(Finish::Enough) => ExitCode::from(exit::reboot_guard::ENOUGH),
        Ok(Finish::Failed) => ExitCode::from(exit::reboot_guard::FAILED),
        Ok(Finish::Ordered) => ExitCode::from(exit::RETRY_OVER_EXIT),
        Ok(Finish::Watch(Ending::Exited { code })) => ExitCode::from(code),
        Ok(Finish::Watch(Ending::Killed { signal, core_dumped: _ })) => exit::stopped(signal),
        Ok(Finish::Watch(Ending::Unknown)) => exit::trouble("pcheck has ended, and nobody can tell how"),
        Err(error) => exit::trouble(&format!("pcheck cannot be run: {error}")),
    }
}

/// Mistakes, told as `watcher check` tells them; and that it can come to a reboot at all.
fn check_pfile(path: &Path, terms: &TermsArgs) -> Result<(), ExitCode> {
    // A pipe gives what it has only once, and that is for pcheck.
    if !path.is_file() {
        return Ok(());
    }
    let name = path.display().to_string();
    let text = check::load(path).map_err(|error| exit::trouble(&format!("{name} cannot be read: {error}")))?;
    let checked = Checked::by_text(name, text, terms.unknown_options());
    let errors = checked.problems.iter().filter(|problem| problem.severity == Severity::Error);
    errors.for_each(|problem| output::complain(&diagnostic::render(&checked, problem)));
    match &checked.pfile {
        Some(pfile) if checked.count(Severity::Error) == 0 => check_actions(&checked, pfile),
        Some(_) | None => Err(ExitCode::from(exit::TROUBLE)),
    }
}

fn check_actions(checked: &Checked, pfile: &Pfile) -> Result<(), ExitCode> {
    let mut actions = pfile.entries.iter().map(|entry| &entry.value.retry_over);
    let Some(first) = actions.clone().next() else { return Ok(()) };
    if actions.any(|action| action.value.action() == RetryOver::Exit) {
        return Ok(());
    }
    let Position { line, column } = checked.position(first.place.start);
    let name = output::harmless(&checked.name);
    output::complain(&format!(
        "{name}:{line}:{column}: error: no entry has the action `exit`: pcheck would never give up, and the host never be rebooted"
    ));
    Err(ExitCode::from(exit::TROUBLE))
}

fn forget(arguments: &RebootGuard) -> ExitCode {
    let reboots = Reboots::at(arguments.state.clone());
    match reboots.turn().and_then(|turn| turn.map(|turn| reboots.write(&turn, &[])).transpose()) {
        Ok(Some(())) => ExitCode::from(exit::DONE),
        Ok(None) => {
            exit::trouble("a guard is about to reboot this host: end that first, then nothing is left to forget")
        }
        Err(why) => exit::trouble(&why),
    }
}

/// What `--show --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    file: String,
    threshold: u32,
    window_s: u64,
    count: u32,
    allowed: bool,
    reboots: Vec<Line>,
    damage: Vec<DamageLine>,
}

#[derive(Debug, Serialize)]
struct Line {
    unix_time: Option<u64>,
    dry_run: bool,
    pfile: Option<String>,
}

#[derive(Debug, Serialize)]
struct DamageLine {
    line: usize,
    column: usize,
    message: String,
}

fn show_counted(arguments: &RebootGuard) -> ExitCode {
    let RebootGuard { threshold, window, dry_run, state, json, .. } = arguments;
    let reboots = Reboots::at(state.clone());
    let found = match reboots.read() {
        Ok(found) => found,
        Err(why) => return exit::trouble(&why),
    };
    let limits = Limits { threshold: *threshold, window: *window };
    let count = reboot::recent(&found.reboots, (date(), *dry_run), limits);
    let allowed = count < threshold.get();
    let shown = if *json { show_json(state, found, limits, count) } else { show_text(state, &found, limits, count) };
    match shown {
        Ok(()) if allowed => ExitCode::from(exit::DONE),
        Ok(()) => ExitCode::from(exit::reboot_guard::ENOUGH),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::stopped(exit::BROKEN_PIPE),
        Err(error) => exit::trouble(&error.to_string()),
    }
}

fn show_json(file: &Path, found: Found, limits: Limits, count: u32) -> io::Result<()> {
    let Limits { threshold, window } = limits;
    let Found { reboots, damage } = found;
    let encoded = |bytes: &Bytes| percent::encode(bytes.as_slice());
    let reboots = reboots.iter().map(|Reboot { at, dry_run, pfile }| Line {
        unix_time: at.map(|Date(seconds)| seconds),
        dry_run: *dry_run,
        pfile: pfile.as_ref().map(encoded),
    });
    let damage = damage.into_iter().map(|reboots::Damage { at: Position { line, column }, what }| DamageLine {
        line,
        column,
        message: what,
    });
    output::json(&Report {
        schema: 1,
        file: file.display().to_string(),
        threshold: threshold.get(),
        window_s: window,
        count,
        allowed: count < threshold.get(),
        reboots: reboots.collect(),
        damage: damage.collect(),
    })
}

fn show_text(file: &Path, found: &Found, limits: Limits, count: u32) -> io::Result<()> {
    let Limits { threshold, window } = limits;
    let file = file.display();
    for damage in &found.damage {
        output::say(&format!("{file}:{damage}"));
    }
    for Reboot { at, dry_run, pfile } in &found.reboots {
        let wall = |Date(seconds)| Wall { unix_ns: u64::saturating_mul(seconds, 1_000_000_000) };
        let when = at.map_or_else(|| "unknown".to_owned(), |at| local_time::ctime(wall(at)));
        let what = if *dry_run { " (dry run)" } else { "" };
        let pfile = pfile.as_ref().map_or_else(String::new, |pfile| format!("  {}", percent::encode(pfile.as_slice())));
        output::line(&output::harmless(&format!("{when}{pfile}{what}")))?;
    }
    let next = if count < threshold.get() { "one more is allowed" } else { "no more are allowed" };
    output::line(&format!("{count} of {threshold} reboots within {window} s: {next}"))
}
