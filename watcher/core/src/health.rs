//! How well things are, as programs are told that watch over monitors; and what is wrong with an entry.

use std::fmt;

use crate::{
    Mono, SocketAlarm,
    fleet::{Doing, EntryView, StallStatus, StallView},
};

/// How well, from the best to the worst. What cannot be found out is worse than what is known to be well, or bearable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// All is well.
    #[default]
    Ok,
    /// Something is not as it should be, and is being taken care of, or was wanted so.
    Warning,
    /// It cannot be found out.
    Unknown,
    /// Somebody has to do something.
    Critical,
}

impl Health {
    /// From the best to the worst.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warning, Self::Unknown, Self::Critical];

    /// As it is written in `--json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Critical => "critical",
        }
    }

    /// By that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|health| health.name() == name)
    }
}

/// What can be wrong with an entry, from the worst to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Its retries are used up, and nobody brings its process back.
    GaveUp,
    /// It hangs, and could not be ended.
    Unstoppable,
    /// It does not answer, and nothing is done, since too many services fail together.
    StallHeld,
    /// Nobody listens on its port any more.
    ListenerGone,
    /// It does not answer, or did not before it was ended for that and has not answered since.
    Stalled,
    /// It is being brought back.
    Restarting,
    /// Its last checks have failed.
    Failing,
    /// What its sockets need runs short.
    Sockets,
    /// It cannot be asked.
    NotAsked,
    /// It is not asked any more, since a stall was found, as the rule wants it.
    CheckEnded,
    /// It is not known yet whether its process is there.
    Looking,
    /// The operator has suspended it.
    Paused,
}

/// Checks that failed in a row before it is worth a word: one may fail for any reason.
const SEVERAL: u32 = 2;

impl Trouble {
    /// From the worst to the least.
    pub const ALL: [Self; 12] = [
        Self::GaveUp,
        Self::Unstoppable,
        Self::StallHeld,
        Self::ListenerGone,
        Self::Stalled,
        Self::Restarting,
        Self::Failing,
        Self::Sockets,
        Self::NotAsked,
        Self::CheckEnded,
        Self::Looking,
        Self::Paused,
    ];

    /// As it is written in `--json`, and asked for.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GaveUp => "gave_up",
            Self::Unstoppable => "unstoppable",
            Self::StallHeld => "stall_held",
            Self::ListenerGone => "listener_gone",
            Self::Stalled => "stalled",
            Self::Restarting => "restarting",
            Self::Failing => "failing",
            Self::Sockets => "sockets",
            Self::NotAsked => "not_asked",
            Self::CheckEnded => "check_ended",
            Self::Looking => "looking",
            Self::Paused => "paused",
        }
    }

    /// By that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trouble| trouble.name() == name)
    }

    /// How bad it is.
    #[must_use]
    pub const fn health(self) -> Health {
        match self {
            Self::GaveUp | Self::Unstoppable | Self::StallHeld | Self::ListenerGone => Health::Critical,
            Self::Stalled
            | Self::Restarting
            | Self::Failing
            | Self::Sockets
            | Self::NotAsked
            | Self::CheckEnded
            | Self::Looking
            | Self::Paused => Health::Warning,
        }
    }
}

/// Everything that is wrong with an entry, the worst first, each as a sentence without a subject. Nothing: it is well.
#[must_use]
pub fn troubles_of(entry: &EntryView, now: Mono) -> Vec<(Trouble, String)> {
    let mut all: Vec<_> = of_process(entry, now).into_iter().collect();
    // Of a process that is not there, or not watched, old news of its service say nothing.
    if entry.doing == Doing::Watching {
        all.extend(entry.stall_checks.iter().flat_map(|check| of_service(check, now)));
    }
    all.sort_by_key(|(trouble, _)| *trouble);
    all
}

