//! The page of figures. Names and labels are never changed: operators have rules and pictures that rest on them
//! (`docs/metrics.md`).

use watcher_core::{
    Reason, Seen, SocketAlarm, Tier,
    fleet::{Doing, EntryView, StallStatus, StallView},
    health::{Health, troubles_of},
    tally::{Fate, Tally},
};

use super::{
    Metrics, PfileMetrics,
    text::{Kind, Labels, Text, shown},
};
use crate::control::{Process, view::unix_seconds};

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Writes the page.
pub(super) fn write<S: FnMut(String)>(metrics: &Metrics, text: &mut Text<S>) {
    let Metrics { now: _, process, tally, pfiles } = metrics;
    of_process(process, text);
    of_cost(process, text);
    of_events(&process.seen, tally, text);
    of_pfiles(pfiles, text);
    of_entries(metrics, text);
    of_checks(pfiles, text);
}

fn of_process<S: FnMut(String)>(process: &Process, text: &mut Text<S>) {
    text.family("watcher_build_info", Kind::Gauge, "Always 1; the label tells the version.");
    text.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.family("watcher_start_time_seconds", Kind::Gauge, "When this process began to watch, in seconds since 1970.");
    text.sample(&[], unix_seconds(process.began));
    text.family("watcher_tier", Kind::Gauge, "1 for the tier by which deaths are learned of, 0 for the others.");
    for tier in Tier::ALL {
        text.sample(&[("tier", tier.name())], u8::from(tier == process.tier));
    }
    text.family("watcher_tier_left", Kind::Gauge, "1 after a better tier has failed while this process ran.");
    text.sample(&[], u8::from(process.tier_left.is_some()));
    text.family("watcher_pfiles", Kind::Gauge, "Rule files that are watched.");
    text.sample(&[], process.pfiles);
    let unwatched = process.unwatched.some.len() + process.unwatched.more;
    text.family("watcher_pfiles_not_watched", Kind::Gauge, "Rule files that should be watched, and are not.");
    text.sample(&[], unwatched);
    text.family("watcher_processes_watched", Kind::Gauge, "Processes that are watched.");
    text.sample(&[], process.watched);
    text.family("watcher_entries_down", Kind::Gauge, "Entries whose process is down, and is to come back.");
    text.sample(&[], process.down);
    text.family("watcher_scripts_running", Kind::Gauge, "Restart scripts that run.");
    text.sample(&[], process.scripts.running);
    text.family("watcher_scripts_waiting", Kind::Gauge, "Restart scripts that wait until fewer run.");
    text.sample(&[], process.scripts.waiting);
}

fn of_cost<S: FnMut(String)>(process: &Process, text: &mut Text<S>) {
    let cost = process.cost;
    text.family("watcher_cpu_seconds", Kind::Counter, "Processor time of this process.");
    text.sample(&[("mode", "user")], cost.user.seconds());
    text.sample(&[("mode", "system")], cost.system.seconds());
    text.family("watcher_wakeups", Kind::Counter, "How often this process was woken.");
    text.sample(&[], cost.wake_ups);
    if let Some(rss) = cost.rss {
        text.family("watcher_resident_memory_bytes", Kind::Gauge, "Memory of this process.");
        text.sample(&[], rss);
    }
    let Some(programs) = process.programs.as_ref().filter(|programs| programs.counted) else { return };
    let help = "Runs of a program in the kernel, while kernel.bpf_stats_enabled is 1.";
    text.family("watcher_kernel_program_runs", Kind::Counter, help);
    for (name, runs) in &programs.runs {
        text.sample(&[("program", name)], runs.count);
    }
    text.family("watcher_kernel_program_seconds", Kind::Counter, "How long they took.");
    for (name, runs) in &programs.runs {
        text.sample(&[("program", name)], runs.time_ns as f64 / 1e9);
    }
}

