//! `watcher check`: what is wrong with pfiles, for people or as JSON.

use std::{io, process::ExitCode};

use serde::Serialize;
use watcher_core::pfile::{Check, Problem, Severity, UnknownOptions};

use super::{
    args, diagnostic, exit,
    fix::{self, Repair},
    output,
};
use crate::check::{self, Checked};

/// Runs the command.
pub(super) fn run(arguments: &args::Check) -> ExitCode {
    let done = if arguments.list { list(arguments.json).map(|()| true) } else { all(arguments) };
    match done {
        Ok(true) => ExitCode::from(exit::DONE),
        Ok(false) => ExitCode::from(exit::TROUBLE),
        // Whoever read the lines has had enough; what they say is still true.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(exit::TROUBLE),
        Err(error) => exit::trouble(&error.to_string()),
    }
}

/// Whether all is well.
fn all(arguments: &args::Check) -> io::Result<bool> {
    let unknown_options = if arguments.lenient { UnknownOptions::Keep } else { UnknownOptions::Refuse };
    let mut files = Vec::new();
    let mut unreadable = Vec::new();
    let mut repairs = Vec::new();
    for path in &arguments.pfiles {
        let name = path.display().to_string();
        match check::load(path) {
            Ok(mut text) => {
                let repair =
                    arguments.fix.then(|| fix::repair(path, &text, unknown_options, arguments.write)).transpose();
                let repair =
                    repair.map_err(|error| io::Error::new(error.kind(), format!("{name} is not repaired: {error}")))?;
                repairs.push(repair.flatten().map(|(repaired, repair)| {
                    text = repaired;
                    repair
                }));
                files.push(Checked::by_text(name, text, unknown_options));
            }
            Err(error) => unreadable.push(Unreadable { file: name, reason: error.to_string() }),
        }
    }
    check::together(&mut files, !arguments.no_host)?;
    let count = |severity| files.iter().map(|file| file.count(severity)).sum::<usize>();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if arguments.json {
        output::json(&Report {
            schema: 1,
            files: files.iter().zip(&repairs).map(FileReport::of).collect(),
            unreadable: &unreadable,
            errors,
            warnings,
        })?;
    } else {
        for repair in repairs.iter().flatten() {
            output::line(&repair.diff)?;
        }
        for file in &files {
            for problem in &file.problems {
                output::line(&diagnostic::render(file, problem))?;
            }
        }
        unreadable
            .iter()
            .for_each(|Unreadable { file, reason }| output::say(&format!("{file} cannot be read: {reason}")));
        tell_of_repairs(&repairs);
        output::say(&summary(files.len(), errors, warnings));
    }
    Ok(unreadable.is_empty() && errors == 0 && (warnings == 0 || !arguments.deny_warnings))
}

fn tell_of_repairs(repairs: &[Option<Repair>]) {
    let all = repairs.iter().flatten();
    let problems = all.clone().map(|repair| repair.problems).sum::<usize>();
    if problems == 0 {
        return;
    }
    let count = if problems == 1 { "1 problem".to_owned() } else { format!("{problems} problems") };
    match all.clone().all(|repair| repair.written) {
        true => output::say(&format!("{count} repaired, as shown above")),
        false => output::say(&format!("{count} can be repaired, as shown above; --write does it")),
    }
}

fn summary(files: usize, errors: usize, warnings: usize) -> String {
    let some = |count, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let files = some(files, "file");
    match (errors, warnings) {
        (0, 0) => format!("{files} checked: nothing to complain about"),
        (errors, warnings) => format!("{files} checked: {}, {}", some(errors, "error"), some(warnings, "warning")),
    }
}

fn list(json: bool) -> io::Result<()> {
    let checks = Check::ALL.iter().map(|check| CheckReport {
        name: check.name(),
        severity: check.severity().name(),
        about: check.about(),
    });
    if json {
        return output::json(&checks.collect::<Vec<_>>());
    }
    for CheckReport { name, severity, about } in checks {
        output::line(&format!("{name:<24} {severity:<8} {about}"))?;
    }
    Ok(())
}

/// `--json`. Documented in `docs/json.md`; members are added, never changed.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: u32,
    files: Vec<FileReport<'a>>,
    unreadable: &'a [Unreadable],
    errors: usize,
    warnings: usize,
}

#[derive(Debug, Serialize)]
struct Unreadable {
    file: String,
    reason: String,
}

#[derive(Debug, Serialize)]
struct FileReport<'a> {
    file: &'a str,
    loads: bool,
    entries: Option<usize>,
    problems: Vec<ProblemReport<'a>>,
    repair: Option<&'a Repair>,
}

#[derive(Debug, Serialize)]
struct ProblemReport<'a> {
    name: &'static str,
    severity: &'static str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    entry: Option<usize>,
    message: &'a str,
    hint: Option<&'a str>,
    related: Option<RelatedReport<'a>>,
    fixable: bool,
}

#[derive(Debug, Serialize)]
struct RelatedReport<'a> {
    line: usize,
    column: usize,
    note: &'a str,
}

#[derive(Debug, Serialize)]
struct CheckReport {
    name: &'static str,
    severity: &'static str,
    about: &'static str,
}

impl<'a> FileReport<'a> {
    fn of((file, repair): (&'a Checked, &'a Option<Repair>)) -> Self {
        let Checked { name, pfile, problems, .. } = file;
        Self {
            file: name,
            loads: pfile.is_some(),
            entries: pfile.as_ref().map(|pfile| pfile.entries.len()),
            problems: problems.iter().map(|problem| ProblemReport::of(file, problem)).collect(),
            repair: repair.as_ref(),
        }
    }
}

impl<'a> ProblemReport<'a> {
    fn of(file: &Checked, problem: &'a Problem) -> Self {
        let Problem { check, severity, place, entry, message, hint, related, edits } = problem;
        let (start, end) = (file.position(place.start), file.position(place.end));
        Self {
            name: check.name(),
            severity: severity.name(),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            entry: entry.map(|entry| entry.number()),
            message,
            hint: hint.as_deref(),
            related: related.as_ref().map(|related| {
                let at = file.position(related.place.start);
                RelatedReport { line: at.line, column: at.column, note: &related.note }
            }),
            fixable: !edits.is_empty(),
        }
    }
}
