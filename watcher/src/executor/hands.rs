//! Everything that does what the core asks for, on the whole host, and brings back what came of it; watching apart, which
//! is [`super::watch`], and what is kept for each pfile, which is [`super::ledger`].

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tracing::warn;
use watcher_core::{Event, Level, ProbeId, ProcId, RunId, ScriptOrder, Signal, Told, probe::Ask};

use super::{
    lister::Lister,
    log::Log,
    probe::{Attempt, Prober},
    scripts::{Line, Scripts},
};

/// How long the last lines of the log may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The hands.
#[derive(Debug)]
pub struct Hands {
    log: Log,
    scripts: Scripts,
    lister: Lister,
    prober: Prober,
    probed: Vec<(ProbeId, Attempt)>,
    /// What scripts say, until it is told.
    said: Vec<Line>,
}

impl Hands {
    /// Ready to do.
    #[must_use]
    pub fn new(log: Log, scripts: Scripts) -> Self {
        Self { log, scripts, lister: Lister::default(), prober: Prober::new(), probed: Vec::new(), said: Vec::new() }
    }

    /// Waits until something that was asked for is done, and tells what came of it.
    pub async fn ready(&mut self, events: &mut Vec<Event>) {
        tokio::select! {
            () = self.scripts.ready() => self.scripts.collect(events, &mut self.said),
            listed = self.lister.next() => events.extend(listed),
            () = self.prober.ready(&mut self.probed) => {
                let event = |(probe, attempt): (_, Attempt)| Event::Probed { probe, verdict: attempt.verdict };
                events.extend(self.probed.drain(..).map(event));
            }
            () = self.log.ready() => self.log.retry(),
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

    /// Takes leave of what scripts have left in the background, and has ended.
    pub fn tend_slowly(&self) {
        self.scripts.reap_orphans();
    }

    /// Runs a script. Its output goes into this file.
    pub fn run(&mut self, order: ScriptOrder, output: PathBuf) {
        self.scripts.start(order, Some(output));
    }

    /// Ends a script.
    pub fn end_run(&mut self, run: RunId, force: bool, events: &mut Vec<Event>) {
        self.scripts.end(run, force, events);
    }

    /// Whoever has ordered scripts until now has gone. What they have left to say is told.
    pub async fn disown_scripts(&mut self, events: &mut Vec<Event>) {
        self.scripts.disown(events, &mut self.said).await;
        self.tell_said();
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

    /// Sends a signal.
    pub fn signal(&mut self, proc: ProcId, signal: Signal, send: fn(ProcId, Signal) -> io::Result<()>) {
        if let Err(error) = send(proc, signal) {
            warn!(%error, pid = %proc.pid, "the signal was not sent");
            let line = format!("{signal} cannot be sent to process {}: {error}", proc.pid);
            self.log.tell(Level::Error, line.as_bytes());
        }
    }

    /// Tells the log.
    pub fn tell(&mut self, told: &Told) {
        if let Some((level, line)) = told.line() {
            self.log.tell(level, &line);
        }
    }

    /// Tells the log something that is about no entry.
    pub fn say(&mut self, level: Level, sentence: &str) {
        self.log.tell(level, sentence.as_bytes());
    }

    /// Tells the log these lines.
    pub fn pass_on(&mut self, lines: impl IntoIterator<Item = Line>) {
        for (level, line) in lines {
            self.log.tell(level, &line);
        }
    }

    fn tell_said(&mut self) {
        for (level, line) in self.said.drain(..) {
            self.log.tell(level, &line);
        }
        if let Some(trouble) = self.lister.take_trouble() {
            self.log.tell(Level::Error, trouble.as_bytes());
        }
    }

    /// So many entries have things told of them.
    pub fn expect_lines_of(&mut self, entries: usize) {
        self.log.expect_of(entries);
    }

    /// The last words.
    pub fn finish(mut self) {
        self.log.flush(LAST_LINES);
    }
}
