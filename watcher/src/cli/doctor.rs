//! `watcher doctor`: the report as text or JSON.

use std::{fmt::Write as _, process::ExitCode};

use super::{args, exit, output};
use crate::doctor::{Capability, Report, TierReport};

/// Runs the command.
pub(super) fn run(arguments: &args::Doctor) -> ExitCode {
    let report = match Report::make() {
        Ok(report) => report,
        Err(error) => return exit::trouble(&error.to_string()),
    };
    let printed = if arguments.json { output::json(&report) } else { output::line(&text(&report)) };
    match printed {
        Ok(()) if report.is_well() => ExitCode::from(exit::DONE),
        Ok(()) => ExitCode::from(exit::TROUBLE),
        Err(error) => exit::trouble(&error.to_string()),
    }
}

fn text(report: &Report) -> String {
    let mut rows = vec![
        ("kernel", format!("Linux {} on {}", report.kernel.release, report.kernel.machine)),
        (
            "pid namespace",
            match (report.initial_pid_namespace, report.others_hidden) {
                (Some(true), false) => "the initial one: every process of the host is visible".to_owned(),
                (Some(false), false) => {
                    "not the initial one: only the processes of this container are visible".to_owned()
                }
                (Some(_), true) => {
                    "/proc hides processes of other users (hidepid): only this user's are visible".to_owned()
                }
                (None, _) => "unknown: /proc cannot be read".to_owned(),
            },
        ),
        (
            "type information",
            match report.btf.bytes {
                Some(bytes) => format!("{} ({bytes} bytes)", report.btf.path),
                None => format!("{} cannot be read", report.btf.path),
            },
        ),
        ("ring buffer", if report.ring_buffer { "yes" } else { "no" }.to_owned()),
        ("tracefs", format!("{} (not needed)", report.tracefs.unwrap_or("not mounted, or not readable by this user"))),
        ("lockdown", report.lockdown.clone().unwrap_or_else(|| "not shown by this kernel".to_owned())),
        ("capabilities", capabilities(&report.capabilities)),
        ("descriptors", report.descriptors.map_or_else(|| "any number".to_owned(), |limit| format!("{limit} allowed"))),
        (
            "BPF object",
            match report.bpf_object.missing {
                None => format!("in this binary, {} bytes", report.bpf_object.bytes),
                Some(missing) => format!("not in this binary: {missing}"),
            },
        ),
    ];
    let tiers: Vec<_> = report.tiers.iter().map(|tier| (format!("tier {}", tier.name), verdict(tier))).collect();
    rows.extend(tiers.iter().map(|(name, verdict)| (name.as_str(), verdict.clone())));
    rows.push(("explains deaths", partly(report.explains, report.explains_reason.as_ref(), "")));
    let otherwise = "; on the others pcheck looks with each check";
    rows.push(("tells of sockets", partly(report.sockets, report.sockets_reason.as_ref(), otherwise)));
    rows.push(("auto takes", report.auto.unwrap_or("nothing: no tier works here").to_owned()));
    let mut text = String::new();
    for (name, value) in rows {
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{name:<17} {value}");
    }
    text.truncate(text.trim_end().len());
    text
}

/// `otherwise`: what happens on the tiers that do not.
fn partly(does: Option<bool>, reason: Option<&String>, otherwise: &str) -> String {
    match (does, reason) {
        (Some(true), None) => "yes".to_owned(),
        (Some(true), Some(reason)) => format!("yes, but {reason}"),
        (Some(false), Some(reason)) => format!("no: {reason}"),
        (Some(false), None) => "no".to_owned(),
        (None, _) => format!("no: only tier ebpf does{otherwise}"),
    }
}

fn capabilities(all: &[Capability]) -> String {
    let names = |effective: bool| {
        let chosen = all.iter().filter(|capability| capability.effective == effective);
        let names: Vec<_> = chosen.map(|capability| capability.name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(" ") }
    };
    format!("here: {}; not here: {}", names(true), names(false))
}

fn verdict(tier: &TierReport) -> String {
    match &tier.reason {
        None => "yes".to_owned(),
        Some(reason) => format!("no: {reason}"),
    }
}