fn of_events<S: FnMut(String)>(seen: &Seen, tally: &Tally, text: &mut Text<S>) {
    let Seen { deaths, ends, starts, sockets, lost, lost_sockets } = *seen;
    text.family("watcher_events", Kind::Counter, "What this process was told, by kind.");
    for (kind, count) in [("death", deaths), ("end", ends), ("start", starts), ("socket", sockets)] {
        text.sample(&[("kind", kind)], count);
    }
    text.family("watcher_events_lost", Kind::Counter, "What the kernel could not deliver; all were looked at then.");
    for (kind, count) in [("process", lost), ("socket", lost_sockets)] {
        text.sample(&[("kind", kind)], count);
    }
    text.family("watcher_deaths", Kind::Counter, "Deaths of watched processes, by cause.");
    for fate in Fate::ALL {
        text.sample(&[("cause", fate.name())], tally.deaths(fate));
    }
    let help = "From the kernel's time stamp on a death to knowing it here.";
    text.family("watcher_detection_latency_seconds", Kind::Histogram, help);
    for (most, count) in tally.detection.up_to() {
        text.sample_of("_bucket", &[("le", &most.seconds().to_string())], count);
    }
    text.sample_of("_bucket", &[("le", "+Inf")], tally.detection.all());
    text.sample_of("_sum", &[], tally.detection.sum().seconds());
    text.sample_of("_count", &[], tally.detection.all());
    text.family("watcher_restarts", Kind::Counter, "Restart scripts that were asked for, by why.");
    for reason in Reason::ALL {
        text.sample(&[("reason", reason.name())], tally.restarts(reason));
    }
    text.family("watcher_retry_overs", Kind::Counter, "How often the retries of an entry were used up.");
    text.sample(&[], tally.gave_up);
    text.family("watcher_stalls", Kind::Counter, "Services that did not answer for so long that they were ended.");
    text.sample(&[], tally.stalls);
    text.family("watcher_socket_alarms", Kind::Counter, "What was told of sockets of watched ports.");
    for alarm in SocketAlarm::ALL {
        text.sample(&[("alarm", alarm.name())], tally.alarms(alarm));
    }
}

fn of_pfiles<S: FnMut(String)>(pfiles: &[PfileMetrics], text: &mut Text<S>) {
    text.family("watcher_pfile_entries", Kind::Gauge, "Entries of a rule file.");
    for PfileMetrics { pfile, entries, .. } in pfiles {
        text.sample(&[("pfile", &shown(pfile.as_slice()))], entries.len());
    }
    let help = "1: the file has changed, has a mistake, and its old rules are in force.";
    text.family("watcher_pfile_refused", Kind::Gauge, help);
    for PfileMetrics { pfile, refused, .. } in pfiles {
        text.sample(&[("pfile", &shown(pfile.as_slice()))], u8::from(*refused));
    }
}

