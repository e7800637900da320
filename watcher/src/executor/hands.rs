//! Everything that does for pcheck what its core asks for, and brings back what came of it; watching apart, which is
//! [`super::watch`].

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt as _, path::Path, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::task::JoinSet;
use tracing::warn;
use watcher_core::{
    EntryId, Event, Level, ProbeId, ProcId, RequestId, RunId, SavedEntry, ScriptOrder, Signal, Told, Wall,
    pfile::AbsolutePath, probe::Ask,
};

use super::{
    dump::Head,
    lister::Lister,
    log::Log,
    probe::{Attempt, Prober},
    rules::RulesReader,
    rundir::RunDir,
    scripts::{self, Scripts},
    store::Store,
    trace::Trace,
};

/// How long the last lines of the log may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The hands of pcheck.
#[derive(Debug)]
pub struct Hands {
    /// Ours as long as we run.
    run_dir: RunDir,
    log: Log,
    store: Store,
    /// There is nothing to keep.
    is_void: bool,
    /// What is remembered for whoever asks what has happened.
    pub trace: Trace,
    scripts: Scripts,
    lister: Lister,
    rules: RulesReader,
    prober: Prober,
    probed: Vec<(ProbeId, Attempt)>,
    /// Looks at scripts before they are needed.
    checks: JoinSet<Vec<scripts::Line>>,
    /// What to look at when that is done.
    to_check: Option<Vec<(AbsolutePath, AbsolutePath)>>,
    /// What scripts say, until it is told.
    said: Vec<scripts::Line>,
}

impl Hands {
    /// Ready to do.
    #[must_use]
    pub fn new(run_dir: RunDir, log: Log, store: Store, scripts: Scripts, rules: RulesReader) -> Self {
        Self {
            run_dir,
            log,
            store,
            is_void: false,
            trace: Trace::default(),
            scripts,
            lister: Lister::default(),
            rules,
            prober: Prober::new(),
            probed: Vec::new(),
            checks: JoinSet::new(),
            to_check: None,
            said: Vec::new(),
        }
    }

    /// Waits until something that was asked for is done, and tells what came of it.
    pub async fn ready(&mut self, events: &mut Vec<Event>) {
        tokio::select! {
            () = self.scripts.ready() => self.scripts.collect(events, &mut self.said),
            listed = self.lister.next() => events.extend(listed),
            rules = self.rules.next() => events.push(rules),
            () = self.prober.ready(&mut self.probed) => {
                let event = |(probe, attempt): (_, Attempt)| Event::Probed { probe, verdict: attempt.verdict };
                events.extend(self.probed.drain(..).map(event));
            }
            () = self.log.ready() => self.log.retry(),
            trouble = self.trace.ready() => self.warn(trouble),
            Some(checked) = self.checks.join_next() => {
                self.said.extend(checked.unwrap_or_default());
                self.check_next();
            }
        }
        self.tell_said();
    }

    /// Whether scripts run, whose output is to be looked after.
    #[must_use]
    pub fn must_tend(&self) -> bool {
        self.scripts.must_tend()
    }

    /// Looks after scripts that run.
    pub fn tend(&mut self, events: &mut Vec<Event>) {
        self.scripts.tend(events, &mut self.said);
        self.tell_said();
    }

    /// Looks after what services still write that scripts have left in the background.
    pub fn tend_slowly(&self) {
        Scripts::tend_folder(self.run_dir.path());
        self.scripts.reap_orphans();
    }

    /// Runs a script.
    pub fn run(&mut self, order: ScriptOrder) {
        let output = self.run_dir.output(order.entry);
        self.scripts.start(order, Some(output));
    }

    /// Tells of scripts that cannot run: before they are needed is the time to mend them.
    pub fn check_scripts(&mut self, scripts: Vec<(AbsolutePath, AbsolutePath)>) {
        self.to_check = Some(scripts);
        self.check_next();
    }

    /// Once at a time: a look at a file system that hangs would take a thread each.
    fn check_next(&mut self) {
        let Some(scripts) = self.to_check.take_if(|_| self.checks.is_empty()) else { return };
        self.checks.spawn_blocking(move || {
            let trouble = |(process, script): &(AbsolutePath, AbsolutePath)| {
                let why = scripts::check(Path::new(OsStr::from_bytes(script.as_slice()))).err()?;
                Some((
                    Level::Warning,
                    format!("Restart script of ({process}) cannot run: {why} [{script}]").into_bytes(),
                ))
            };
            scripts.iter().filter_map(trouble).collect()
        });
    }

    /// Ends a script.
    pub fn end_run(&mut self, run: RunId, force: bool, events: &mut Vec<Event>) {
        self.scripts.end(run, force, events);
    }

    /// Lists all processes.
    pub fn list(&mut self) {
        self.lister.start();
    }

    /// Asks a service, once.
    pub fn probe(&mut self, probe: ProbeId, ask: Arc<Ask>) {
        self.prober.start(probe, ask);
    }

    /// That is not wanted any more.
    pub fn forget_probe(&mut self, probe: ProbeId) {
        self.prober.forget(probe);
    }

    /// Reads the rules again.
    pub fn read_rules(&mut self, request: Option<RequestId>) {
        self.rules.start(request);
    }

    /// Keeps what must survive when we are killed.
    pub fn save(&mut self, saved: &SavedEntry) {
        let trouble = self.store.save(saved);
        self.warn(trouble);
    }

    /// Forgets all that was kept, and keeps this.
    pub fn renew(&mut self, saved: &[SavedEntry]) {
        self.is_void = saved.is_empty();
        let trouble = self.store.renew(saved);
        self.warn(trouble);
    }

    fn warn(&mut self, trouble: Option<String>) {
        if let Some(trouble) = trouble {
            self.log.tell(Level::Warning, trouble.as_bytes());
        }
    }

    /// Sends a signal.
    pub fn signal(&mut self, proc: ProcId, signal: Signal, send: fn(ProcId, Signal) -> io::Result<()>) {
        if let Err(error) = send(proc, signal) {
            warn!(%error, pid = %proc.pid, "the signal was not sent");
            let line = format!("{signal} cannot be sent to process {}: {error}", proc.pid);
            self.log.tell(Level::Error, line.as_bytes());
        }
    }

    /// Tells the log, and whoever follows.
    pub fn tell(&mut self, at: Wall, told: &Told) {
        self.trace.note(at, told);
        if let Some((level, line)) = told.line() {
            self.log.tell(level, &line);
        }
    }

    /// Tells the log something that is about no entry.
    pub fn say(&mut self, level: Level, sentence: &str) {
        self.log.tell(level, sentence.as_bytes());
    }

    fn tell_said(&mut self) {
        for (level, line) in self.said.drain(..) {
            self.log.tell(level, &line);
        }
        for warning in self.rules.take_warnings() {
            self.log.tell(Level::Warning, warning.as_bytes());
        }
        if let Some(trouble) = self.lister.take_trouble() {
            self.log.tell(Level::Error, trouble.as_bytes());
        }
    }

    /// The last words. An orderly end leaves nothing to take up but scripts that still run.
    pub async fn finish<E: Serialize + Send + 'static>(mut self, head: Head, entries: Vec<(EntryId, usize, E)>) {
        let trouble = std::mem::take(&mut self.trace).finish(head, entries).await;
        self.warn(trouble);
        if self.is_void {
            self.store.remove();
        }
        self.log.flush(LAST_LINES);
    }
}
