//! `watcher watch`: from numbers to a vigil, and from deaths to lines.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    process::ExitCode,
};

use serde::Serialize;
use watcher_core::{Choice, Death, Ending, PassedOver, Pid, ProcId, Span, Tier, Vigil};

use super::{args, exit, output};
use crate::{
    engine::{Engine, Outcome, Pace, Told},
    executor::inspect::{NotWatchable, identify},
    sources::os_signals::OsSignals,
    start,
    sys::{clock, proc::Facts},
};

/// Runs the command.
pub(super) fn run(arguments: &args::Watch) -> ExitCode {
    if let Err(reason) = start::proc_works() {
        return exit::trouble(&reason);
    }
    let found = match numbers(&arguments.pids).and_then(|pids| find(&pids, arguments.ignore_missing)) {
        Ok(found) => found,
        Err(Refused { code, sentences }) => {
            sentences.iter().for_each(|sentence| output::say(sentence));
            return ExitCode::from(code);
        }
    };
    if found.is_empty() {
        if !arguments.quiet {
            output::say("nothing to watch: none of the processes is there");
        }
        return ExitCode::from(exit::DONE);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(watch(arguments, &found))) {
        Ok(code) => code,
        // Whoever read the lines has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::stopped(exit::BROKEN_PIPE),
        Err(error) => exit::trouble(&error.to_string()),
    }
}

type Found = BTreeMap<ProcId, Facts>;

async fn watch(arguments: &args::Watch, found: &Found) -> io::Result<ExitCode> {
    // Before anything is started: from here on Ctrl-C is an event.
    let signals = OsSignals::listen()?;
    let Choice { tier, started, passed_over } = match start::tier(arguments.tier.wanted(), found.len()) {
        Ok(choice) => choice,
        Err(tried) => return Ok(no_tier(arguments.tier.wanted(), &tried)),
    };
    start::privileges::keep_for_watching(&started.watch);
    let pace = Pace { looks: arguments.interval, sweeps: arguments.sweep };
    let engine = Engine::begin(Vigil::new(found.keys().copied()), started, signals, pace);
    if !arguments.quiet {
        tell_passed_over(&passed_over);
        output::say(&format!("watching {} by tier {tier}", processes(found.len())));
    }
    let tell = |told: Told<'_>| match told {
        Told::Death(death, tier) => report(death, found, tier, arguments.json),
        Told::TierLeft(left) => {
            output::say(&left.to_string());
            Ok(())
        }
        Told::Complaint(complaint) => {
            output::say(complaint);
            Ok(())
        }
    };
    let outcome = engine.run(tell).await?;
    Ok(match outcome {
        Outcome::AllGone => ExitCode::from(exit::DONE),
        Outcome::Stopped { signal, alive } => {
            if !arguments.quiet {
                output::say(&format!("stopped by {signal}; {} not gone yet", processes(alive)));
            }
            exit::stopped(signal)
        }
    })
}

fn no_tier(wanted: Option<Tier>, tried: &[PassedOver]) -> ExitCode {
    match (wanted, tried) {
        (Some(_), [PassedOver { tier, reason }]) => exit::trouble(&format!(
            "tier {tier} was asked for and does not work here: {reason}; --tier auto takes the best that does"
        )),
        (Some(_) | None, tried) => {
            tell_passed_over(tried);
            exit::trouble("no way to learn of deaths works here; `watcher doctor` shows more")
        }
    }
}

fn tell_passed_over(tiers: &[PassedOver]) {
    for PassedOver { tier, reason } in tiers {
        output::say(&format!("tier {tier} passed over: {reason}"));
    }
}

fn processes(count: usize) -> String {
    if count == 1 { "1 process".to_owned() } else { format!("{count} processes") }
}

/// Why nothing is watched.
struct Refused {
    code: u8,
    sentences: Vec<String>,
}

impl Refused {
    fn usage(sentence: String) -> Self {
        Self { code: exit::USAGE, sentences: vec![sentence] }
    }
}

fn numbers(words: &[String]) -> Result<Vec<Pid>, Refused> {
    let mut pids = Vec::new();
    for word in words {
        if word == "-" {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text);
            read.map_err(|error| Refused::usage(format!("standard input cannot be read: {error}")))?;
            if text.trim().is_empty() {
                return Err(Refused::usage("no process number came on standard input".to_owned()));
            }
            for word in text.split_whitespace() {
                pids.push(number(word)?);
            }
        } else {
            pids.push(number(word)?);
        }
    }
    Ok(pids)
}

