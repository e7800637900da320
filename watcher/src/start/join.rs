//! A pcheck and the daemon of its run directory: whether it joins, and, on the daemon's side, who may.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, sync::Arc, time::Duration};

use tracing::debug;
use watcher_core::{Finish, Level};

use super::{
    enlist::enlist,
    pcheck::{Failed, Settings, Terms},
    privileges,
};
use crate::{
    control::{
        Bounds, Server,
        client::Failure,
        join::{Join, member},
    },
    engine::{
        SLOW_SWEEP,
        joined::{Joined, Parted},
        patrol::{Admitted, Lobby, Recruit},
    },
    executor::{
        aside::Desks,
        circumstances,
        hall::{self, Hall},
        hands::Hands,
        scripts::{self, Ran},
    },
    sources::os_signals::OsSignals,
    sys::limits,
};

/// How long a daemon may take to answer at all: nobody watches meanwhile.
const ANSWER: Duration = Duration::from_secs(2);

/// How long what a daemon has held may take to be free.
const FREE: Duration = Duration::from_secs(10);

/// So many descriptors have to be left for the daemon to take on somebody: for what it keeps, and to look at processes by.
const SPARE: usize = 32;

/// From one try to the next.
const TRY_EVERY: Duration = Duration::from_millis(50);

/// So many may join at once; and how long a connection may say nothing.
const BOUNDS: Bounds = Bounds { name: "watcher run", connections: 1024, patience: Duration::from_secs(5) };

/// What came of joining.
#[derive(Debug)]
pub(super) enum Came {
    /// It stands alone; after a daemon, which may still hold what it needs, with the scripts that it has run for that.
    Alone(Option<Ran>),
    /// The watch has ended.
    Ended(Finish),
}

/// Joins the daemon, if there is one that can watch for this pcheck as it would itself.
///
/// # Errors
/// When nobody can watch this pfile.
pub(super) async fn join(
    pfile: &Path,
    settings: &Settings,
    (hands, signals): (&mut Hands, &mut OsSignals),
) -> Result<Came, Failed> {
    let alone = Ok(Came::Alone(None));
    let request = match request(pfile, settings) {
        Ok(request) => request,
        Err(why) => {
            debug!(why, "it stands alone");
            return alone;
        }
    };
    let member = match member::join(&hall::socket(&settings.terms.run_dir), &request, ANSWER) {
        Ok(member) => member,
        Err(failure @ (Failure::Absent | Failure::Forbidden)) => {
            debug!(%failure, "no daemon can be joined");
            return alone;
        }
        Err(failure @ (Failure::Broken(_) | Failure::Refused(_) | Failure::Strange(_))) => {
            hands.say(Level::Notice, &stands_alone(&failure.to_string()));
            return alone;
        }
        Err(failure @ Failure::TimedOut(_)) => {
            hands.say(Level::Notice, &stands_alone(&failure.to_string()));
            // It may read the request yet, and hold the pfile until it sees that nobody waits for the answer.
            return Ok(Came::Alone(Some(Ran::new())));
        }
    };
    privileges::keep_as_guest();
    let parted = Joined::new(member, hands, signals).run().await;
    privileges::take_up_again();
    match parted {
        Parted::Alone(why) => {
            hands.say(Level::Notice, &stands_alone(&why));
            Ok(Came::Alone(Some(Ran::new())))
        }
        Parted::Ended(finish) => Ok(Came::Ended(finish)),
        Parted::Failed { already_running: true, why } => Err(Failed { already_running: true, sentence: why }),
        // It will find the same mistake itself, and say so; or none.
        Parted::Failed { already_running: false, why } => {
            debug!(why, "it cannot be watched by the daemon");
            Ok(Came::Alone(None))
        }
        Parted::TakeOver(why, ran) => {
            hands.say(Level::Warning, &format!("watcher run {why}: this pcheck goes on by itself"));
            Ok(Came::Alone(Some(ran)))
        }
    }
}

fn stands_alone(why: &str) -> String {
    format!("watcher run is there, but this pcheck stands alone: {why}")
}

