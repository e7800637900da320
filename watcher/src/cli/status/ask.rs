//! Asks every process that watches: all at once, and each for one pfile after the other. One that hangs holds up no other.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use watcher_core::{Pid, health::Health};

use super::choice::Choice;
use crate::{
    control::{
        self, Command, EntryLine, ProcessLine, StatusLine,
        client::{self, Answer, Failure},
    },
    executor::{
        hall,
        rundir::{self, Running},
    },
};

/// So many processes are asked at once.
const AT_ONCE: usize = 64;

/// What has come.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) told: Vec<Told>,
    pub(super) silent: Vec<Silent>,
    /// The daemon of itself, also while it watches nothing.
    pub(super) daemon: Option<ProcessLine>,
}

/// How the watch over one pfile stands.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) status: StatusLine,
    pub(super) entries: Vec<EntryLine>,
}

/// There is, or was, somebody, who does not say how things stand.
#[derive(Debug, PartialEq)]
pub(super) struct Silent {
    pub(super) health: Health,
    pub(super) pid: Option<u32>,
    /// Its pfile, where that is known.
    pub(super) pfile: Option<PathBuf>,
    pub(super) why: String,
}

/// Somebody who is to be asked.
#[derive(Debug)]
struct Door {
    folder: PathBuf,
    /// Whom the lock beside it names.
    holder: Option<Running>,
    /// And whether he holds it.
    is_held: bool,
}

/// Asks all that there are, as far as they are wanted.
pub(super) fn everybody(run_dir: &Path, choice: &Choice<'_>, limit: Duration) -> io::Result<Answers> {
    let until = Instant::now() + limit;
    let doors = doors(run_dir, choice)?;
    let mut groups: BTreeMap<(Option<Pid>, usize), Vec<Door>> = BTreeMap::new();
    for (number, door) in doors.into_iter().enumerate() {
        // Of whom nobody knows who he is, each may be another one.
        let pid = door.holder.as_ref().filter(|_| door.is_held).map(|holder| holder.pid);
        groups.entry((pid, if pid.is_some() { 0 } else { number })).or_default().push(door);
    }
    let groups: Vec<_> = groups.into_values().collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut answers = Answers::default();
        while let Some(doors) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            ask_one(doors, until, limit, &mut answers);
        }
        answers
    };
    Ok(thread::scope(|scope| {
        let daemon = scope.spawn(|| ask_daemon(run_dir, limit));
        let others: Vec<_> = (1..groups.len().min(AT_ONCE)).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        // A thread that fails takes its answers along: it has said why on standard error.
        for Answers { told, silent, daemon: _ } in others.into_iter().filter_map(|other| other.join().ok()) {
            all.told.extend(told);
            all.silent.extend(silent);
        }
        match daemon.join() {
            Ok(Ok(daemon)) => all.daemon = daemon,
            // By whatever else it has to say for itself that is known already.
            Ok(Err(silent)) if all.silent.is_empty() && (choice.files.is_empty() || all.told.is_empty()) => {
                all.silent.push(silent);
            }
            Ok(Err(_)) | Err(_) => {}
        }
        all
    }))
}

