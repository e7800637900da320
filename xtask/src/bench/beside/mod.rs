//! All tools beside each other, at all sizes, quiet and among strangers: what `BENCH.md` is made of.

mod cell;
mod facts;
mod figures;
mod goals;
mod plan;
mod plot;
mod progress;
mod report;
mod sections;
mod store;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use xshell::{Shell, cmd};

use self::{
    facts::Facts,
    figures::Outcome,
    plan::{Cell, Plan},
    progress::{Progress, spoken},
    report::Report,
    sections::Section,
    store::{Found, Store},
};
use super::peers;
use crate::{say, step, workspace};

/// What was asked for on the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) quick: bool,
    pub(super) tools: &'a [String],
    pub(super) sizes: &'a [usize],
    pub(super) fresh: bool,
}

/// A cell that takes longer than that beyond its estimate hangs.
const SPARE: Duration = Duration::from_secs(600);

/// Measures what has not been measured yet, and writes the report.
pub(super) fn run(shell: &Shell, wish: &Wish<'_>) -> anyhow::Result<()> {
    let plan = Plan::make(wish)?;
    let load = facts::load();
    let peers = peers::watching(shell)?;
    step("build");
    cmd!(shell, "cargo build --quiet --release --package watcher-tests --package watcher --bins").quiet().run()?;
    let target = workspace::target()?;
    let binaries = target.join("release");
    let facts = Facts::gather(shell, &plan, &peers, load)?;
    let store = Store::open(target.join("bench/cells"))?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("signals cannot be heard")?;
    }
    let measuring = Measuring { plan: &plan, facts: &facts, store, peers, binaries, stop, fresh: wish.fresh };
    let Cells { done, failed } = measuring.all_cells()?;
    let sections = measuring.sections()?;
    let report = Report { plan: &plan, facts: &facts, cells: &done, sections: &sections, failed: &failed };
    write(&report, &target)
}

/// What came of all cells.
struct Cells {
    done: Vec<(Cell, Outcome)>,
    /// Of which nothing came, because the bench itself has failed.
    failed: Vec<(Cell, String)>,
}

struct Measuring<'a> {
    plan: &'a Plan,
    facts: &'a Facts,
    store: Store,
    peers: PathBuf,
    binaries: PathBuf,
    stop: Arc<AtomicBool>,
    fresh: bool,
}

