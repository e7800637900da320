//! What was found out, sorted by trouble. `--json` prints it: documented in `docs/json.md`; members are added, never changed.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer};
use watcher_core::health::{Health, Trouble};

use super::{
    ask::{Answers, Silent, Told},
    choice::Choice,
};
use crate::control::{EntryLine, ProcessLine, RefusedLine, StatusLine, UnwatchedLine, WhoLine};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    #[serde(serialize_with = "by_name")]
    pub(super) health: Health,
    code: u8,
    /// As the first line of the text has it.
    pub(super) summary: String,
    pub(super) counts: Counts,
    /// What is wrong, other than with entries.
    pub(super) problems: Vec<Problem>,
    /// Those that watch.
    pub(super) processes: Vec<ProcessLine>,
    pub(super) pfiles: Vec<PfileRow>,
    /// The worst first.
    pub(super) entries: Vec<EntryRow>,
}

/// Entries that were chosen.
#[derive(Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) pfiles: usize,
    pub(super) entries: usize,
    pub(super) ok: usize,
    pub(super) warning: usize,
    pub(super) critical: usize,
    pub(super) unknown: usize,
    /// By the worst trouble of each.
    pub(super) troubles: BTreeMap<&'static str, usize>,
}

/// Something that is wrong with a pfile, or with whoever watches it, or would.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(serialize_with = "by_name")]
    pub(super) health: Health,
    pub(super) pid: Option<u32>,
    pub(super) pfile: Option<String>,
    pub(super) why: String,
}

#[derive(Debug, Serialize)]
pub(super) struct PfileRow {
    #[serde(flatten)]
    pub(super) who: WhoLine,
    refused: Option<RefusedLine>,
    #[serde(serialize_with = "by_name")]
    health: Health,
}

#[derive(Debug, Serialize)]
pub(super) struct EntryRow {
    pub(super) pfile: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pfile_hex: Option<String>,
    #[serde(skip)]
    pub(super) level: Health,
    #[serde(skip)]
    pub(super) troubles: Vec<Trouble>,
    #[serde(flatten)]
    pub(super) entry: EntryLine,
}

fn by_name<S: Serializer>(health: &Health, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(health.name())
}

impl Problem {
    pub(super) const fn new(health: Health, why: String) -> Self {
        Self { health, pid: None, pfile: None, why }
    }
}

impl EntryRow {
    fn of(who: &WhoLine, entry: EntryLine, paused_ok: bool) -> Self {
        let troubles: Vec<_> = entry.troubles.iter().filter_map(|told| Trouble::named(&told.trouble)).collect();
        let is_paused = troubles.contains(&Trouble::Paused);
        let level = match Health::named(&entry.health) {
            Some(_) if is_paused && paused_ok => Health::Ok,
            Some(health) => health,
            // Of a newer version.
            None => Health::Unknown,
        };
        Self { pfile: who.pfile.clone(), pfile_hex: who.pfile_hex.clone(), level, troubles, entry }
    }

    /// Whether there is nothing to tell of it.
    pub(super) fn is_well(&self) -> bool {
        self.level == Health::Ok && self.troubles.is_empty()
    }

    /// The worst first; those that are well as they stand in their files.
    fn rank(&self) -> impl Ord + use<> {
        let trouble = self.troubles.first().copied();
        (Reverse(self.level), trouble.is_none(), trouble, self.pfile.clone(), self.entry.entry)
    }
}

impl Report {
    /// Nothing could be found out.
    pub(super) fn of_problem(problem: Problem) -> Self {
        Self::made(vec![problem], Vec::new(), Vec::new(), Vec::new())
    }

