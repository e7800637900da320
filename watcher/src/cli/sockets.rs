//! `watcher sockets`: listening ports as a table or JSON.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use unicode_width::UnicodeWidthStr as _;
use watcher_core::pfile::UnknownOptions;

use super::{
    exit,
    output::{self, harmless},
};
use crate::{
    executor::rules::rules,
    sockets::{Listener, Namespace, Owner, Port, Report, Trend},
};

/// Show the listening TCP ports of this network namespace: whose they are, and how near they are to their limits
///
/// backlog: connections that wait to be accepted, and how many may: one more than `listen` was told; drops: how many were
/// turned away since the port is listened on. Connections of the port, whatever the address: estab: both sides may send;
/// close_wait: the client has closed, the service not yet; syn_recv: half open, the client has not answered yet; time_wait:
/// over, kept by the kernel for a minute. descriptors: of the process that has the fewest left, if several hold the socket
/// (with its pid, where it is not the owner that is shown). trend: what has changed during --for SECONDS. Exit
/// code 0: shown. 1: the kernel does not tell, or the pfile cannot be read or has no block that asks this host. 2: the
/// command line is wrong.
#[derive(Args, Debug)]
pub(super) struct Sockets {
    /// Only these; by default all that somebody listens on
    #[arg(value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    ports: Vec<u16>,
    /// Only the ports that the stall checks of this pfile ask on this host, and those that are named
    #[arg(short = 'f', long, value_name = "PFILE")]
    pfile: Option<PathBuf>,
    /// Look twice, so many seconds apart, and show what has changed meanwhile
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: Option<u32>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Sockets) -> ExitCode {
    let mut wanted: BTreeSet<_> = arguments.ports.iter().copied().collect();
    if let Some(pfile) = &arguments.pfile {
        match ports_of(pfile) {
            Ok(ports) if ports.is_empty() => {
                return exit::trouble(&format!("{} asks no port of this host: it has no such block", pfile.display()));
            }
            Ok(ports) => wanted.extend(ports),
            Err(why) => return exit::trouble(&why),
        }
    }
    let made = match arguments.seconds {
        None => Report::make(&wanted),
        Some(seconds) => Report::with_trend(&wanted, seconds),
    };
    let report = match made {
        Ok(report) => report,
        Err(error) => return exit::trouble(&format!("the sockets of this host cannot be read: {error}")),
    };
    let printed = if arguments.json { output::json(&report) } else { output::line(&text(&report)) };
    if let Err(error) = printed {
        return exit::trouble(&error.to_string());
    }
    if !arguments.json {
        say_what_is_missing(&report, &wanted);
    }
    ExitCode::from(exit::DONE)
}

/// The ports of this host that the blocks of a pfile ask.
fn ports_of(pfile: &Path) -> Result<BTreeSet<u16>, String> {
    let rules = rules(pfile, UnknownOptions::Keep)?.pfile;
    let checks = rules.entries.iter().flat_map(|entry| &entry.value.stall_checks).map(|check| check.value.target());
    Ok(checks.filter(|target| target.is_local()).map(|target| target.port.number()).collect())
}

fn say_what_is_missing(report: &Report, wanted: &BTreeSet<u16>) {
    if let Some(reason) = &report.source_reason {
        output::say(&format!("{reason}; /proc/net/tcp tells neither the limit of a backlog nor drops"));
    }
    let is_root = rustix::process::geteuid().is_root();
    if report.without_owner > 0 && !is_root {
        output::say(&format!(
            "the processes of {} are hidden from this user: run it as root to see them",
            counted(report.without_owner, "listener")
        ));
    }
    for port in report.ports.iter().filter(|port| wanted.contains(&port.port) && port.listeners.is_empty()) {
        output::say(&format!("nobody listens on port {}", port.port));
    }
}

const HEAD: [&str; 10] =
    ["address", "owner", "backlog", "drops", "estab", "close_wait", "syn_recv", "time_wait", "descriptors", "trend"];
/// The first columns are text, which begins at the left, and so is the last one, which is not always there.
const LEFT: usize = 2;
const TREND: usize = HEAD.len() - 1;

