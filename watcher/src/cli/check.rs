//! `watcher check`: what is wrong with pfiles, for people or as JSON.

use std::{io, path::PathBuf, process::ExitCode};

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
    let (mut files, mut unreadable, mut repairs) = (Vec::new(), Vec::new(), Vec::new());
    for path in &arguments.pfiles {
        let name = path.display().to_string();
        match check::load(path) {
            Ok(text) => {
                let repair = arguments.fix.then(|| fix::repair(path, &text, unknown_options)).flatten();
                let (text, repair) = repair.map_or((text, None), |(repaired, repair)| (repaired, Some(repair)));
                files.push(Checked::by_text(name, text, unknown_options));
                repairs.push((path, repair));
            }
            Err(error) => unreadable.push(Unreadable { file: name, reason: error.to_string() }),
        }
    }
    check::together(&mut files, !arguments.no_host)?;
    // People see the change before it is made. Programs are told of it afterwards: whether it was made is part of it.
    if !arguments.json {
        print(&files, &repairs)?;
    }
    for (file, (path, repair)) in files.iter().zip(&mut repairs) {
        if let Some(repair) = repair.as_mut().filter(|_| arguments.write) {
            repair.write(path, &file.text);
        }
    }
    let count = |severity| files.iter().map(|file| file.count(severity)).sum::<usize>();
    let totals = Totals { errors: count(Severity::Error), warnings: count(Severity::Warning) };
    if arguments.json {
        let files = files.iter().zip(&repairs).map(|(file, (_, repair))| FileReport::of(file, repair.as_ref()));
        let Totals { errors, warnings } = totals;
        output::json(&Report { schema: 1, files: files.collect(), unreadable: &unreadable, errors, warnings })?;
    } else {
        tell(&files, &repairs, &unreadable, totals);
    }
    let mut repairs = repairs.iter().filter_map(|(_, repair)| repair.as_ref());
    let failed = repairs.clone().any(|repair| repair.error.is_some());
    // What could be repaired, and was not, still stands in the file.
    let warned = totals.warnings > 0 || repairs.any(|repair| !repair.written);
    Ok(unreadable.is_empty() && !failed && totals.errors == 0 && !(warned && arguments.deny_warnings))
}

#[derive(Clone, Copy)]
struct Totals {
    errors: usize,
    warnings: usize,
}

/// Repairs, and what is left.
fn print(files: &[Checked], repairs: &[(&PathBuf, Option<Repair>)]) -> io::Result<()> {
    for (_, repair) in repairs {
        repair.iter().try_for_each(|repair| output::line(&repair.diff))?;
    }
    for file in files {
        file.problems.iter().try_for_each(|problem| output::line(&diagnostic::render(file, problem)))?;
    }
    Ok(())
}

/// What came of it.
fn tell(files: &[Checked], repairs: &[(&PathBuf, Option<Repair>)], unreadable: &[Unreadable], totals: Totals) {
    for Unreadable { file, reason } in unreadable {
        output::say(&format!("{file} cannot be read: {reason}"));
    }
    let problems = |repairs: &mut dyn Iterator<Item = &Repair>| {
        let count = repairs.map(|repair| repair.problems).sum::<usize>();
        (count > 0).then(|| some(count, "problem"))
    };
    let all = || repairs.iter().filter_map(|(_, repair)| repair.as_ref());
    if let Some(problems) = problems(&mut all().filter(|repair| repair.written)) {
        output::say(&format!("{problems} repaired, as shown above"));
    }
    if let Some(problems) = problems(&mut all().filter(|repair| !repair.written && repair.error.is_none())) {
        output::say(&format!("{problems} can be repaired, as shown above; --write does it"));
    }
    for (path, repair) in repairs {
        if let Some(error) = repair.as_ref().and_then(|repair| repair.error.as_ref()) {
            output::say(&format!("{} is not repaired: {error}", path.display()));
        }
    }
    output::say(&summary(files.len(), unreadable.len(), totals));
}

fn summary(files: usize, unreadable: usize, Totals { errors, warnings }: Totals) -> String {
    let checked = format!("{} checked", some(files, "file"));
    let found = match (errors, warnings) {
        (0, 0) if files == 0 => String::new(),
        (0, 0) => ": nothing to complain about".to_owned(),
        (errors, warnings) => format!(": {}, {}", some(errors, "error"), some(warnings, "warning")),
    };
    let left = if unreadable == 0 { String::new() } else { format!("; {unreadable} could not be read") };
    format!("{checked}{found}{left}")
}

fn some(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
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
    fn of(file: &'a Checked, repair: Option<&'a Repair>) -> Self {
        let Checked { name, pfile, problems, .. } = file;
        Self {
            file: name,
            loads: pfile.is_some(),
            entries: pfile.as_ref().map(|pfile| pfile.entries.len()),
            problems: problems.iter().map(|problem| ProblemReport::of(file, problem)).collect(),
            repair,
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