    pub(super) fn of(
        Answers { mut told, silent, daemon }: Answers,
        choice: &Choice<'_>,
        paused_ok: bool,
        run_dir: &Path,
    ) -> Self {
        told.retain(|told| choice.wants_file(Path::new(OsStr::from_bytes(&told.status.who.pfile()))));
        let mut problems: Vec<_> = silent.iter().map(of_silent).collect();
        let known = told.iter().map(|told| told.status.who.pfile());
        let of_silent_ones = silent.iter().filter_map(|silent| silent.pfile.as_ref());
        let known = known.chain(of_silent_ones.map(|pfile| pfile.as_os_str().as_bytes().to_vec()));
        let (watchers, processes) = processes(&told, daemon);
        let unwatched = processes.values().flat_map(|process| process.unwatched.iter().map(UnwatchedLine::pfile));
        let known: Vec<_> = known.chain(unwatched).collect();
        let in_vain = choice.in_vain(&known, told.iter().flat_map(|told| &told.entries));
        if told.is_empty() && silent.is_empty() && choice.files.is_empty() && processes.is_empty() {
            let why = format!("no pcheck runs (looked in {})", run_dir.display());
            return Self::of_problem(Problem::new(Health::Unknown, why));
        }
        problems.extend(in_vain.into_iter().map(|why| Problem::new(Health::Unknown, why)));
        let (mut pfiles, mut entries) = (Vec::new(), Vec::new());
        for Told { status: StatusLine { count: _, who, refused, process: _ }, entries: all } in told {
            let named = all.into_iter().filter(|entry| choice.names(entry));
            let named: Vec<_> = named.map(|entry| EntryRow::of(&who, entry, paused_ok)).collect();
            if named.is_empty() && choice.names_entries() {
                continue;
            }
            problems.extend(refused.iter().map(|refused| of_refused(&who, refused)));
            let of_file = refused.as_ref().map_or(Health::Ok, |_| Health::Warning);
            let health = named.iter().map(|row| row.level).fold(of_file, Health::max);
            pfiles.push(PfileRow { who, refused, health });
            entries.extend(named.into_iter().filter(|row| choice.wants_state(&row.troubles)));
        }
        problems.extend(processes.values().flat_map(|process| of_unwatched(process, choice)));
        // One that watches nothing at all is shown where everything is.
        let is_all = choice.files.is_empty() && !choice.names_entries();
        let is_shown = |process: &ProcessLine| {
            let has_pfile = || pfiles.iter().any(|row| watchers.get(&row.who.pid) == Some(&process.pid));
            (is_all && (process.pfiles == 0 || pfiles.is_empty())) || has_pfile()
        };
        let processes: Vec<_> = processes.into_values().filter(is_shown).collect();
        problems.extend(processes.iter().filter_map(of_tier));
        if pfiles.is_empty() && problems.is_empty() {
            let idle =
                |process: &ProcessLine| format!("process {} (watcher run) watches no pfile at present", process.pid);
            problems.extend(processes.first().map(|process| Problem::new(Health::Unknown, idle(process))));
        }
        Self::made(problems, processes, pfiles, entries)
    }

    fn made(
        mut problems: Vec<Problem>,
        processes: Vec<ProcessLine>,
        mut pfiles: Vec<PfileRow>,
        mut entries: Vec<EntryRow>,
    ) -> Self {
        entries.sort_by_cached_key(EntryRow::rank);
        pfiles.sort_by(|one, other| one.who.pfile.cmp(&other.who.pfile));
        pfiles.sort_by_key(|row| Reverse(row.health));
        problems.sort_by_key(|problem| Reverse(problem.health));
        let counts = Counts::of(pfiles.len(), &entries);
        let of_entries = entries.first().map_or(Health::Ok, |worst| worst.level);
        let health = problems.first().map_or(Health::Ok, |worst| worst.health).max(of_entries);
        let summary = super::text::summary(&counts, &problems);
        Self { schema: 1, health, code: super::code(health), summary, counts, problems, processes, pfiles, entries }
    }
}

