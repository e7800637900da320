//! The other benches: run as they are, their tables taken over as they are.

use std::{fs, path::Path, sync::atomic::AtomicBool, time::Duration};

use anyhow::Context as _;

use super::{cell, plan::Plan, progress::Progress};

// What they are called in the report, where the goals find their figures.
pub(super) const DAEMON: &str = "many pfiles, start, reload, padmin";
pub(super) const DEATHS: &str = "deaths and strangers";
pub(super) const PROBES: &str = "probes";
pub(super) const RESTARTS: &str = "restarts";
pub(super) const SOCKETS: &str = "sockets";

/// One of them.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) program: &'static str,
    pub(super) words: &'static [&'static str],
    pub(super) estimate: Duration,
}

impl Section {
    /// Those that belong to a plan.
    pub(super) fn all(plan: &Plan) -> Vec<Self> {
        let section =
            |title, program, words, seconds| Self { title, program, words, estimate: Duration::from_secs(seconds) };
        if plan.quick {
            return vec![
                section(DAEMON, "bench_beside", &["--daemon", "--quick"], 25),
                section(DEATHS, "bench_exit", &["--quick"], 25),
                section(RESTARTS, "bench_restart", &["--quick"], 10),
            ];
        }
        if !plan.is_full() {
            return Vec::new();
        }
        vec![
            section(DAEMON, "bench_beside", &["--daemon"], 300),
            section(DEATHS, "bench_exit", &[], 240),
            section(RESTARTS, "bench_restart", &[], 100),
            section(SOCKETS, "bench_sockets", &["--only", "kernel"], 120),
            section(PROBES, "bench_probe", &["--brief"], 180),
        ]
    }

    /// Where it is kept.
    pub(super) fn file(&self) -> String {
        let words: String = self.words.iter().map(|word| word.replace("--", "-")).collect();
        format!("{}{words}", self.program)
    }

    /// Runs it; what it has printed.
    pub(super) fn run(
        &self,
        binaries: &Path,
        peers: &Path,
        stop: &AtomicBool,
        progress: &Progress,
    ) -> anyhow::Result<String> {
        let folder = tempfile::tempdir().context("a folder")?;
        let out = folder.path().join("said");
        // The keeper listens to nothing that it prints, so that goes to a file.
        let script = "out=$1 TMPDIR=$2; export TMPDIR; shift 2; exec \"$@\" > \"$out\"";
        let mut words = vec!["-c".to_owned(), script.to_owned(), "sh".to_owned(), out.display().to_string()];
        // What it makes is removed also when it is stopped.
        words.push(folder.path().display().to_string());
        words.push(binaries.join(self.program).display().to_string());
        words.extend(self.words.iter().map(|word| (*word).to_owned()));
        if self.program == "bench_probe" {
            words.extend(["--peers".to_owned(), peers.display().to_string()]);
        }
        let limit = self.estimate * 3 + Duration::from_secs(300);
        cell::run(binaries, Path::new("/bin/sh"), &words, limit, stop, &|phase| progress.show(phase))?;
        fs::read_to_string(&out).context("what it has printed")
    }
}

/// A figure in a table of Markdown: under a heading that begins so, in the row that begins so, in this column.
pub(super) fn figure(text: &str, heading: &str, row: &str, column: usize) -> Option<f64> {
    let below = text.lines().skip_while(|line| !line.trim_start_matches('#').trim_start().starts_with(heading));
    let below = below.skip(1).take_while(|line| !line.starts_with("## "));
    let mut rows = below.filter_map(|line| line.strip_prefix("| "));
    let cells: Vec<_> = rows.find(|line| line.starts_with(row))?.split('|').map(str::trim).collect();
    let number: String = cells.get(column)?.chars().take_while(|letter| "0123456789.-".contains(*letter)).collect();
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::figure;

    const TEXT: &str = "## From death to knowing it: 300 deaths\n\n| alone | p50 | p99 |\n| --- | ---: | ---: |\n\
        | watcher | 23.5 | 130 |\n\n## Other\n\n| watcher | 1 (2 %) | -3 |\n";

    #[test]
    fn a_figure_is_found_by_heading_row_and_column() {
        assert_eq!(figure(TEXT, "From death", "watcher |", 2), Some(130.0));
        assert_eq!(figure(TEXT, "Other", "watcher |", 1), Some(1.0));
        assert_eq!(figure(TEXT, "Other", "watcher |", 2), Some(-3.0));
    }

    #[test]
    fn what_is_not_there_is_no_figure() {
        assert_eq!(figure(TEXT, "From death", "monit |", 2), None);
        assert_eq!(figure(TEXT, "From death", "watcher |", 9), None);
        assert_eq!(figure(TEXT, "From death", "alone |", 1), None);
        assert_eq!(figure(TEXT, "Nothing", "watcher |", 1), None);
    }
}
