//! One entry: what it wants, and what is known of its process.

use std::sync::Arc;

use super::{
    EntryView, ProcStatus, UnitId, budget::Budget, looks::Listing, runs::Wanted, sockets::Sockets, stall::Stalls,
    standing::Standing, view::Doing,
};
use crate::{
    Ending, EntryId, ExitNotice, Mono, Pid, ProcId, RarelySaved, Reason, RunEnd, SavedEntry, Span, Subject, Wall,
    pfile::{self, AbsolutePath, Bytes, Entry, EntryNumber, EntryOption, Seconds, Strings},
};

/// An entry that is watched.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: EntryId,
    pub(super) number: EntryNumber,
    pub(super) entry: Entry,
    /// Which of several entries with the same text it is.
    pub(super) occurrence: u32,
    /// Values set by the operator.
    pub(super) set_retries: Option<u32>,
    pub(super) set_grace: Option<Seconds>,
    pub(super) presence: Presence,
    /// The process that is watched, or was last.
    pub(super) last: Option<ProcId>,
    /// When that one died, if it did.
    pub(super) died_at: Option<Mono>,
    /// Suspended, and what is shown meanwhile.
    pub(super) paused: Option<ProcStatus>,
    pub(super) restart_count: u32,
    pub(super) rerun: Option<Wall>,
    /// That the process which was watched last is there was told by this watch.
    pub(super) was_up: bool,
    /// When a process of this entry was found last, after it was not there.
    pub(super) found_at: Option<Mono>,
    /// The number of processes was wrong at the last look.
    pub(super) miscounted: bool,
    /// When the processes are to be counted next.
    pub(super) count_at: Option<Mono>,
    /// Its script that an earlier pcheck has left running, and since when.
    pub(super) left_running: Option<Box<(ProcId, Mono)>>,
    /// By what is known that the process has ended which may have left another one behind, where the kernel told.
    pub(super) notice: Option<Box<ExitNotice>>,
    /// Its service, if that is asked.
    pub(super) service: Option<Box<Service>>,
    /// How it stands, as was told last.
    pub(super) standing: Standing,
    /// Since when its process is not there, or it was given up without one.
    pub(super) down_since: Option<Mono>,
    /// How its script ended, where that was a failure and its process is not back.
    pub(super) script_failed: Option<Box<RunEnd>>,
    /// What it knew was taken over by an entry of newer rules.
    pub(super) carried: bool,
    /// What was saved last.
    pub(super) saved: Option<Arc<SavedEntry>>,
}

/// The service of an entry that has stall checks.
#[derive(Debug)]
pub(super) struct Service {
    /// Whether it answers.
    pub(super) stalls: Stalls,
    /// Whether its sockets run out.
    pub(super) sockets: Sockets,
}

/// What is known of an entry's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is not there, and that was told.
    Absent,
    /// It is dying, and that was told: memory, files and sockets are still held.
    Dying { proc: ProcId, since: Mono, ending: Ending },
    /// It has ended by itself soon after it was found, as programs do that go to the background: whether it has left
    /// another one behind tells the next look.
    Leaving(Leaving),
    /// Nobody knows.
    Unknown,
    /// It is there.
    Up(ProcId),
}

/// A process that has ended, but may have left another one behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaving {
    pub(super) proc: ProcId,
    /// When it died.
    pub(super) since: Mono,
    pub(super) ending: Ending,
    pub(super) reason: Reason,
    /// What it held is free.
    pub(super) gone: bool,
}

/// What tells whose process an entry means: as long as this is the same, the process may stay the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target(AbsolutePath, Option<Strings>, Option<Strings>);

/// How many processes an entry wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) min: u32,
    pub(super) max: Option<u32>,
}

impl Member {
    pub(super) fn new((id, order): (EntryId, u64), number: EntryNumber, entry: Entry, occurrence: u32) -> Self {
        let service = || Box::new(Service { stalls: Stalls::new(order, &entry), sockets: Sockets::new(&entry) });
        Self {
            id,
            number,
            service: (!entry.stall_checks.is_empty()).then(service),
            notice: None,
            entry,
            occurrence,
            set_retries: None,
            set_grace: None,
            presence: Presence::Unknown,
            last: None,
            died_at: None,
            paused: None,
            restart_count: 0,
            rerun: None,
            was_up: false,
            found_at: None,
            miscounted: false,
            count_at: None,
            left_running: None,
            standing: Standing::default(),
            down_since: None,
            script_failed: None,
            carried: false,
            saved: None,
        }
    }