/// Asks the daemon that pchecks may join, if there is one that may be asked.
fn ask_daemon(run_dir: &Path, limit: Duration) -> Result<Option<ProcessLine>, Silent> {
    match client::ask(&hall::socket(run_dir), &Command::Status { process: true }, limit) {
        Ok(Answer::Process(process)) => Ok(Some(*process)),
        Err(Failure::TimedOut(_)) => {
            let why = format!("watcher run: no answer within {} s: is it stopped, or very busy?", limit.as_secs_f32());
            Err(Silent { health: Health::Critical, pid: None, pfile: None, why })
        }
        // None, or of an older version. Who may not ask it may not ask the others either.
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Whoever has a socket, or holds a lock. Of those that are known to be about other pfiles nothing is wanted.
fn doors(run_dir: &Path, choice: &Choice<'_>) -> io::Result<Vec<Door>> {
    let mut claimed: BTreeMap<PathBuf, (Running, bool)> = rundir::claimed(run_dir)
        .into_iter()
        .map(|(running, is_held)| (running.dir.clone(), (running, is_held)))
        .collect();
    let mut doors = Vec::new();
    for socket in control::sockets(run_dir)? {
        let Some(folder) = socket.parent() else { continue };
        let (holder, is_held) =
            claimed.remove(folder).map_or((None, false), |(holder, is_held)| (Some(holder), is_held));
        doors.push(Door { folder: folder.to_owned(), holder, is_held });
    }
    // Who holds a lock and has no socket cannot be asked, but is there.
    let held = claimed.into_iter().filter(|(_, (_, is_held))| *is_held);
    doors.extend(held.map(|(folder, (holder, _))| Door { folder, holder: Some(holder), is_held: true }));
    doors.retain(|door| door.holder.as_ref().is_none_or(|holder| choice.wants_file(&holder.pfile)));
    Ok(doors)
}

/// Asks one process for all of its pfiles. How the process itself stands, the last one tells: so what is told of all is not
/// older than what is told of each.
fn ask_one(doors: &[Door], until: Instant, limit: Duration, answers: &mut Answers) {
    let mut visit = Visit { until, limit, hangs: false };
    let mut told: Vec<(&Door, Told)> = Vec::new();
    for (number, door) in doors.iter().enumerate() {
        match visit.ask(door, number + 1 == doors.len()) {
            Ok(one) => told.push((door, one)),
            Err(silent) => answers.silent.extend(silent),
        }
    }
    // The last one may have ended just now: any other can tell.
    for place in (0..told.len()).rev() {
        if told.iter().any(|(_, one)| one.status.process.is_some()) {
            break;
        }
        let Some((door, one)) = told.get_mut(place) else { break };
        if let Ok(again) = visit.ask(door, true) {
            *one = again;
        }
    }
    answers.told.extend(told.into_iter().map(|(_, one)| one));
}

/// One process, as it is asked.
struct Visit {
    until: Instant,
    limit: Duration,
    /// It has not answered in time. It is not asked again: all would wait for the same one.
    hangs: bool,
}

impl Visit {
    fn ask(&mut self, door: &Door, process: bool) -> Result<Told, Option<Silent>> {
        let left = self.until.saturating_duration_since(Instant::now());
        let answer = if self.hangs || left.is_zero() {
            Err(Failure::TimedOut(self.limit))
        } else {
            client::ask(&control::socket(&door.folder), &Command::Status { process }, left)
        };
        self.hangs |= matches!(answer, Err(Failure::TimedOut(_)));
        match answer {
            Ok(Answer::Status(status, entries)) => Ok(Told { status: *status, entries }),
            Ok(_) => Err(Some(door.silent(Health::Unknown, "it answers something else than was asked".to_owned()))),
            Err(failure) => Err(door.why_silent(&failure, self.limit)),
        }
    }
}

impl Door {
    fn silent(&self, health: Health, why: String) -> Silent {
        let held = self.holder.as_ref().filter(|_| self.is_held);
        Silent {
            health,
            pid: held.map(|holder| holder.pid.number()),
            pfile: self.holder.as_ref().map(|holder| holder.pfile.clone()),
            why: match held {
                Some(holder) => format!("process {}: {why}", holder.pid),
                None => format!("{}: {why}", self.folder.display()),
            },
        }
    }

    /// What it means that there is no answer; nothing if it has just ended in good order.
    fn why_silent(&self, failure: &Failure, limit: Duration) -> Option<Silent> {
        Some(match failure {
            Failure::Absent | Failure::Broken(_) => return self.why_gone(),
            Failure::TimedOut(_) => {
                let why = format!("no answer within {} s: is it stopped, or very busy?", limit.as_secs_f32());
                self.silent(Health::Critical, why)
            }
            Failure::Refused(why) if why.contains("does not know the request") => {
                let why = "it is of an older version, which cannot tell how it stands: end it, and start it again";
                self.silent(Health::Unknown, why.to_owned())
            }
            // Told of all together: it is the same for each.
            Failure::Forbidden => Silent { why: failure.to_string(), ..self.silent(Health::Unknown, String::new()) },
            Failure::Refused(_) | Failure::Strange(_) => self.silent(Health::Unknown, failure.to_string()),
        })
    }

    /// Nobody listens, or not any more. Who ends in good order takes the socket away, and lets go of the lock after it.
    fn why_gone(&self) -> Option<Silent> {
        let is_held = rundir::claimed_in(&self.folder).is_some_and(|(_, is_held)| is_held);
        let has_socket = fs::symlink_metadata(control::socket(&self.folder)).is_ok();
        match (is_held, has_socket) {
            (true, _) => {
                let why = format!(
                    "it does not listen at {}: it is just starting or ending, or somebody has taken its socket away",
                    control::socket(&self.folder).display()
                );
                Some(self.silent(Health::Unknown, why))
            }
            (false, true) => {
                let pfile = self.holder.as_ref().map(|holder| format!(" of {}", holder.pfile.display()));
                let why = format!(
                    "the pcheck{} was killed, and nobody has taken its place: start it again, or remove {}",
                    pfile.unwrap_or_default(),
                    self.folder.display()
                );
                Some(Silent { why, ..self.silent(Health::Critical, String::new()) })
            }
            (false, false) => None,
        }
    }
}
