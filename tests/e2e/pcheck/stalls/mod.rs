//! Stall checks: services that are up and do not answer (checks 9 and 10 of the spec).
//!
//! The shortest rule that may be written needs some 20 s until a stall is found. Nothing happens meanwhile, so the stories
//! are told at the same time.

mod acted_on;
mod held;
mod many;
mod spared;
mod unfit;

use std::fs;

use watcher_tests::{
    host::{EACH_TIER, Host, Tier},
    is_emulated,
    pcheck::{Pcheck, is_published},
    story::at_the_same_time,
    wait::until,
};

const EBPF: &[Tier] = &[Tier::Ebpf];
const POLL: &[Tier] = &[Tier::Poll];

#[test]
fn stories_that_are_told_at_the_same_time() {
    at_the_same_time(&[
        ("a web server that is stopped", EACH_TIER, &acted_on::a_web_server_that_is_stopped),
        ("a process that listens no more", EACH_TIER, &acted_on::a_process_that_listens_no_more),
        ("one stall is enough", EACH_TIER, &acted_on::one_stall_is_enough),
        ("retries that are used up", EACH_TIER, &acted_on::retries_that_are_used_up),
        ("one of a group", EACH_TIER, &acted_on::one_of_a_group),
        ("two checks of one entry", EACH_TIER, &acted_on::two_checks_of_one_entry),
        ("not ours to kill, and nothing more", POLL, &unfit::not_ours_to_kill_and_nothing_more),
        ("not ours to kill, and given up", POLL, &unfit::not_ours_to_kill_and_given_up),
        ("bad answers", EBPF, &unfit::bad_answers),
        ("pcheck is stopped", EACH_TIER, &spared::pcheck_is_stopped),
        ("both are stopped", EACH_TIER, &spared::both_are_stopped),
        ("a pause", EACH_TIER, &spared::a_pause),
        ("kill -9 of pcheck", EACH_TIER, &spared::kill_9_of_pcheck),
        ("most fail together", EBPF, &held::most_fail_together),
        ("most fail together, and nothing is held", POLL, &held::most_fail_together_and_nothing_is_held),
        ("hundreds of services", EBPF, &many::hundreds_of_services),
    ]);
}

/// An entry that is restarted by starting the service with these words.
fn entry(host: &Host, name: &str, words: &str, rest: &str) -> String {
    let path = host.path(name);
    let script = host.script(&format!("{name}.sh"), &format!("{path} {words} >/dev/null 2>&1 </dev/null &"));
    format!("{path}:{script}:86400:3:{rest}\n")
}

/// Lines that are the same on every tier, with numbers left out that are never twice the same.
fn shown(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let without_number = |line: String| {
        // When the first verdict comes late, the second comes too soon after it.
        let line = if is_emulated() { line.replace("; 3 checks failed", "; 2 checks failed") } else { line };
        let line = without(&line, " failed within ", " s");
        without(&line, " answers again, after ", " s")
    };
    lines.into_iter().filter(|line| is_published(line)).map(without_number).collect()
}

fn without(line: &str, before: &str, after: &str) -> String {
    let found = line.split_once(before).and_then(|(start, rest)| Some((start, rest.split_once(after)?.1)));
    found.map_or_else(|| line.to_owned(), |(start, rest)| format!("{start}{before}SO MANY{after}{rest}"))
}

/// Waits until somebody listens: whoever connects is only counted where that is asked for.
fn listens(port: u16) {
    let wanted = format!("0100007F:{port:04X} 00000000:0000 0A");
    until("it listens", || fs::read_to_string("/proc/net/tcp").unwrap().contains(&wanted));
}

/// Takes lines up to one that contains this text: those that are the same on every tier.
fn until_told(pcheck: &mut Pcheck, text: &str) -> Vec<String> {
    shown(pcheck.until(text))
}