    pub(super) fn subject(&self) -> Subject {
        Subject { id: self.id, number: self.number, process: self.entry.process.value.clone() }
    }

    /// Whether its service answers, if it is asked.
    pub(super) fn stalls(&mut self) -> Option<&mut Stalls> {
        self.service.as_mut().map(|service| &mut service.stalls)
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        self.last.map(|proc| proc.pid)
    }

    pub(super) const fn is_watched(&self) -> bool {
        self.paused.is_none()
    }

    /// The process that is asked, if one is.
    pub(super) fn asked(&self, gave_up: bool) -> Option<ProcId> {
        match self.presence {
            Presence::Up(proc) if self.is_watched() && !gave_up => Some(proc),
            Presence::Absent | Presence::Dying { .. } | Presence::Leaving(_) | Presence::Unknown | Presence::Up(_) => {
                None
            }
        }
    }

    pub(super) fn retries(&self) -> u32 {
        self.set_retries.unwrap_or(self.entry.retries.value)
    }

    pub(super) fn grace(&self) -> Seconds {
        self.set_grace.unwrap_or(self.entry.grace.value)
    }

    /// By what starts of its process are told: the name that the kernel gives it.
    pub(super) fn program(&self) -> Bytes {
        self.entry.process.value.file_name().into()
    }

    /// How many processes are wanted, where the entry says so. One, if it says only how many there may be.
    pub(super) fn bounds(&self) -> Option<Bounds> {
        let (mut min, mut max) = (None, None);
        for option in &self.entry.options {
            match option.value {
                EntryOption::MinProcCount(count) => min = Some(count),
                EntryOption::MaxProcCount(count) => max = Some(count),
                EntryOption::ClearCmd(_)
                | EntryOption::ExcludeStrings(_)
                | EntryOption::GroupTag { .. }
                | EntryOption::IncludeStrings(_)
                | EntryOption::RestartWaitTime(_)
                | EntryOption::Unknown(_) => {}
            }
        }
        (min.is_some() || max.is_some()).then(|| Bounds { min: min.unwrap_or(1), max })
    }

    /// The process that the entry means, among all there are.
    pub(super) fn find(&self, listing: &Listing<'_>, leftovers: Leftovers) -> Option<ProcId> {
        let fits = |process: &&pfile::select::Process| {
            let is_new = self.died_at.is_none_or(|died| listing.began_after(process.proc.start, died));
            // Of one that died while nobody watched it is not known when. Who is of its group was there before.
            let is_left = !self.was_up
                && self.last.is_some_and(|last| process.group == Some(last.pid) && process.proc.pid != last.pid);
            !process.watcher && ((is_new && !is_left) || leftovers == Leftovers::Count)
        };
        let found: Vec<_> = listing.processes.matching(&self.entry).collect();
        // As long as it lives itself, nothing is left over of it.
        let known = self.last.filter(|last| self.died_at.is_none() && found.iter().any(|found| found.proc == *last));
        let found: Vec<_> = found.into_iter().filter(fits).collect();
        known.or_else(|| Some(pfile::select::Processes::chosen(&found)?.proc))
    }

    /// The process that a departed one has left behind: one that is no older than it.
    pub(super) fn find_heir(&self, listing: &Listing<'_>, departed: ProcId) -> Option<ProcId> {
        let fits = |process: &&pfile::select::Process| {
            !process.watcher && process.proc != departed && process.proc.start >= departed.start
        };
        let found: Vec<_> = listing.processes.matching(&self.entry).filter(fits).collect();
        Some(pfile::select::Processes::chosen(&found)?.proc)
    }

    /// Whether an end of this kind, now, may be that of a program that goes to the background. Later, or otherwise, it is a
    /// death; so it is where nobody could tell how it ended, or the workers of a killed server would count as such.
    pub(super) fn may_leave_another(&self, ending: Ending, now: Mono, interval: Span) -> bool {
        let by_itself = ending == Ending::Exited { code: 0 };
        by_itself && self.found_at.is_some_and(|found| now.since(found).0 <= interval.0.saturating_mul(2))
    }

    /// How many processes match.
    pub(super) fn count(&self, listing: &Listing<'_>) -> u32 {
        let found = listing.processes.matching(&self.entry).filter(|process| !process.watcher).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    }

    pub(super) fn status(&self, gave_up: bool) -> ProcStatus {
        match (self.paused, self.presence) {
            (Some(shown), _) => shown,
            (None, _) if gave_up => ProcStatus::Unavail,
            (None, Presence::Leaving(_) | Presence::Up(_)) => ProcStatus::Avail,
            (None, Presence::Unknown) => ProcStatus::Init,
            (None, Presence::Absent | Presence::Dying { .. }) => ProcStatus::Restart,
        }
    }