impl Measuring<'_> {
    /// What came of each.
    fn all_cells(&self) -> anyhow::Result<Cells> {
        step("bench");
        let (mut done, mut left) = (Vec::new(), Vec::new());
        for cell in self.plan.cells() {
            match self.known(&name(&cell, self.plan), &self.facts.key(cell.tool, self.plan)) {
                Some(outcome) => done.push((cell, outcome)),
                None => left.push(cell),
            }
        }
        if !done.is_empty() {
            say(&format!("{} cells have been measured before (--fresh measures them again)", done.len()));
        }
        let total: Duration = left.iter().map(|cell| self.plan.estimate(cell)).sum();
        let sections = Section::all(self.plan).into_iter().filter(|section| !self.is_known(section));
        let sections: Duration = sections.map(|section| section.estimate).sum();
        say(&format!("{} cells take about {}; what comes after them, {}", left.len(), spoken(total), spoken(sections)));
        let mut progress = Progress::over(total);
        let mut failed = Vec::new();
        for cell in left {
            progress.begin(&format!("{}, {} processes", cell.tool.name, cell.size), self.plan.estimate(&cell));
            match self.measure(&cell, &progress) {
                Ok(outcome) => {
                    self.store.keep(&name(&cell, self.plan), &self.facts.key(cell.tool, self.plan), &outcome)?;
                    if let Outcome::Cannot { cannot } = &outcome {
                        progress.say(&format!("{}, {}: {cannot}", cell.tool.name, cell.size));
                    }
                    done.push((cell, outcome));
                }
                Err(error) if self.is_stopped() => return Err(error),
                Err(error) => {
                    progress.say(&format!("{}, {}: not measured: {error:#}", cell.tool.name, cell.size));
                    failed.push((cell, format!("{error:#}")));
                }
            }
            progress.end();
        }
        Ok(Cells { done, failed })
    }

    fn key_of(&self, section: &Section) -> String {
        format!("{}; {:?}", self.facts.key_of_section(), section.words)
    }

    /// Whether it need not be measured.
    fn is_known(&self, section: &Section) -> bool {
        let found: Found<String> = self.store.find(&section.file(), &self.key_of(section));
        !self.fresh && matches!(found, Found::Usable(_))
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(std::sync::atomic::Ordering::Acquire)
    }

    fn known<T: DeserializeOwned>(&self, name: &str, key: &str) -> Option<T> {
        if self.fresh {
            return None;
        }
        match self.store.find(name, key) {
            Found::Usable(outcome) => Some(outcome),
            Found::Nothing => None,
            Found::Useless(why) => {
                say(&format!("{name} is measured again: {why}"));
                None
            }
        }
    }

    fn measure(&self, cell: &Cell, progress: &Progress) -> anyhow::Result<Outcome> {
        let folder = tempfile::tempdir().context("a folder for the workers")?;
        let out = folder.path().join("result.json");
        let work = folder.path().join("work");
        fs::create_dir(&work)?;
        let plan::Windows { warm_up, idle, kills, patience, noise } = self.plan.windows;
        let mut words = vec!["--tool".to_owned(), cell.tool.name.to_owned()];
        let numbers = [
            ("--size", cell.size as u64),
            ("--warm-up", warm_up),
            ("--idle", idle),
            ("--kills", kills),
            ("--patience", patience),
            ("--noise", noise),
        ];
        words.extend(numbers.into_iter().flat_map(|(option, value)| [option.to_owned(), value.to_string()]));
        for (option, path) in [("--peers", &self.peers), ("--folder", &work), ("--out", &out)] {
            words.extend([option.to_owned(), path.display().to_string()]);
        }
        let limit = self.plan.estimate(cell) + SPARE;
        cell::run(&self.binaries, &self.binaries.join("bench_beside"), &words, limit, &self.stop, &|phase| {
            progress.show(phase)
        })?;
        cell::result(&out)
    }

    /// The other benches, whose tables are taken over as they are.
    fn sections(&self) -> anyhow::Result<Vec<(Section, String)>> {
        let mut done = Vec::new();
        let all = Section::all(self.plan);
        let mut progress = Progress::over(all.iter().map(|section| section.estimate).sum());
        for section in all {
            let key = self.key_of(&section);
            if let Some(text) = self.known(&section.file(), &key) {
                done.push((section, text));
                continue;
            }
            progress.begin(section.title, section.estimate);
            match section.run(&self.binaries, &self.peers, &self.stop, &progress) {
                Ok(text) => {
                    self.store.keep(&section.file(), &key, &text)?;
                    done.push((section, text));
                }
                Err(error) if self.is_stopped() => return Err(error),
                Err(error) => progress.say(&format!("{}: not measured: {error:#}", section.title)),
            }
            progress.end();
        }
        Ok(done)
    }
}

/// A cell's file.
fn name(cell: &Cell, plan: &Plan) -> String {
    format!("{}-{}{}", cell.tool.name, cell.size, if plan.quick { "-quick" } else { "" })
}

/// A report that has less than the one that lies at the project's root is put elsewhere.
fn write(report: &Report<'_>, target: &Path) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let there = fs::read_to_string(root.join("BENCH.md")).unwrap_or_default();
    let folder = if report.plan.is_full() || !report::is_full(&there) { root } else { target.join("bench") };
    for (name, svg) in report.plots() {
        let path = folder.join(&name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(&path, svg).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let path = folder.join("BENCH.md");
    fs::write(&path, report.text()).with_context(|| format!("{} cannot be written", path.display()))?;
    say(&format!("written: {}", path.display()));
    Ok(())
}
