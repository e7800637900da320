//! Wiring of pcheck: rules, folder, log, tier, state, control; then the loop.

use std::{
    io,
    num::NonZeroUsize,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use watcher_core::{
    Choice, Finish, Level, PassedOver, Tier,
    fleet::Fleet,
    pfile::{AbsolutePath, Pfile, UnknownOptions},
};

use super::{privileges, tier};
use crate::{
    control::Server,
    engine::{
        Senses,
        patrol::{Parts, Patrol},
    },
    executor::{
        hands::Hands,
        log::{Log, LogTo},
        rules::{Rules, RulesReader, rules},
        rundir::{ClaimError, RunDir},
        scripts::{Scripts, find_left},
        store::Store,
    },
    sources::os_signals::OsSignals,
    sys::{heap, host, limits, own},
};

/// How long the log may take for what it has to say of a start that failed.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Said once. What is not to be seen would otherwise be taken for gone, and be started anew.
const HIDDEN: &str = "/proc hides processes of other users from this one (hidepid), so services of theirs are not found: run \
                      pcheck as their user, as root, or in the group of its mount option gid=";

/// What pcheck is told on its command line.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The rule file.
    pub pfile: PathBuf,
    /// Where folders of pchecks are.
    pub run_dir: PathBuf,
    /// Where messages go.
    pub log: LogTo,
    /// How deaths are to be learned of; the best that works where nothing is said.
    pub tier: Option<Tier>,
    /// How many scripts may run at once.
    pub scripts: Option<usize>,
    /// What to do about options that are not known.
    pub unknown_options: UnknownOptions,
    /// However well events arrive, every watched process is looked at this often.
    pub sweep_every: Duration,
}

/// Why it did not start, or did not go on.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Another one runs.
    pub already_running: bool,
    /// Why.
    pub sentence: String,
}

impl Failed {
    fn because(sentence: impl ToString) -> Self {
        Self { already_running: false, sentence: sentence.to_string() }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::because(error)
    }
}

/// Runs pcheck until it is asked to end, or an entry ends it.
///
/// # Errors
/// Says what is wrong. The log was told, too.
pub fn run(settings: &Settings) -> Result<Finish, Failed> {
    // Before there are threads.
    heap::share();
    let mut log = Log::open(settings.log, "pcheck");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        // Before anything is started: from here on signals are events.
        let signals = OsSignals::listen_as_daemon()?;
        let prepared = prepare(settings, &mut log)?;
        patrol(settings, prepared, signals, std::mem::replace(&mut log, Log::open(settings.log, "pcheck"))).await
    });
    // Whatever still reads or lists something for us is not waited for.
    runtime.shutdown_background();
    if let Err(failed) = &done {
        log.tell(Level::Error, failed.sentence.as_bytes());
        log.flush(LAST_LINES);
    }
    done
}

/// What has to work before anything is watched.
struct Prepared {
    pfile: AbsolutePath,
    rules: Pfile,
    run_dir: RunDir,
    control: Server,
    senses: Senses,
}

fn prepare(settings: &Settings, log: &mut Log) -> Result<Prepared, Failed> {
    let Rules { pfile: rules, warnings } = rules(&settings.pfile, settings.unknown_options).map_err(Failed::because)?;
    let key = rules.param.ipc_key.value.number();
    let path = full_path(&settings.pfile)?;
    let run_dir = RunDir::claim(&settings.run_dir, key, &settings.pfile).map_err(|error| match error {
        ClaimError::AlreadyRunning(_) | ClaimError::KeyInUse(_) | ClaimError::InUse(_) => {
            Failed { already_running: true, sentence: error.to_string() }
        }
        ClaimError::Unusable { .. } => Failed::because(error),
    })?;
    let Choice { tier, started: senses, passed_over } =
        tier(settings.tier, room_for(rules.entries.len())).map_err(|tried| no_tier(settings.tier, &tried))?;
    for PassedOver { tier, reason } in passed_over {
        log.tell(Level::Notice, format!("Tier {tier} passed over: {reason}").as_bytes());
    }
    privileges::keep_for_watching(&senses.watch);
    let control = Server::bind(&run_dir.control())?;
    let entries = rules.entries.len();
    let entries = if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
    log.tell(Level::Notice, format!("Start pcheck: {entries} of {path}, tier {tier}").as_bytes());
    if own::is_kept_from_others() {
        log.tell(Level::Warning, HIDDEN.as_bytes());
    }
    for warning in warnings {
        log.tell(Level::Warning, warning.as_bytes());
    }
    Ok(Prepared { pfile: path, rules, run_dir, control, senses })
}

/// The table of watched processes cannot grow: reloads may bring more entries, and scripts of earlier runs may be watched.
fn room_for(entries: usize) -> usize {
    const FEWEST: usize = 1024;
    entries.saturating_mul(2).max(FEWEST)
}

/// A quarter of the descriptors: scripts, pidfds and the log want theirs, too.
fn probes_at_once() -> usize {
    limits::descriptors().map_or(usize::MAX, |limit| usize::try_from(limit / 4).unwrap_or(usize::MAX))
}

fn no_tier(wanted: Option<Tier>, tried: &[PassedOver]) -> Failed {
    let reasons: Vec<_> = tried.iter().map(|PassedOver { tier, reason }| format!("tier {tier}: {reason}")).collect();
    let reasons = reasons.join("; ");
    Failed::because(match wanted {
        Some(_) => format!("{reasons}; it was asked for by --tier, and --tier auto takes the best that works"),
        None => format!("no way to learn of deaths works here: {reasons}"),
    })
}

fn full_path(path: &Path) -> Result<AbsolutePath, Failed> {
    let full = std::path::absolute(path)?;
    AbsolutePath::new(full.as_os_str().as_bytes())
        .ok_or_else(|| Failed::because(format!("{} contains a control character, or ends in a blank", full.display())))
}

async fn patrol(settings: &Settings, prepared: Prepared, signals: OsSignals, mut log: Log) -> Result<Finish, Failed> {
    let Prepared { pfile, rules, run_dir, control, senses } = prepared;
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let at_once = settings.scripts.unwrap_or_else(|| processors.max(2));
    let reader = RulesReader::new(settings.pfile.clone(), settings.unknown_options);
    let (store, mut saved, trouble) = Store::open(run_dir.state(), host::boot_id().unwrap_or_default());
    if let Some(trouble) = trouble {
        log.tell(Level::Warning, trouble.as_bytes());
    }
    find_left(&rules, &mut saved);
    let sweep_every = settings.sweep_every;
    let hands = Hands::new(run_dir, log, store, Scripts::new()?, reader);
    let fleet = Fleet::new(rules, at_once, &saved).asking_at_most(probes_at_once());
    Ok(Patrol::new(Parts { fleet, senses, hands, signals, control, pfile, sweep_every }).run().await?)
}