    pub(super) fn view(&self, budget: &Budget, gave_up: bool, doing: Doing, until: Option<Mono>) -> EntryView {
        let views = |service: &Service| service.stalls.views(self.paused.is_some(), &service.sockets);
        EntryView {
            id: self.id,
            number: self.number,
            process: self.entry.process.value.clone(),
            script: self.entry.script.value.clone(),
            pid: self.pid(),
            retry_count: budget.count,
            retries: self.retries(),
            grace: self.grace().0,
            restart_count: self.restart_count,
            status: self.status(gave_up),
            doing,
            until,
            stall_checks: self.service.as_deref().map(views).unwrap_or_default(),
            retry_over: self.entry.retry_over.value.written().to_string(),
            down_since: self.down_since,
            script_failed: self.script_failed.as_ref().map(ToString::to_string),
            rerun: self.rerun,
            include_strings: self.entry.include_strings().cloned(),
            monitored: self.is_watched() && !gave_up,
            group: self.entry.group().map(ToString::to_string),
        }
    }

    /// Its text, out of what was saved last: printing it takes longer than all else that is done for most events.
    fn text(&self) -> Bytes {
        self.saved.as_ref().map_or_else(|| pfile::print_entry(&self.entry), |saved| saved.text.clone())
    }

    /// What must survive.
    pub(super) fn to_save(&self, budget: &Budget, gave_up: bool, script: Option<(ProcId, Mono)>) -> SavedEntry {
        let rare = RarelySaved {
            died_at: self.died_at,
            window_opened: budget.opened,
            last_restart: budget.last,
            rerun: self.rerun,
            set_retries: self.set_retries,
            set_grace: self.set_grace.map(|grace| grace.0),
            script,
            stalls: self.service.as_ref().map(|service| service.stalls.saved()).unwrap_or_default(),
        };
        SavedEntry {
            text: self.text(),
            occurrence: self.occurrence,
            proc: self.last,
            retry_count: budget.count,
            restart_count: self.restart_count,
            paused: self.paused.is_some(),
            gave_up,
            rare: rare.into(),
        }
    }

    /// Takes over what an entry of older rules knew.
    pub(super) fn inherit(&mut self, old: &mut Self) {
        old.carried = true;
        self.id = old.id;
        (self.presence, self.was_up) = match old.presence {
            Presence::Up(proc) => (Presence::Up(proc), old.was_up),
            // What it holds is waited for as before.
            Presence::Dying { .. } => (old.presence, false),
            Presence::Absent | Presence::Leaving(_) | Presence::Unknown => (Presence::Unknown, false),
        };
        (self.last, self.died_at, self.paused) = (old.last, old.died_at, old.paused);
        (self.restart_count, self.rerun) = (old.restart_count, old.rerun);
        (self.standing, self.down_since) = (old.standing, old.down_since);
    }

    /// Takes over what was saved.
    pub(super) fn recall(&mut self, saved: &SavedEntry) {
        let rare = &saved.rare;
        self.last = saved.proc;
        self.died_at = rare.died_at;
        self.restart_count = saved.restart_count;
        self.rerun = rare.rerun;
        self.set_retries = rare.set_retries;
        self.set_grace = rare.set_grace.map(Seconds);
        self.left_running = rare.script.map(Box::new);
        if let Some(stalls) = self.stalls() {
            stalls.recall(&rare.stalls);
        }
        self.paused = saved.paused.then_some(ProcStatus::Init);
    }

    /// Time limit of its script.
    fn script_limit(&self) -> Span {
        const DEFAULT: Seconds = Seconds(300);
        Span::of_seconds(self.entry.script_timeout().unwrap_or(DEFAULT).0)
    }

    /// A run of a script of this entry.
    pub(super) fn wanted(&self, unit: UnitId, script: AbsolutePath) -> Wanted {
        Wanted { unit, subject: self.subject(), target: self.target(), script, limit: self.script_limit() }
    }

    pub(super) fn target(&self) -> Target {
        let strings = (self.entry.include_strings().cloned(), self.entry.exclude_strings().cloned());
        Target(self.entry.process.value.clone(), strings.0, strings.1)
    }
}

/// Whether processes that are older than the death count: what the dead one has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leftovers {
    /// They do: nothing newer has come.
    Count,
    /// They do not.
    DoNotCount,
}