fn text(report: &Report) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    for port in &report.ports {
        rows.extend(of_port(port));
    }
    let mut widths = [0; HEAD.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        let columns = if report.trend_s.is_some() { HEAD.len() } else { TREND };
        for (index, (cell, width)) in row.iter().zip(widths).enumerate().take(columns) {
            let padding = " ".repeat(width - cell.width());
            let (before, after) =
                if index < LEFT || index == TREND { ("", padding.as_str()) } else { (padding.as_str(), "") };
            line = format!("{line}{before}{cell}{after}  ");
        }
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{}", line.trim_end());
    }
    if let Some(namespace) = &report.namespace {
        text.push_str(&of_namespace(namespace));
    }
    text.truncate(text.trim_end().len());
    text
}

/// One line for each socket that listens. What is counted for the port stands in the first.
fn of_port(port: &Port) -> Vec<[String; HEAD.len()]> {
    let counts = [port.established, port.close_wait, port.syn_recv, port.time_wait];
    let nobody = || ["*", "-", "-", "-"].map(str::to_owned);
    let mut heads: Vec<_> = port.listeners.iter().map(of_listener).collect();
    if heads.is_empty() {
        heads.push((nobody(), "-".to_owned()));
    }
    let mut rows = Vec::new();
    for (index, ([address, owner, backlog, drops], descriptors)) in heads.into_iter().enumerate() {
        let [estab, close_wait, syn_recv, time_wait] =
            counts.map(|count| if index == 0 { count.to_string() } else { String::new() });
        let address = format!("{address}:{}", port.port);
        let trend = if index == 0 { trend(port.trend.as_ref()) } else { String::new() };
        rows.push([address, owner, backlog, drops, estab, close_wait, syn_recv, time_wait, descriptors, trend]);
    }
    rows
}

/// What has changed, and nothing else.
fn trend(trend: Option<&Trend>) -> String {
    let Some(Trend { established, close_wait, syn_recv, backlog, drops }) = trend else { return "?".to_owned() };
    let drops = drops.map_or(0, |drops| i64::try_from(drops).unwrap_or(i64::MAX));
    let named = [
        ("backlog", *backlog),
        ("drops", drops),
        ("estab", *established),
        ("close_wait", *close_wait),
        ("syn_recv", *syn_recv),
    ];
    let changed: Vec<_> = named.iter().filter(|(_, by)| *by != 0).map(|(name, by)| format!("{name} {by:+}")).collect();
    if changed.is_empty() { "-".to_owned() } else { changed.join(", ") }
}

fn of_listener(listener: &Listener) -> ([String; 4], String) {
    let Listener { address, inode: _, uid, backlog, backlog_limit, drops, owner, holders } = listener;
    let known = |value: Option<String>| value.unwrap_or_else(|| "?".to_owned());
    let address = if address.contains(':') { format!("[{address}]") } else { address.clone() };
    let others = if *holders > 1 { format!(" +{}", holders - 1) } else { String::new() };
    let name = match owner {
        Some(Owner { pid, comm, .. }) => format!("{pid}/{}{others}", harmless(comm)),
        None => format!("? (uid {uid})"),
    };
    let descriptors = owner.as_ref().and_then(|owner| {
        let limit = owner.descriptor_limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
        // The number may be that of another holder than the one that is shown.
        let whose = owner.descriptor_pid.filter(|pid| *pid != owner.pid);
        let whose = whose.map_or_else(String::new, |pid| format!(" of {pid}"));
        owner.descriptors.map(|open| format!("{open}/{limit}{whose}"))
    });
    let backlog = format!("{backlog}/{}", known(backlog_limit.map(|limit| limit.to_string())));
    ([address, name, backlog, known(drops.map(|drops| drops.to_string()))], known(descriptors))
}

fn of_namespace(namespace: &Namespace) -> String {
    let Namespace { port_range, in_use, orphans, time_wait, memory_pages, memory_limits } = namespace;
    let range = port_range.map_or_else(|| "unknown".to_owned(), |(first, last)| format!("{first} to {last}"));
    let refuses =
        memory_limits.map_or_else(|| "an unknown number of".to_owned(), |[_, _, refuses]| refuses.to_string());
    format!(
        "\nlocal ports for connections: {range}; sockets: {in_use} in use, {orphans} without a process, {time_wait} in \
         TIME_WAIT\nmemory of TCP on this host: {memory_pages} of {refuses} pages\n"
    )
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
