//! Manual pages: one for the program, one for each of its commands.

use std::{fs, io, path::Path};

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use crate::{commands::name, complete::is_a_program};

/// Of programs for those who run hosts. Some commands are for everybody, but one program has one section.
const SECTION: &str = "8";

const FILES: [(&str, &str); 4] = [
    ("/etc/watcher/rules.d/*.pfile", "What the service watcher of the packages watches, by watcher run -d."),
    ("/etc/watcher/NAME.pfile", "What the unit pcheck@NAME.service of the packages watches."),
    ("/usr/share/watcher/rules", "Pfiles and restart scripts to start from."),
    ("/run/watcher", "Control sockets, locks, the output of scripts, and what survives a crash."),
];

const ENVIRONMENT: [(&str, &str); 2] = [
    ("WATCHER_LOG", "Which diagnostics are shown on standard error, such as watcher::kernel=trace."),
    ("SSL_CERT_FILE", "Certificate authorities that are trusted where certificates are checked."),
];

/// Writes `NAME.8` for each.
pub(crate) fn write(whole: &Command, date: &str, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for command in [whole].into_iter().chain(whole.get_subcommands()) {
        fs::write(folder.join(format!("{}.{SECTION}", name(command))), page(command, whole, date)?)?;
    }
    Ok(())
}

fn page(command: &Command, whole: &Command, date: &str) -> io::Result<String> {
    let title = name(command).to_uppercase();
    let source = concat!("watcher ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(title).section(SECTION).date(date);
    let man = man.source(source).manual("System Administration");
    let is_whole = command.get_name() == whole.get_name();
    let mut page = written(|page| man.render_title(page))?;
    let mut add = |section: String| page.push_str(without_preamble(&section));
    add(written(|page| man.render_name_section(page))?);
    add(synopsis(command));
    add(written(|page| man.render_description_section(page))?);
    if is_a_program(command) && !is_whole {
        let same = format!("The same as {} {}.", whole.get_name(), command.get_name());
        add(Roff::new().control("PP", []).text([roman(same)]).render());
    }
    // Of a break, an empty line and a break mandoc takes only the empty line.
    add(written(|page| man.render_options_section(page))?.replace(".br\n\n.br\n", ".sp\n"));
    if is_whole {
        add(table("COMMANDS", &whole.get_subcommands().map(of_command).collect::<Vec<_>>()));
        add(table("FILES", &FILES.map(|(left, right)| (left.to_owned(), right.to_owned()))));
        add(table("ENVIRONMENT", &ENVIRONMENT.map(|(left, right)| (left.to_owned(), right.to_owned()))));
    } else if let Some(after) = command.get_after_help() {
        add(two_columns(&after.to_string()));
    }
    add(see_also(command, whole));
    Ok(page)
}

fn written(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<String> {
    let mut bytes = Vec::new();
    write(&mut bytes)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// Each piece comes with what defines an apostrophe, which is needed once.
fn without_preamble(section: &str) -> &str {
    let is_preamble = |line: &str| line.starts_with(".ie ") || line.starts_with(".el ");
    let mut rest = section;
    while let Some((_, after)) = rest.split_once('\n').filter(|(line, _)| is_preamble(line)) {
        rest = after;
    }
    rest
}

/// As `--help` has it.
fn synopsis(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:");
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    for line in usage.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let called = command.get_bin_name().filter(|called| line.starts_with(called));
        let called = called.unwrap_or_else(|| line.split(' ').next().unwrap_or_default());
        let rest = line.strip_prefix(called).unwrap_or_default().trim();
        roff.control("SY", [called]).text([roman(rest)]).control("YS", []);
    }
    roff.render()
}

fn of_command(command: &Command) -> (String, String) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    (format!("{}({SECTION})", name(command)), about)
}

fn table(heading: &str, rows: &[(String, String)]) -> String {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for (left, right) in rows {
        roff.control("TP", []).text([bold(left.as_str())]).text([roman(right.as_str())]);
    }
    roff.render()
}

/// Text whose lines are a name and, behind two blanks, what it means, after a line that names them all.
fn two_columns(text: &str) -> String {
    let mut lines = text.lines();
    let heading = lines.next().unwrap_or_default().trim_end_matches(':').to_uppercase();
    let rows = lines.filter_map(|line| line.trim_start().split_once("  "));
    let rows: Vec<_> = rows.map(|(left, right)| (left.to_owned(), right.trim().to_owned())).collect();
    table(&heading, &rows)
}

fn see_also(command: &Command, whole: &Command) -> String {
    let others = [whole].into_iter().chain(whole.get_subcommands());
    let others = others.filter(|other| other.get_name() != command.get_name());
    let mut names: Vec<_> = others.map(|other| format!("{}({SECTION})", name(other))).collect();
    names.push("pfile(5)".to_owned());
    names.sort();
    Roff::new().control("SH", ["SEE ALSO"]).text([roman(names.join(", "))]).render()
}