fn number(word: &str) -> Result<Pid, Refused> {
    let number = word.parse().ok().and_then(Pid::new);
    number.ok_or_else(|| Refused::usage(format!("{word:?} is not a process number; see `watcher watch --help`")))
}

/// All or nothing, unless missing ones may be ignored: a vigil that silently lacks one would end too early.
fn find(pids: &[Pid], ignore_missing: bool) -> Result<Found, Refused> {
    let mut found = Found::new();
    let mut sentences = Vec::new();
    for &pid in pids {
        match identify(pid) {
            Ok(facts) => {
                found.insert(facts.proc, facts);
            }
            Err(NotWatchable::NoSuchProcess { .. } | NotWatchable::Zombie { .. }) if ignore_missing => {}
            Err(reason) => sentences.push(reason.to_string()),
        }
    }
    if sentences.is_empty() {
        return Ok(found);
    }
    sentences.push("nothing is watched; --ignore-missing goes on without those that are not there".to_owned());
    Err(Refused { code: exit::TROUBLE, sentences })
}

/// One line of `--json`. Documented in `docs/json.md`; members are added, never changed.
#[derive(Debug, Serialize)]
struct DeathLine<'a> {
    event: &'static str,
    pid: u32,
    comm: &'a str,
    uptime_s: f64,
    exit_code: Option<u8>,
    signal: Option<u8>,
    signal_name: Option<String>,
    core_dumped: Option<bool>,
    latency_us: Option<f64>,
    cause: Option<&'static str>,
    cause_signal: Option<u8>,
    killer_pid: Option<u32>,
    killer_uid: Option<u32>,
    killer_comm: Option<String>,
    tier: &'static str,
    unix_time: f64,
}

fn report(death: &Death, found: &Found, tier: Tier, json: bool) -> io::Result<()> {
    let Death { proc, ending, at, latency, comm, blame } = *death;
    let blame = blame.filter(|blame| blame.explains(ending, at));
    let comm = comm.map(|comm| comm.to_string());
    let known = || found.get(&proc).map_or("?", |facts| &facts.comm);
    let comm = comm.as_deref().unwrap_or_else(known);
    let uptime = uptime(death);
    if !json {
        let seen = latency.map_or_else(String::new, |latency| format!(" (known {latency} later)"));
        let unknown = if ending == Ending::Unknown { " (how is not known)" } else { "" };
        let cause = blame.map_or_else(String::new, |blame| format!("; {blame}"));
        let (comm, cause) = (output::harmless(comm), output::harmless(&cause));
        return output::line(&format!("{} {comm}: {ending} after {uptime}{unknown}{cause}{seen}", proc.pid));
    }
    let (exit_code, killed) = match ending {
        Ending::Exited { code } => (Some(code), None),
        Ending::Killed { signal, core_dumped } => (None, Some((signal, core_dumped))),
        Ending::Unknown => (None, None),
    };
    let killer = blame.and_then(|blame| blame.sender);
    output::json_line(&DeathLine {
        event: "death",
        pid: proc.pid.number(),
        comm,
        uptime_s: uptime.seconds(),
        exit_code,
        signal: killed.map(|(signal, _)| signal.0),
        signal_name: killed.map(|(signal, _)| signal.to_string()),
        core_dumped: killed.map(|(_, core_dumped)| core_dumped),
        latency_us: latency.map(Span::micros),
        cause: blame.map(|blame| blame.origin.name()),
        cause_signal: blame.map(|blame| blame.signal.0),
        killer_pid: killer.and_then(|killer| killer.pid).map(Pid::number),
        killer_uid: killer.map(|killer| killer.uid),
        killer_comm: killer.map(|killer| killer.comm.to_string()),
        tier: tier.name(),
        unix_time: clock::unix_seconds(),
    })
}

/// Start times count suspends, the stamps of deaths do not: both are taken back from now.
fn uptime(death: &Death) -> Span {
    let age_of_death = clock::now().since(death.at);
    let start = death.proc.start.0.saturating_mul(watcher_abi::NS_PER_TICK);
    Span(clock::since_boot().0.saturating_sub(age_of_death.0).saturating_sub(start))
}
