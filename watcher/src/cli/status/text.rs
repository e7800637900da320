//! The report as text: a line for monitoring systems, then lines for people.

use std::fmt::Write as _;

use watcher_core::{
    Span, Wall,
    health::{Health, Trouble},
};

use super::{
    numbers::{counted, grouped, mebibytes},
    report::{Counts, EntryRow, Problem, Report, once},
};
use crate::{
    cli::output,
    control::{EventsLine, ProcessLine, ProgramsLine, RecoveryLine, ScriptsLine},
    sys::local_time,
};

/// How much is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// Also what is well.
    pub(super) all: bool,
    /// At most so many entries; 0: all.
    pub(super) limit: usize,
}

/// All of it.
pub(super) fn of(report: &Report, Shown { all, limit }: Shown) -> String {
    let Report { health, summary, counts, problems, processes, entries, .. } = report;
    let title = title_of(*health);
    let mut text = String::new();
    line(&mut text, format_args!("WATCHER {title}: {} |{}", tame(summary), Figures(counts, processes)));
    let told = once(problems.iter().map(|problem| (problem.health, problem.why.as_str())));
    // What is all there is to say stands in the first line.
    let is_all = report.pfiles.is_empty() && told.len() == 1;
    for (health, why, times) in told.into_iter().filter(|(_, _, times)| !is_all || *times > 1) {
        let times = if times > 1 { format!(" ({} pfiles)", grouped(times as u64)) } else { String::new() };
        line(&mut text, format_args!("{:<8} {}{times}", title_of(health), tame(why)));
    }
    let shown = entries.iter().filter(|row| all || !row.is_well());
    let most = if limit == 0 { usize::MAX } else { limit };
    let count = shown.clone().count();
    shown.take(most).for_each(|row| entry(&mut text, row));
    if count > most {
        line(&mut text, format_args!("and {} more, see --limit", grouped((count - most) as u64)));
    }
    let well = entries.iter().filter(|row| row.is_well()).count();
    if well > 0 && !all {
        line(&mut text, format_args!("{:<8} {}", title_of(Health::Ok), counted(well, "entry", "entries")));
    }
    processes.iter().for_each(|one| process(&mut text, one));
    text
}

/// What the first line says.
pub(super) fn summary(counts: &Counts, problems: &[Problem]) -> String {
    let mut parts = Vec::new();
    let told = once(problems.iter().map(|problem| (problem.health, problem.why.as_str())));
    if let Some((_, why, _)) = told.first() {
        let more = told.len() - 1;
        parts.push(if more > 0 { format!("{why} (and {more} more)") } else { (*why).to_owned() });
    }
    for trouble in Trouble::ALL {
        if let Some(count) = counts.troubles.get(trouble.name()) {
            parts.push(format!("{} {}", grouped(*count as u64), about(trouble)));
        }
    }
    if counts.unknown > 0 {
        parts.push(format!("{} in a state that this program does not know", grouped(counts.unknown as u64)));
    }
    let Counts { pfiles, entries, .. } = counts;
    let of = format!("{}, {}", counted(*pfiles, "pfile", "pfiles"), counted(*entries, "entry", "entries"));
    match (*pfiles, parts.is_empty()) {
        (0, false) => parts.join("; "),
        (1.., true) if *entries == 0 => format!("no such entry in {}", counted(*pfiles, "pfile", "pfiles")),
        _ if parts.is_empty() => format!("{of}, all well"),
        _ => format!("{}; of {of}", parts.join("; ")),
    }
}

const fn about(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::GaveUp => "given up",
        Trouble::Unstoppable => "that cannot be ended",
        Trouble::StallHeld => "stalled, which is not acted on",
        Trouble::ListenerGone => "without a listener",
        Trouble::Stalled => "stalled",
        Trouble::Restarting => "being restarted",
        Trouble::Failing => "failing checks",
        Trouble::Sockets => "with sockets running short",
        Trouble::NotAsked => "that cannot be asked",
        Trouble::CheckEnded => "not checked any more",
        Trouble::Looking => "being looked for",
        Trouble::Paused => "suspended",
    }
}

fn title_of(health: Health) -> String {
    health.name().to_ascii_uppercase()
}

fn entry(text: &mut String, row: &EntryRow) {
    let EntryRow { pfile, entry, level, .. } = row;
    let pid = entry.pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
    let group = entry.group.as_ref().map_or_else(String::new, |group| format!(", group {group}"));
    let whys: Vec<_> = entry.troubles.iter().map(|told| told.why.as_str()).collect();
    let why = if whys.is_empty() { "well".to_owned() } else { whys.join("; ") };
    let who = format!("{pfile} entry {} ({}{pid}{group}): {why}", entry.entry, entry.process);
    line(text, format_args!("{:<8} {}", title_of(*level), tame(&who)));
}

