//! What is measured, for how long, and how long all of it will take.

use std::time::Duration;

use anyhow::ensure;

use super::Wish;

/// Changes whenever figures of before can no longer be put beside those of today.
pub(super) const METHOD: u32 = 1;

/// All tools, in the order of the report; the program by which each is known, below the peers.
pub(super) const TOOLS: [Tool; 11] = [
    Tool { name: "watcher-ebpf", title: "watcher, tier ebpf", program: Program::Watcher },
    Tool { name: "watcher-pidfd", title: "watcher, tier pidfd", program: Program::Watcher },
    Tool { name: "watcher-connector", title: "watcher, tier connector", program: Program::Watcher },
    Tool { name: "watcher-poll", title: "watcher, tier poll (1 s)", program: Program::Watcher },
    Tool { name: "floor", title: "bare pidfd + epoll", program: Program::Own },
    Tool { name: "monit", title: "monit (1 s)", program: Program::Debian("monit", "usr/bin/monit") },
    Tool { name: "supervisord", title: "supervisord", program: Program::Python },
    Tool {
        name: "keepalived",
        title: "keepalived track_process",
        program: Program::Debian("keepalived", "usr/sbin/keepalived"),
    },
    Tool { name: "s6", title: "s6", program: Program::Debian("s6", "usr/bin/s6-supervise") },
    Tool { name: "restartd", title: "restartd (1 s)", program: Program::Debian("restartd", "usr/sbin/restartd") },
    Tool {
        name: "process-exporter",
        title: "process-exporter (scraped every 1 s)",
        program: Program::Debian("prometheus-process-exporter", "usr/bin/prometheus-process-exporter"),
    },
];

const SIZES: [usize; 5] = [10, 100, 1_000, 5_000, 10_000];

const QUICK_TOOLS: [&str; 5] = ["watcher-ebpf", "watcher-pidfd", "floor", "monit", "s6"];

const QUICK_SIZES: [usize; 1] = [100];

#[derive(Clone, Copy, Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// In the report.
    pub(super) title: &'static str,
    pub(super) program: Program,
}

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Program {
    /// A package of Debian, and the program in it.
    Debian(&'static str, &'static str),
    /// This bench.
    Own,
    /// supervisord, from PyPI.
    Python,
    Watcher,
}

/// Seconds of each part of a cell, and strangers a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    pub(super) warm_up: u64,
    pub(super) idle: u64,
    pub(super) kills: u64,
    pub(super) patience: u64,
    pub(super) noise: u64,
}

const FULL: Windows = Windows { warm_up: 5, idle: 15, kills: 14, patience: 10, noise: 1_000 };

const QUICK: Windows = Windows { warm_up: 1, idle: 2, kills: 3, patience: 5, noise: 1_000 };

/// One tool and so many watched processes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) tool: &'static Tool,
    pub(super) size: usize,
}

pub(super) struct Plan {
    pub(super) tools: Vec<&'static Tool>,
    pub(super) sizes: Vec<usize>,
    pub(super) windows: Windows,
    pub(super) quick: bool,
}

impl Plan {
    pub(super) fn make(wish: &Wish<'_>) -> anyhow::Result<Self> {
        const ALL: &[Tool] = &TOOLS;
        for name in wish.tools {
            let names = ALL.iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ");
            ensure!(ALL.iter().any(|tool| tool.name == name), "no tool is called {name}; there are {names}");
        }
        ensure!(wish.sizes.iter().all(|size| (1..=30_000).contains(size)), "sizes are 1 to 30,000");
        let is_wanted = |tool: &&Tool| match (wish.tools, wish.quick) {
            ([], true) => QUICK_TOOLS.contains(&tool.name),
            ([], false) => true,
            (tools, _) => tools.iter().any(|name| name == tool.name),
        };
        let sizes = match (wish.sizes, wish.quick) {
            ([], true) => QUICK_SIZES.to_vec(),
            ([], false) => SIZES.to_vec(),
            (sizes, _) => sizes.to_vec(),
        };
        let windows = if wish.quick { QUICK } else { FULL };
        Ok(Self { tools: ALL.iter().filter(is_wanted).collect(), sizes, windows, quick: wish.quick })
    }

    /// Small ones first: what is wrong is seen early.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let row = |size: &usize| {
            let size = *size;
            self.tools.iter().map(move |tool| Cell { tool, size })
        };
        self.sizes.iter().flat_map(row).collect()
    }

    /// Everything that `BENCH.md` should have.
    pub(super) fn is_full(&self) -> bool {
        !self.quick && self.tools.len() == TOOLS.len() && self.sizes == SIZES
    }

    /// How long a cell takes, about.
    pub(super) fn estimate(&self, cell: &Cell) -> Duration {
        let Windows { warm_up, idle, kills, patience: _, noise: _ } = self.windows;
        // To start so many processes, to end them, and to read what each has cost.
        let processes = cell.size as u64 / 400;
        Duration::from_secs(4 + processes + 2 * (warm_up + idle + kills))
    }
}

#[cfg(test)]
mod tests {
    use super::{Plan, SIZES, TOOLS};
    use crate::bench::beside::Wish;

    fn plan(quick: bool, tools: &[&str], sizes: &[usize]) -> anyhow::Result<Plan> {
        let tools: Vec<_> = tools.iter().map(|name| (*name).to_owned()).collect();
        Plan::make(&Wish { quick, tools: &tools, sizes, fresh: false })
    }

    fn minutes(plan: &Plan) -> u64 {
        plan.cells().iter().map(|cell| plan.estimate(cell).as_secs()).sum::<u64>() / 60
    }

    #[test]
    fn all_of_it_is_every_tool_at_every_size_in_less_than_ninety_minutes() {
        let plan = plan(false, &[], &[]).unwrap();
        assert!(plan.is_full());
        assert_eq!(plan.cells().len(), TOOLS.len() * SIZES.len());
        assert!(minutes(&plan) < 90, "{}", minutes(&plan));
    }

    #[test]
    fn the_quick_form_takes_less_than_three_minutes() {
        let plan = plan(true, &[], &[]).unwrap();
        assert!(!plan.is_full());
        assert!(minutes(&plan) < 3);
    }

    #[test]
    fn a_tool_that_is_not_known_is_an_error_that_names_the_others() {
        let error = plan(false, &["mont"], &[]).err().unwrap().to_string();
        assert!(error.contains("mont;") && error.contains("monit"), "{error}");
        assert_eq!(plan(false, &["monit"], &[7]).unwrap().cells().len(), 1);
        assert!(plan(false, &[], &[0]).is_err());
    }
}