/// What is asked, unless it is known beforehand that no daemon can do it.
fn request(pfile: &Path, settings: &Settings) -> Result<Join, &'static str> {
    let Settings { terms, log: _, tier, scripts, sweep_every, standalone, metrics } = settings;
    let Terms { run_dir: _, unknown_options, files_only: _, watcher } = terms;
    for (is_asked_for, what) in [
        (*standalone, "--standalone"),
        (tier.is_some(), "--tier"),
        (scripts.is_some(), "--scripts"),
        (*sweep_every != SLOW_SWEEP, "--sweep"),
        (metrics.is_some(), "--metrics"),
    ] {
        if is_asked_for {
            return Err(what);
        }
    }
    let data = fs::metadata(pfile).map_err(|_error| "the pfile cannot be looked at")?;
    let path = std::path::absolute(pfile).map_err(|_error| "the pfile has no full path")?;
    // What it is for this process it is for no other.
    if !data.is_file() || ["/dev", "/proc"].iter().any(|place| path.starts_with(place)) {
        return Err("the pfile is a pipe, or one of this process");
    }
    Ok(Join {
        pid: *watcher,
        pfile: path,
        file: (data.dev(), data.ino()),
        unknown_options: *unknown_options,
        release: env!("CARGO_PKG_VERSION").to_owned(),
        circumstances: circumstances::own(),
    })
}

/// Takes on a pfile. What another process holds that ends just now is waited for.
///
/// # Errors
/// As [`enlist`].
pub(super) async fn enlist_after(pfile: &Path, terms: &Terms, ran: &Ran) -> Result<Recruit, Failed> {
    let (until, desks) = (tokio::time::Instant::now() + FREE, Desks::default());
    loop {
        match enlist(pfile, terms, &desks) {
            Err(Failed { already_running: true, .. }) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(TRY_EVERY).await;
            }
            Ok(mut recruit) => {
                scripts::complete(&recruit.rules, ran, &mut recruit.saved);
                return Ok(recruit);
            }
            failed => return failed,
        }
    }
}

/// Where pchecks join this daemon, if it is the first one of its run directory.
pub(super) fn lobby((run_dir, desks): (&Path, &Desks), mut say: impl FnMut(Level, &str)) -> Option<(Lobby, Server)> {
    let hall = match Hall::claim(run_dir) {
        Ok(Some(hall)) => hall,
        Ok(None) => {
            say(Level::Notice, "Another watcher run has this run directory: pchecks join that one");
            return None;
        }
        Err(error) => {
            say(
                Level::Warning,
                &format!("No pcheck can join: {} cannot be used: {error}", hall::socket(run_dir).display()),
            );
            return None;
        }
    };
    match Server::bind_within(&hall.socket(), BOUNDS) {
        Ok(server) => {
            let (run_dir, desks) = (run_dir.to_owned(), desks.clone());
            let admit = move |join: &Join| admit(join, (&run_dir, &desks));
            Some((Lobby::new(Arc::new(admit), circumstances::own(), hall), server))
        }
        Err(error) => {
            say(Level::Warning, &format!("No pcheck can join: {error}"));
            None
        }
    }
}

/// Reads a pfile for a pcheck. Whatever is wrong with it that pcheck finds, too.
fn admit(join: &Join, (run_dir, desks): (&Path, &Desks)) -> Admitted {
    let Join { pid, pfile, file, unknown_options, release: _, circumstances: _ } = join;
    if !limits::can_open(SPARE) {
        let why = "it has hardly any descriptors left, and could not look at processes (ulimit -n, or LimitNOFILE= in a unit)";
        return Admitted::Alone(why.to_owned());
    }
    match fs::metadata(pfile) {
        Ok(data) if (data.dev(), data.ino()) == *file => {}
        Ok(_) => return Admitted::Alone("by the path of the pfile it finds another file".to_owned()),
        Err(error) => return Admitted::Alone(format!("it cannot look at the pfile: {error}")),
    }
    let terms =
        Terms { run_dir: run_dir.to_owned(), unknown_options: *unknown_options, files_only: true, watcher: *pid };
    match enlist(pfile, &terms, desks) {
        Ok(recruit) => Admitted::Recruit(Box::new(recruit)),
        Err(Failed { already_running, sentence }) => Admitted::Failed { already_running, why: sentence },
    }
}
