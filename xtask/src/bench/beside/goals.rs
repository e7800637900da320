//! The goals: each with what was measured, beside whom, and why it was missed if it was.

use std::fmt::Write as _;

use super::{
    figures::brief,
    report::Report,
    sections::{DAEMON, DEATHS, PROBES, RESTARTS, SOCKETS, figure},
};

/// What was measured for one goal.
struct Result {
    measured: String,
    beside: String,
    reached: bool,
}

struct Goal {
    what: &'static str,
    goal: &'static str,
    judge: fn(&Report<'_>) -> Option<Result>,
    /// What limits it, for when it is missed.
    floor: &'static str,
}

const GOALS: &[Goal] = &[
    Goal {
        what: "exit to known in user space, tier ebpf, p50",
        goal: "at most 0.6 × a bare pidfd + epoll loop",
        judge: |report| {
            let at = |row| figure(report.section(DEATHS), "From death", row, 1);
            ratio(at("watcher watch, ebpf")?, at("bare pidfd")?, 0.6, "µs", "bare loop")
        },
        floor: "a wake-up of the daemon, which the bare loop needs, too: what is gained is the time from the beginning of a death to its end",
    },
    Goal {
        what: "the same, p99, in the same loop",
        goal: "no worse than pidfd",
        judge: |report| {
            let at = |row| figure(report.section(DEATHS), "From death", row, 2);
            ratio(at("watcher's ring")?, at("pidfd |")?, 1.0, "µs", "pidfd in that loop")
        },
        floor: "p99 is made by whoever else runs on this machine: both are woken by the same wait",
    },
    Goal {
        what: "kill to restart script running, p50",
        goal: "at most 1.3 × (bare pidfd loop + bare spawn)",
        judge: |report| {
            let at = |row| figure(report.section(RESTARTS), "From a kill", row, 1);
            ratio(at("pcheck, tier ebpf")?, at("bare pidfd loop")?, 1.3, "µs", "bare loop")
        },
        floor: "the spawn itself, and the end of the process, for which pcheck waits so that its sockets and files are free",
    },
    Goal {
        what: "kernel time of an unrelated exit, above an empty program, with 1 watched",
        goal: "at most 60 ns",
        judge: |report| at_most(exit_cost(report, "1 |")?, 60.0, "ns"),
        floor: EXIT_FLOOR,
    },
    Goal {
        what: "the same with 100,000 watched",
        goal: "at most 60 ns",
        judge: |report| at_most(exit_cost(report, "100000 |")?, 60.0, "ns"),
        floor: EXIT_FLOOR,
    },
    Goal {
        what: "kernel time of an unrelated TCP state change, above an empty program",
        goal: "at most 60 ns",
        judge: |report| {
            at_most(figure(report.section(SOCKETS), "Kernel time of a state change", "another port", 3)?, 60.0, "ns")
        },
        floor: "three reads of kernel memory, and a bit a port",
    },
    Goal {
        what: "idle with 10,000 watched: wake-ups in 50 s",
        goal: "0",
        judge: |report| at_most(daemon(report, "idle", "wake-ups in 50 s")?, 0.0, ""),
        floor: "none: nothing has to wake it",
    },
    Goal {
        what: "idle with 10,000 watched: CPU in 50 s",
        goal: "0 ticks of 10 ms",
        judge: |report| at_most(daemon(report, "idle", "CPU in 50 s")?, 9.99, "ms"),
        floor: "none: nothing has to wake it",
    },
    Goal {
        what: "1,000 unrelated processes a second, 10,000 watched: wake-ups",
        goal: "0",
        judge: |report| {
            let noisy = report.measured("watcher-ebpf", 10_000)?.noisy.as_ref()?;
            let peer =
                report.measured("keepalived", 10_000).and_then(|it| Some(it.noisy.as_ref()?.idle.wake_ups_a_second()));
            let beside = peer.map_or_else(String::new, |peer| format!("keepalived: {} a second", brief(peer)));
            let Result { measured, reached, .. } = at_most(noisy.idle.wake_ups as f64, 0.0, "")?;
            Some(Result { measured: format!("{measured} in {} s", brief(noisy.idle.seconds)), beside, reached })
        },
        floor: "none: strangers are sorted out in the kernel",
    },
    Goal {
        what: "memory with 1 entry (RSS)",
        goal: "at most 6 MiB",
        judge: |report| at_most(daemon(report, "memory, 1 entry", "RSS")?, 6.0, "MiB"),
        floor: "0.6 MiB of data; the rest are pages of the program and of its libraries that the loop touches",
    },
    Goal {
        what: "memory with 10,000 entries (RSS)",
        goal: "at most 12 MiB",
        judge: |report| {
            let rss = daemon(report, "memory, 10,000 entries", "RSS")?;
            let peer =
                report.measured("monit", 10_000).map(|it| format!("monit: {} MiB", brief(it.quiet.memory.rss_mib)));
            at_most(rss, 12.0, "MiB").map(|it| Result { beside: peer.unwrap_or_default(), ..it })
        },
        floor: "1.4 KB an entry, of which 12 MiB would leave 0.95: its names and its line of the pfile (0.25 here), what is said and known of it (0.75), the event that it is up (0.25), the places where it is found (0.15)",
    },
    Goal {
        what: "ready after start, 10,000 entries, 10,000 processes",
        goal: "at most 2 × one bare scan of /proc",
        judge: |report| {
            let (ready, scan) = (daemon(report, "ready", "ready")?, daemon(report, "ready", "scan")?);
            ratio(ready, scan, 2.0, "ms", "one scan")
        },
        floor: "one scan; then loading the kernel programs (some 20 ms with their self-test), reading the pfile, and a line of the log for each entry",
    },
    Goal {
        what: "1,000 watched processes killed at once",
        goal: "all detected, none lost, none restarted twice",
        judge: |report| {
            let at = |what| daemon(report, "killed at once", what);
            let (killed, known, begun, twice) = (at("killed")?, at("known")?, at("restarted")?, at("twice")?);
            (killed >= 1_000.0).then(|| Result {
                measured: format!("{killed} killed, {known} known, {begun} restarted, {twice} twice"),
                beside: String::new(),
                reached: known >= killed && begun >= killed && twice < 0.5,
            })
        },
        floor: "none",
    },
    Goal {
        what: "1,000 HTTP endpoints asked every 60 s",
        goal: "at most 1 % of one core",
        judge: |report| {
            let at = |row| figure(report.section(PROBES), "1000 endpoints by HTTP,", row, 2);
            let beside = at("monit").map_or_else(String::new, |monit| format!("monit: {} %", brief(monit)));
            at_most(at("pcheck")?, 1.0, "%").map(|it| Result { beside, ..it })
        },
        floor: "a connection, a request and an answer: a dozen system calls",
    },
    Goal {
        what: "size of the stripped binary",
        goal: "at most 6 MiB",
        judge: |report| at_most(daemon(report, "binary", "size")?, 6.0, "MiB"),
        floor: "the TLS library and the command line take most of it",
    },
];

const EXIT_FLOOR: &str = "one read of kernel memory, and a bit a process: a cache miss costs as much as all the rest";

pub(super) fn table(out: &mut String, report: &Report<'_>) {
    let _written = writeln!(out, "## Goals\n\n| what | goal | measured | beside | |\n| --- | --- | --- | --- | --- |");
    for Goal { what, goal, judge, floor } in GOALS {
        let row = match judge(report) {
            Some(Result { measured, beside, reached: true }) => format!("{measured} | {beside} | reached |"),
            Some(Result { measured, beside, reached: false }) => {
                format!("{measured} | {beside} | **missed**; the floor: {floor} |")
            }
            None => "not measured in this run | | |".to_owned(),
        };
        let _written = writeln!(out, "| {what} | {goal} | {row}");
    }
    out.push('\n');
}

fn exit_cost(report: &Report<'_>, row: &str) -> Option<f64> {
    figure(report.section(DEATHS), "Kernel time of an unrelated exit", row, 3)
}

/// A figure of the daemon, by the heading of its table and the name of its row.
fn daemon(report: &Report<'_>, heading: &str, row: &str) -> Option<f64> {
    figure(report.section(DAEMON), heading, row, 1)
}

fn ratio(ours: f64, theirs: f64, most: f64, unit: &str, whom: &str) -> Option<Result> {
    let ratio = (theirs > 0.0).then(|| ours / theirs)?;
    Some(Result {
        measured: format!("{ratio:.2} × ({} {unit})", brief(ours)),
        beside: format!("{whom}: {} {unit}", brief(theirs)),
        reached: ratio <= most,
    })
}

fn at_most(value: f64, most: f64, unit: &str) -> Option<Result> {
    let measured = format!("{} {unit}", brief(value)).trim_end().to_owned();
    Some(Result { measured, beside: String::new(), reached: value <= most })
}

#[cfg(test)]
mod tests {
    use super::{at_most, ratio};

    #[test]
    fn a_goal_is_reached_at_its_edge_and_missed_beyond() {
        assert!(at_most(60.0, 60.0, "ns").unwrap().reached);
        assert!(!at_most(60.1, 60.0, "ns").unwrap().reached);
        assert!(ratio(130.0, 100.0, 1.3, "µs", "it").unwrap().reached);
        assert!(!ratio(131.0, 100.0, 1.3, "µs", "it").unwrap().reached);
    }

    #[test]
    fn a_ratio_to_nothing_is_no_figure() {
        assert!(ratio(1.0, 0.0, 1.3, "µs", "it").is_none());
        let it = ratio(50.0, 100.0, 0.6, "µs", "bare loop").unwrap();
        assert_eq!((it.measured.as_str(), it.beside.as_str()), ("0.50 × (50.0 µs)", "bare loop: 100 µs"));
    }
}