fn process(text: &mut String, one: &ProcessLine) {
    let ProcessLine {
        pid,
        version,
        since_unix_time,
        tier,
        tier_left: _,
        unwatched: _,
        more_unwatched: _,
        pfiles,
        entries,
        watched,
        cost,
        events,
        kernel_programs,
        down,
        scripts,
        recovery,
    } = one;
    let since = local_time::ctime(Wall { unix_ns: (since_unix_time.max(0.0) * 1e9) as u64 });
    let (tier, version) = (tame(tier), tame(version));
    let what = format!(
        "{}, {}, {}",
        counted(*pfiles, "pfile", "pfiles"),
        counted(*entries, "entry", "entries"),
        counted(*watched, "process", "processes")
    );
    line(text, format_args!("process {pid} (tier {tier}, version {version}, since {since}): {what}"));
    let cpu = seconds(cost.cpu_user_s + cost.cpu_system_s);
    let parts = format!("{} user, {} system", seconds(cost.cpu_user_s), seconds(cost.cpu_system_s));
    let memory = cost.rss_bytes.map_or_else(|| "not known".to_owned(), mebibytes);
    let wakes = grouped(cost.wake_ups);
    line(text, format_args!("    cost: {cpu} of processor time ({parts}), {memory} of memory (RSS), {wakes} wake-ups"));
    let [deaths, ends, starts, sockets] = [events.deaths, events.ends, events.starts, events.sockets].map(grouped);
    let lost = match (events.lost, events.lost_sockets) {
        (0, 0) => "none lost".to_owned(),
        (lost, of_sockets) => format!("lost: {}, and {} of sockets", grouped(lost), grouped(of_sockets)),
    };
    line(text, format_args!("    told: {deaths} deaths, {ends} ends, {starts} starts, {sockets} of sockets; {lost}"));
    if let Some(programs) = kernel_programs {
        line(text, format_args!("    kernel programs: {}", of_programs(programs)));
    }
    line(text, format_args!("    restarts: {} down; {}", grouped(*down as u64), of_scripts(scripts)));
    if let Some(recovery) = recovery {
        line(text, format_args!("    {}", of_recovery(recovery)));
    }
}

fn of_programs(ProgramsLine { counted, runs, time_s, .. }: &ProgramsLine) -> String {
    let ran = format!("{} runs, {}", grouped(*runs), seconds(*time_s));
    match (counted, runs) {
        (true, _) => ran,
        (false, 0) => "not counted (sysctl kernel.bpf_stats_enabled is 0)".to_owned(),
        (false, 1..) => format!("{ran} while they were counted; now they are not"),
    }
}

fn of_scripts(ScriptsLine { limit, counted, running, waiting, longest_wait_s }: &ScriptsLine) -> String {
    let long = running.saturating_sub(*counted);
    let long = if long > 0 { format!(", {long} of them for long") } else { String::new() };
    let wait = longest_wait_s.map_or_else(String::new, |wait| format!(", the first for {}", seconds(wait)));
    let runs =
        if *running == 1 { "1 script runs".to_owned() } else { format!("{} scripts run", grouped(*running as u64)) };
    let waits = if *waiting == 1 { "1 waits".to_owned() } else { format!("{} wait", grouped(*waiting as u64)) };
    format!("{runs}{long} (limit {}), {waits}{wait}", grouped(*limit as u64))
}

fn of_recovery(recovery: &RecoveryLine) -> String {
    let RecoveryLine { over, began_s, took_s, fallen, back, gave_up, aside, pending, left_s } = recovery;
    let number = |number: &usize| grouped(*number as u64);
    let mut text = format!("{} of {} back", number(back), number(fallen));
    for (count, what) in [(gave_up, "given up"), (aside, "suspended or removed")] {
        if *count > 0 {
            // Writing to a string cannot fail.
            let _written = write!(text, ", {} {what}", number(count));
        }
    }
    if *over {
        let ago = seconds((began_s - took_s).max(0.0));
        return format!("last recovery: {text} within {}, {ago} ago", seconds(*took_s));
    }
    let left = left_s.map_or_else(String::new, |left| format!("; at this rate {} more", seconds(left)));
    format!("recovery: {text} after {}, {} to come{left}", seconds(*took_s), number(pending))
}

fn seconds(seconds: f64) -> String {
    Span((seconds.max(0.0) * 1e9) as u64).to_string()
}

/// What programs draw diagrams of, in the form of plugins.
struct Figures<'a>(&'a Counts, &'a [ProcessLine]);

impl std::fmt::Display for Figures<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(Counts { pfiles, entries, ok, warning, critical, unknown, troubles: _ }, processes) = self;
        write!(
            f,
            " pfiles={pfiles} entries={entries} ok={ok} warning={warning} critical={critical} unknown={unknown}"
        )?;
        if processes.is_empty() {
            return Ok(());
        }
        let sum = |of: &dyn Fn(&ProcessLine) -> u64| total(processes.iter().map(of));
        let cpu: f64 = processes.iter().map(|one| one.cost.cpu_user_s + one.cost.cpu_system_s).sum();
        write!(f, " down={}", sum(&|one| one.down as u64))?;
        write!(f, " scripts_running={}", sum(&|one| one.scripts.running as u64))?;
        write!(f, " scripts_waiting={}", sum(&|one| one.scripts.waiting as u64))?;
        write!(f, " cpu_ms={:.0}c rss={}B", cpu * 1e3, sum(&|one| one.cost.rss_bytes.unwrap_or(0)))?;
        write!(f, " wake_ups={}c", sum(&|one| one.cost.wake_ups))?;
        let told =
            |EventsLine { deaths, ends, starts, sockets, .. }: &EventsLine| total([*deaths, *ends, *starts, *sockets]);
        write!(f, " events={}c", sum(&|one| told(&one.events)))?;
        write!(f, " lost={}c", sum(&|one| total([one.events.lost, one.events.lost_sockets])))
    }
}

/// Whoever answers may say anything.
fn total(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::saturating_add)
}

/// As it may be shown: whatever stands behind a `|` is read as numbers by monitoring systems.
fn tame(text: &str) -> String {
    output::harmless(text).replace('|', "\\x7c")
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = writeln!(text, "{words}");
}