impl Counts {
    fn of(pfiles: usize, entries: &[EntryRow]) -> Self {
        let mut counts = Self { pfiles, entries: entries.len(), ..Self::default() };
        for row in entries {
            *match row.level {
                Health::Ok => &mut counts.ok,
                Health::Warning => &mut counts.warning,
                Health::Unknown => &mut counts.unknown,
                Health::Critical => &mut counts.critical,
            } += 1;
            if let Some(worst) = row.troubles.first() {
                *counts.troubles.entry(worst.name()).or_default() += 1;
            }
        }
        counts
    }
}

/// Those that watch, by their pids and starts; and by the pid that is told to end, which process watches: for a pcheck that has
/// joined a daemon it is that.
fn processes(told: &[Told], daemon: Option<ProcessLine>) -> (BTreeMap<u32, u32>, BTreeMap<(u32, u64), ProcessLine>) {
    let of_told = |told: &Told| Some((told.status.who.pid, told.status.process.clone()?));
    let all: Vec<_> = told.iter().filter_map(of_told).collect();
    let watchers = all.iter().map(|(pid, process)| (*pid, process.pid)).collect();
    let all = daemon.into_iter().chain(all.into_iter().map(|(_, process)| process));
    (watchers, all.map(|process| ((process.pid, process.since_unix_time.to_bits()), process)).collect())
}

/// Of one process there may be very many, all silent for the same reason: see `text`, which tells that once.
fn of_silent(Silent { health, pid, pfile, why }: &Silent) -> Problem {
    let pfile = pfile.as_ref().map(|pfile| pfile.display().to_string());
    Problem { health: *health, pid: *pid, pfile, why: why.clone() }
}

fn of_refused(who: &WhoLine, refused: &RefusedLine) -> Problem {
    let why = format!("{}: the last reload was refused, and the old rules are in force: {}", who.pfile, refused.why);
    Problem { pid: Some(who.pid), pfile: Some(who.pfile.clone()), ..Problem::new(Health::Warning, why) }
}

fn of_tier(process: &ProcessLine) -> Option<Problem> {
    let why = format!("process {}: {}", process.pid, process.tier_left.as_ref()?);
    Some(Problem { pid: Some(process.pid), ..Problem::new(Health::Warning, why) })
}

fn of_unwatched<'a>(process: &'a ProcessLine, choice: &'a Choice<'_>) -> impl Iterator<Item = Problem> + 'a {
    // Which entries they have is not known.
    let path = |line: &UnwatchedLine| PathBuf::from(OsString::from_vec(line.pfile()));
    let is_wanted = move |line: &&UnwatchedLine| choice.wants_file(&path(line)) && !choice.names_entries();
    let more = (process.more_unwatched > 0 && choice.files.is_empty() && !choice.names_entries())
        .then(|| format!("process {}: {} more pfiles are not watched", process.pid, process.more_unwatched));
    let more = more.map(|why| Problem { pid: Some(process.pid), ..Problem::new(Health::Warning, why) });
    let each =
        process.unwatched.iter().filter(is_wanted).map(|UnwatchedLine { pfile, pfile_hex: _, retry_over, why }| {
            let (health, what) = match retry_over {
                true => (Health::Critical, "not watched any more"),
                false => (Health::Warning, "not watched"),
            };
            let why = format!("{pfile}: {what} by process {}: {why}", process.pid);
            Problem { health, pid: Some(process.pid), pfile: Some(pfile.clone()), why }
        });
    each.chain(more)
}

/// Each sentence once, in their order, and how often it is there.
pub(super) fn once<'a>(sentences: impl Iterator<Item = (Health, &'a str)>) -> Vec<(Health, &'a str, usize)> {
    let mut all: Vec<(Health, &str, usize)> = Vec::new();
    let mut places = BTreeMap::new();
    for (health, sentence) in sentences {
        let place = *places.entry(sentence).or_insert(all.len());
        match all.get_mut(place) {
            Some((_, _, count)) => *count += 1,
            None => all.push((health, sentence, 1)),
        }
    }
    all
}
