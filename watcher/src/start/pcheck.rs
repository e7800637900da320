//! Wiring of pcheck and of the daemon: log, rules, folders, tier; then the loop.

use std::{num::NonZeroUsize, path::Path, sync::Arc, thread, time::Duration};

use watcher_core::{
    Choice, Event, Finish, Level, PassedOver, Tier,
    fleets::{AtOnce, Fleets},
};

pub use super::enlist::{Failed, Terms};
use super::{
    enlist::{enlist, enlist_all},
    join::{self, Came},
    privileges, tier,
};
use crate::{
    control::{Place, Server},
    engine::patrol::{Parts, Patrol, Recruit},
    executor::{
        aside::Desks,
        hands::Hands,
        log::{Log, LogTo},
        muster::{Muster, Places, not_watched},
        readings::Readings,
        scripts::Scripts,
        service,
    },
    sources::os_signals::OsSignals,
    sys::{heap, limits, own},
};

/// How long the log may take for what it has to say of a start that failed.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Said once. What is not to be seen would otherwise be taken for gone, and be started anew.
const HIDDEN: &str = "/proc hides processes of other users from this one (hidepid), so services of theirs are not found: run \
                      pcheck as their user, as root, or in the group of its mount option gid=";

/// What is told on the command line.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How pfiles are taken.
    pub terms: Terms,
    /// Where messages go.
    pub log: LogTo,
    /// How deaths are to be learned of; the best that works where nothing is said.
    pub tier: Option<Tier>,
    /// How many scripts may run at once.
    pub scripts: Option<usize>,
    /// However well events arrive, every watched process is looked at this often.
    pub sweep_every: Duration,
    /// A pcheck does not join a daemon.
    pub standalone: bool,
    /// Where figures are to be had.
    pub metrics: Option<Place>,
}

/// Runs pcheck until it is asked to end, or an entry ends it.
///
/// # Errors
/// Says what is wrong. The log was told, too.
pub fn run(pfile: &Path, settings: &Settings) -> Result<Finish, Failed> {
    in_runtime(settings, async |log, mut signals| {
        let mut hands = hands(settings, log)?;
        let enlisted = match join::join(pfile, settings, (&mut hands, &mut signals)).await {
            Ok(Came::Ended(finish)) => {
                service::stopping();
                hands.finish();
                return Ok(finish);
            }
            Ok(Came::Alone(None)) => enlist(pfile, &settings.terms, &Desks::default()),
            Ok(Came::Alone(Some(ran))) => join::enlist_after(pfile, &settings.terms, &ran).await,
            Err(failed) => Err(failed),
        };
        match enlisted {
            Ok(mut recruit) => {
                let patrol = assemble(settings, hands, signals, std::slice::from_mut(&mut recruit))?;
                Ok(patrol.run(recruit).await?)
            }
            Err(failed) => {
                hands.finish();
                Err(failed)
            }
        }
    })
}

