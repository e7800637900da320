//! One tool, one server, one window of time: one line of a table.

use std::{path::Path, process, thread, time::Duration};

use tempfile::TempDir;
use watcher_tests::family::{self, Cost, Memory};

use crate::{
    Tool,
    blackbox::Blackbox,
    endpoints::Endpoints,
    kept::Kept,
    monit::Monit,
    pcheck::Pcheck,
    server::{self, Seen, Server},
};

/// What is measured, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) endpoints: Endpoints,
    /// Seconds between two questions to the same endpoint.
    pub(crate) interval: u64,
    /// So many of them are measured.
    pub(crate) intervals: u64,
    /// Seconds from the first question until then.
    pub(crate) warm_up: u64,
}

/// What came of it.
struct Measured {
    cost: Cost,
    memory: Memory,
    seen: Seen,
    /// Nanoseconds of processors: what the bench itself took, and what was neither that, nor the server, nor the tool.
    bench: u64,
    others: u64,
}

pub(crate) fn pcheck(plan: &Plan) {
    let folder = folder();
    let memory = {
        let idle = Pcheck::start(folder.path(), &plan.endpoints, None);
        Memory::of(idle.kept.pid)
    };
    let server = Server::start(folder.path(), &plan.endpoints);
    let pcheck = Pcheck::start(folder.path(), &plan.endpoints, Some(plan.interval));
    let measured = measure(plan, &server, &pcheck.kept);
    row(plan, &format!("{}, tier {}", Tool::Pcheck.name(), pcheck.tier()), &measured, pcheck.failures());
    let Memory { rss, pss, peak } = memory;
    println!("| the same entries without checks | | | | {rss:.1} | {pss:.1} | {peak:.1} | | | | | | |");
}

pub(crate) fn monit(plan: &Plan, peers: &Path) {
    let folder = folder();
    let server = Server::start(folder.path(), &plan.endpoints);
    let monit = Monit::start(folder.path(), peers, &plan.endpoints, plan.interval);
    let measured = measure(plan, &server, &monit.kept);
    row(plan, Tool::Monit.name(), &measured, monit.failures(folder.path()));
}

pub(crate) fn blackbox(plan: &Plan, peers: &Path) {
    let folder = folder();
    let server = Server::start(folder.path(), &plan.endpoints);
    let blackbox = Blackbox::start(folder.path(), peers, &plan.endpoints, plan.interval);
    let measured = measure(plan, &server, &blackbox.kept);
    row(plan, Tool::Blackbox.name(), &measured, blackbox.failures());
    let scraper = per_probe(measured.bench, &measured.seen);
    println!("| whoever asks it, not counted | {scraper:.0} | | | | | | | | | | | |");
}

fn measure(plan: &Plan, server: &Server, tool: &Kept) -> Measured {
    server.await_first();
    thread::sleep(Duration::from_secs(plan.warm_up));
    let look = || [Cost::of_family(tool.pid), Cost::of_family(server.pid()), Cost::of(process::id())];
    let (from, busy, before) = (server::wall(), family::busy(), look());
    thread::sleep(Duration::from_secs(plan.interval * plan.intervals));
    let (to, busy_after, after) = (server::wall(), family::busy(), look());
    let memory = Memory::of(tool.pid);
    let [cost, served, bench] = [0, 1, 2].map(|at| after[at].since(&before[at]));
    let others = (busy_after - busy).saturating_sub(cost.cpu + served.cpu + bench.cpu);
    Measured { cost, memory, seen: server.seen(from, to), bench: bench.cpu, others }
}

fn row(plan: &Plan, name: &str, measured: &Measured, failures: usize) {
    let Measured { cost, memory: Memory { rss, pss, peak }, seen, bench: _, others } = measured;
    let cpu = per_probe(cost.cpu, seen);
    let count = plan.endpoints.count as f64;
    let wanted = count * plan.intervals as f64;
    let seconds = (plan.interval * plan.intervals) as f64;
    println!(
        "| {name} | {cpu:.0} ({:.0} %) | {:.2} | {:.1} | {rss:.1} | {pss:.1} | {peak:.1} | {} ({:.0} %) | {} | {} | {} | {} | {:.0} |",
        cost.system_share(),
        cpu * count / 60.0 / 1e4,
        cost.wake_ups as f64 / seen.requests.max(1) as f64,
        seen.requests,
        seen.requests as f64 * 100.0 / wanted,
        seen.apart.map_or_else(|| "–".to_owned(), |apart| format!("{apart:.1}")),
        failures + seen.odd,
        seen.protocol,
        seen.resumed,
        *others as f64 / seconds / 1e7,
    );
}

/// Microseconds.
fn per_probe(nanoseconds: u64, seen: &Seen) -> f64 {
    nanoseconds as f64 / 1e3 / seen.requests.max(1) as f64
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}
