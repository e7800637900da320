//! `watcher explain`: which processes the entries mean, and why, as text or JSON.

use std::{io, process::ExitCode};

use watcher_core::pfile::{EntryNumber, Severity, UnknownOptions};

use super::{args, diagnostic, exit, output};
use crate::{
    check::{self, Checked},
    explain::{By, EntryReport, Match, Near, Reason, Report, StallReport},
};

/// Runs the command.
pub(super) fn run(arguments: &args::Explain) -> ExitCode {
    match explain(arguments) {
        Ok(code) => ExitCode::from(code),
        // Whoever read the lines has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(exit::DONE),
        Err(error) => exit::trouble(&error.to_string()),
    }
}

fn explain(arguments: &args::Explain) -> io::Result<u8> {
    let name = arguments.pfile.display().to_string();
    let unreadable = |error: io::Error| io::Error::new(error.kind(), format!("{name} cannot be read: {error}"));
    let text = check::load(&arguments.pfile).map_err(unreadable)?;
    let file = Checked::by_text(name.clone(), text, UnknownOptions::Keep);
    let Some(pfile) = &file.pfile else {
        for problem in file.problems.iter().filter(|problem| problem.severity == Severity::Error) {
            output::complain(&diagnostic::render(&file, problem));
        }
        output::say(&format!("{name} does not load"));
        return Ok(exit::TROUBLE);
    };
    let only = arguments.entry.map(|number| EntryNumber::of_index(number.get() - 1));
    if let Some(only) = only.filter(|only| only.number() > pfile.entries.len()) {
        output::say(&format!("there is no entry {only}: {name} has {}", pfile.entries.len()));
        return Ok(exit::USAGE);
    }
    let report = Report::make(name, pfile, only)?;
    if arguments.json {
        output::json(&report)?;
    } else {
        for entry in &report.entries {
            entry_text(entry).iter().try_for_each(|line| output::line(line))?;
        }
        if report.hidden > 0 && !report.is_well() {
            output::say(&format!(
                "this user may not know which program runs in {}; as root, look again",
                match report.hidden {
                    1 => "1 process: it may match".to_owned(),
                    hidden => format!("{hidden} processes: one of them may match"),
                }
            ));
        }
    }
    Ok(if report.is_well() { exit::DONE } else { exit::TROUBLE })
}

fn entry_text(report: &EntryReport) -> Vec<String> {
    let EntryReport { entry, process, include_strings, exclude_strings, watched, matches, nearly, .. } = report;
    let option = |name: &str, strings: &Option<String>| {
        strings.as_ref().map_or_else(String::new, |strings| format!(", {name}={strings}"))
    };
    let conditions = option("include_strings", include_strings) + &option("exclude_strings", exclude_strings);
    let mut lines = vec![format!("entry {entry}: {process}{conditions}")];
    lines.extend(rules(report));
    if watched.is_none() {
        lines.push("  matches no running process".to_owned());
    }
    for Match { pid, command_line, named_by, contains } in shown(&mut lines, matches, "match") {
        let role = if Some(*pid) == *watched { "watched" } else { "matches" };
        let equal = match named_by {
            By::Argv0 => "its first word is the path",
            By::Exe => "it runs the program of that path",
        };
        let words: Vec<_> = contains.iter().map(|word| format!("`{word}`")).collect();
        let words = if words.is_empty() { String::new() } else { format!("; it contains {}", words.join(", ")) };
        lines.push(format!("  {role} {pid}: {}", short(command_line)));
        lines.push(format!("      {equal}{words}"));
    }
    for Near { pid, command_line, because } in shown(&mut lines, nearly, "nearly match") {
        let reasons: Vec<_> = because.iter().map(reason).collect();
        lines.push(format!("  nearly {pid}: {}", short(command_line)));
        lines.push(format!("      {}", reasons.join("; ")));
    }
    lines
}

/// What the entry says, in words.
fn rules(report: &EntryReport) -> Vec<String> {
    let EntryReport { script, grace_s, retries, retry_over_act, stall_checks, .. } = report;
    let tries = if *retries == 1 { "1 restart".to_owned() } else { format!("{retries} restarts") };
    let within = if *grace_s == 0 { "ever".to_owned() } else { format!("within {grace_s} s") };
    let mut lines = vec![format!("  {script} brings it back; after {tries} {within}: {retry_over_act}")];
    for check in stall_checks {
        let StallReport { block, interval_s, retry_over_s, port, host, .. } = check;
        let host = host.as_deref().unwrap_or("this host");
        lines.push(format!(
            "  {block} asks port {port} of {host} every {interval_s} s; {retry_over_s} s in vain: a stall"
        ));
        lines.push(format!("      {}", diagnostic::visible(check.asked().as_bytes())));
    }
    lines
}

/// As many as anybody reads; how many more there are is said first.
fn shown<'a, T>(lines: &mut Vec<String>, all: &'a [T], verb: &str) -> &'a [T] {
    const ENOUGH: usize = 10;
    if all.len() > ENOUGH {
        lines.push(format!("  {} processes {verb}; the oldest {ENOUGH} are:", all.len()));
    }
    all.get(..ENOUGH).unwrap_or(all)
}

fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Contains(word) => format!("it contains `{word}`, which is excluded"),
        Reason::Lacks(word) => format!("it lacks `{word}`"),
        Reason::OtherPath(path) => format!("it is {path}, another path"),
        Reason::Zombie => "it is a zombie".to_owned(),
    }
}

fn short(command_line: &str) -> String {
    const ENOUGH: usize = 200;
    let cut = if command_line.chars().nth(ENOUGH).is_some() { "…" } else { "" };
    let start: String = command_line.chars().take(ENOUGH).collect();
    format!("{}{cut}", diagnostic::visible(start.as_bytes()))
}