/// Tells what names an entry to whoever is given.
fn each_entry(pfiles: &[PfileMetrics], mut what: impl FnMut(&EntryView, Labels<'_>)) {
    for PfileMetrics { pfile, entries, .. } in pfiles {
        let pfile = shown(pfile.as_slice());
        for view in entries {
            let process = shown(view.process.as_slice());
            let entry = view.number.to_string();
            let group = view.group.as_deref().map(|group| ("group", group));
            let labels = [("pfile", &*pfile), ("entry", &*entry), ("process", &*process)];
            let labels: Vec<_> = labels.into_iter().chain(group).collect();
            what(view, &labels);
        }
    }
}

fn of_entries<S: FnMut(String)>(metrics: &Metrics, text: &mut Text<S>) {
    let Metrics { now, pfiles, .. } = metrics;
    let mut by_health = [0_usize; Health::ALL.len()];
    text.family("watcher_entry_up", Kind::Gauge, "1 while the process of an entry is there and is watched.");
    each_entry(pfiles, |view, labels| text.sample(labels, u8::from(view.doing == Doing::Watching)));
    text.family("watcher_entry_state", Kind::Gauge, "Always 1; the label tells what an entry is about.");
    each_entry(pfiles, |view, labels| text.sample(&with(labels, ("state", view.doing.name())), 1));
    text.family("watcher_entry_restarts", Kind::Counter, "Restarts of an entry since the watch began.");
    each_entry(pfiles, |view, labels| text.sample(labels, view.restart_count));
    text.family("watcher_entry_retries", Kind::Gauge, "Restarts of an entry that count towards its retries.");
    each_entry(pfiles, |view, labels| text.sample(labels, view.retry_count));
    text.family("watcher_entry_retries_limit", Kind::Gauge, "How many retries an entry has.");
    each_entry(pfiles, |view, labels| text.sample(labels, view.retries));
    text.family("watcher_entry_trouble", Kind::Gauge, "1 for each thing that is wrong with an entry.");
    each_entry(pfiles, |view, labels| {
        let mut troubles: Vec<_> = troubles_of(view, *now).into_iter().map(|(trouble, _)| trouble).collect();
        let health = troubles.first().map_or(Health::Ok, |worst| worst.health());
        by_health.iter_mut().zip(Health::ALL).filter(|(_, each)| *each == health).for_each(|(count, _)| *count += 1);
        // Two ports may have the same.
        troubles.dedup();
        for trouble in troubles {
            let more = [("trouble", trouble.name()), ("severity", trouble.health().name())];
            text.sample(&[labels, &more].concat(), 1);
        }
    });
    text.family("watcher_entries", Kind::Gauge, "Entries by how well they are.");
    for (health, count) in Health::ALL.into_iter().zip(by_health).filter(|(health, _)| *health != Health::Unknown) {
        text.sample(&[("health", health.name())], count);
    }
}

/// Tells what names a stall check to whoever is given.
fn each_check(pfiles: &[PfileMetrics], mut what: impl FnMut(&StallView, Labels<'_>)) {
    each_entry(pfiles, |entry, labels| {
        let name = |check: &StallView| (check.kind.short(), check.port.number());
        for (at, check) in entry.stall_checks.iter().enumerate() {
            let (kind, port) = name(check);
            // A port may be asked in one way for two things.
            let before = entry.stall_checks.iter().take(at).filter(|other| name(other) == name(check)).count();
            let kind = if before == 0 { kind.to_owned() } else { format!("{kind}-{}", before + 1) };
            what(check, &[labels, &[("check", &*kind), ("port", &*port.to_string())]].concat());
        }
    });
}

fn of_checks<S: FnMut(String)>(pfiles: &[PfileMetrics], text: &mut Text<S>) {
    text.family("watcher_check_up", Kind::Gauge, "1 while a service answers.");
    each_check(pfiles, |check, labels| text.sample(labels, u8::from(check.status == StallStatus::Avail)));
    text.family("watcher_check_failures", Kind::Gauge, "Checks of a service that have failed in a row.");
    each_check(pfiles, |check, labels| text.sample(labels, check.failures));
    text.family("watcher_check_duration_seconds", Kind::Gauge, "How long the last check of a service took.");
    each_check(pfiles, |check, labels| {
        if let Some(took) = check.took {
            text.sample(labels, took.seconds());
        }
    });
    let help = "For how long the certificate of a service was valid yet, when a check last succeeded; in whole days.";
    text.family("watcher_certificate_left_seconds", Kind::Gauge, help);
    each_check(pfiles, |check, labels| {
        if let Some(days) = check.certificate_days {
            text.sample(labels, days.saturating_mul(DAY));
        }
    });
    text.family("watcher_socket_alarm", Kind::Gauge, "1 for each thing that is wrong with the sockets of a service.");
    each_check(pfiles, |check, labels| {
        for alarm in &check.alarms {
            text.sample(&with(labels, ("alarm", alarm.name())), 1);
        }
    });
}

fn with<'a>(labels: Labels<'a>, one: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    labels.iter().copied().chain([one]).collect()
}