/// Runs the daemon until it is asked to end.
///
/// # Errors
/// Says what is wrong: also when none of the files that were named can be watched, and there is no folder where others may
/// come. The log was told, too.
pub fn run_many(places: Places, settings: &Settings) -> Result<(), Failed> {
    in_runtime(settings, async |log, mut signals| {
        // Each pfile takes three descriptors as long as it is watched. What is started by us gets the old limit back.
        limits::raise_descriptors();
        let (mut drafts, mut recruits, mut failed) = (Vec::new(), Vec::new(), None);
        let mut refused = Vec::new();
        let desks = Desks::default();
        let mut refuse = |pfile: &Path, why: Failed| {
            log.tell(Level::Error, not_watched(pfile, &why.sentence).as_bytes());
            refused.push((pfile.to_owned(), why.sentence.clone()));
            let before = failed.take().is_none_or(|failed: Failed| failed.already_running);
            failed = Some(Failed { already_running: why.already_running && before, ..why });
        };
        let pfiles = places.pfiles().map_err(Failed::because)?;
        let mut readings = Readings::begin(pfiles, settings.terms.unknown_options, &desks.reading);
        loop {
            tokio::select! {
                biased;
                // Whoever wants it to end need not wait for all.
                event = signals.next() => if let Event::Stop { .. } = event {
                    return Ok(());
                },
                read = readings.next() => match read {
                    Some((_, Ok(draft))) => drafts.push(draft),
                    Some((pfile, Err(why))) => refuse(&pfile, Failed::because(why)),
                    None => break,
                },
            }
        }
        let pfiles: Vec<_> = drafts.iter().map(|draft| draft.path().to_owned()).collect();
        for (pfile, recruit) in pfiles.iter().zip(enlist_all(drafts, &settings.terms, &desks)) {
            match recruit {
                Ok(recruit) => recruits.push(recruit),
                Err(why) => refuse(pfile, why),
            }
        }
        if let Some(failed) = failed.filter(|_| recruits.is_empty() && places.folders.is_empty()) {
            return Err(failed);
        }
        let mut hands = hands(settings, log)?;
        let lobby = join::lobby((&settings.terms.run_dir, &desks), |level, sentence| hands.say(level, sentence));
        let patrol = assemble(settings, hands, signals, &mut recruits)?;
        let terms = settings.terms.clone();
        let boxed = |recruit: Result<Recruit, Failed>| recruit.map(Box::new).map_err(|failed| failed.sentence);
        let reading = desks.reading.clone();
        let enlist = move |drafts| enlist_all(drafts, &terms, &desks).into_iter().map(boxed).collect();
        let muster = Muster::new(places, settings.terms.unknown_options, reading, Arc::new(enlist));
        Ok(patrol.stand(recruits, refused, muster, lobby).await?)
    })
}

fn in_runtime<T>(
    settings: &Settings,
    work: impl AsyncFnOnce(&mut Log, OsSignals) -> Result<T, Failed>,
) -> Result<T, Failed> {
    // Before there are threads.
    heap::share();
    let mut log = Log::open(settings.log, "pcheck");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before anything is started: from here on signals are events.
    let done = runtime.block_on(async { work(&mut log, OsSignals::listen_as_daemon()?).await });
    // Whatever still reads or lists something for us is not waited for.
    runtime.shutdown_background();
    if let Err(failed) = &done {
        log.tell(Level::Error, failed.sentence.as_bytes());
        log.flush(LAST_LINES);
    }
    done
}

/// What does; the log goes with it, and another one is left in its place.
fn hands(settings: &Settings, log: &mut Log) -> Result<Hands, Failed> {
    let scripts = Scripts::new()?;
    Ok(Hands::new(std::mem::replace(log, Log::open(settings.log, "pcheck")), scripts))
}

/// Everything that watching these pfiles takes.
fn assemble(
    settings: &Settings,
    mut hands: Hands,
    signals: OsSignals,
    recruits: &mut [Recruit],
) -> Result<Patrol, Failed> {
    let entries = recruits.iter().map(|recruit| recruit.rules.entries.len()).sum();
    let room = room_for(entries);
    let Choice { tier: _, started: senses, passed_over } = match tier(settings.tier, room) {
        Ok(chosen) => chosen,
        Err(tried) => {
            hands.finish();
            return Err(no_tier(settings.tier, &tried));
        }
    };
    for PassedOver { tier, reason } in passed_over {
        hands.say(Level::Notice, &format!("Tier {tier} passed over: {reason}"));
    }
    let metrics = match settings.metrics.as_ref().map(Server::bind_metrics).transpose() {
        Ok(metrics) => metrics,
        Err(error) => {
            hands.finish();
            return Err(Failed::because(error.to_string()));
        }
    };
    privileges::keep_for_watching(&senses.watch);
    if let Some(first) = recruits.first_mut().filter(|_| own::is_kept_from_others()) {
        first.warnings.insert(0, HIDDEN.to_owned());
    }
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let at_once = settings.scripts.unwrap_or_else(|| processors.max(2));
    let fleets = Fleets::new(AtOnce { scripts: at_once, probes: probes_at_once() });
    Ok(Patrol::new(Parts { fleets, senses, hands, signals, sweep_every: settings.sweep_every, room, metrics }))
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