fn of_process(entry: &EntryView, now: Mono) -> Option<(Trouble, String)> {
    let doing = match entry.doing {
        Doing::Watching => return None,
        Doing::Paused => return Some((Trouble::Paused, "suspended by the operator".to_owned())),
        Doing::Looking => return Some((Trouble::Looking, "its process is looked for".to_owned())),
        Doing::GaveUp => {
            let why = format!("given up: its retries are used up ({} of {})", entry.retry_count, entry.retries);
            return Some((Trouble::GaveUp, format!("{why}{}", failure(entry))));
        }
        Doing::Dying => "its process is dying".to_owned(),
        Doing::Pacing => match entry.until.map(|until| until.since(now)) {
            Some(left) if left.0 > 0 => format!("the next restart may begin in {left}"),
            Some(_) | None => "it is to be restarted".to_owned(),
        },
        Doing::Stopping => "it is ended, since its group is restarted".to_owned(),
        Doing::Queued => "it waits until fewer scripts run".to_owned(),
        Doing::Restarting => "its script runs".to_owned(),
        Doing::Appearing => "its script has ended, its process is waited for".to_owned(),
    };
    let down = entry.down_since.map_or_else(String::new, |since| format!("down for {}: ", now.since(since)));
    let retry = format!(" (retry {} of {})", entry.retry_count, entry.retries);
    let retry = if entry.retry_count > 0 { retry } else { String::new() };
    Some((Trouble::Restarting, format!("{down}{doing}{retry}{}", failure(entry))))
}

fn failure(entry: &EntryView) -> String {
    entry.script_failed.as_ref().map_or_else(String::new, |failed| format!("; its last script {failed}"))
}

fn of_service(check: &StallView, now: Mono) -> Vec<(Trouble, String)> {
    let StallView { port, status, failures, failing_since, fault, alarms, held, ended, .. } = check;
    let why = |text: &str| match fault {
        Some(fault) => format!("port {port}: the service {fault}{text}"),
        None => format!("port {port}: the service does not answer{text}"),
    };
    let times = || {
        let span = failing_since.map_or_else(String::new, |since| format!(" within {}", now.since(since)));
        if *failures > 0 { format!("; {failures} checks failed{span}") } else { String::new() }
    };
    let mut all = Vec::new();
    match status {
        StallStatus::Unavail if *ended => {
            all.push((Trouble::Unstoppable, format!("port {port}: the process hangs, and could not be ended")));
        }
        StallStatus::Unavail => all.push((Trouble::NotAsked, why("; no stall is looked for meanwhile"))),
        StallStatus::Detect if *held => {
            let held = format!("{}; nothing is done while so many fail together (stall_guard)", times());
            all.push((Trouble::StallHeld, why(&held)));
        }
        StallStatus::Detect if *ended => {
            let text = "no more stalls are looked for since one was found (EXEC error 1); padmin start begins anew";
            all.push((Trouble::CheckEnded, format!("port {port}: {text}")));
        }
        StallStatus::Detect => all.push((Trouble::Stalled, why(&times()))),
        StallStatus::Avail | StallStatus::Init if *failures >= SEVERAL => all.push((Trouble::Failing, why(&times()))),
        StallStatus::Avail | StallStatus::Init | StallStatus::Unknown => {}
    }
    all.extend(alarms.iter().map(|alarm| of_alarm(*alarm, port)));
    all
}

fn of_alarm(alarm: SocketAlarm, port: impl fmt::Display) -> (Trouble, String) {
    let trouble = match alarm {
        SocketAlarm::ListenerGone => Trouble::ListenerGone,
        SocketAlarm::AcceptFull
        | SocketAlarm::AcceptQueue
        | SocketAlarm::CloseWait
        | SocketAlarm::Descriptors
        | SocketAlarm::Drops
        | SocketAlarm::Ephemeral
        | SocketAlarm::Established
        | SocketAlarm::HalfOpen
        | SocketAlarm::Memory => Trouble::Sockets,
    };
    (trouble, format!("port {port}: {}", alarm.title()))
}

#[cfg(test)]
mod tests;
