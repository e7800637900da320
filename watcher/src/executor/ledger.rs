//! What is kept and read for one pfile: its folder, its state, its dump, its rules.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use tokio::task::JoinSet;
use watcher_core::{EntryId, Event, Level, RequestId, SavedEntry, Told, Wall, pfile::AbsolutePath};

use super::{
    aside::{Aside, Desks},
    dump::Head,
    rules::RulesReader,
    rundir::RunDir,
    scripts::{self, Line, Scripts},
    store::Store,
    trace::Trace,
};

/// The ledger of one pfile.
#[derive(Debug)]
pub struct Ledger {
    /// Ours as long as we watch.
    run_dir: RunDir,
    store: Store,
    /// There is nothing to keep.
    is_void: bool,
    /// What is remembered for whoever asks what has happened.
    pub trace: Trace,
    rules: RulesReader,
    /// Where files are read.
    reading: Aside,
    /// Looks at scripts before they are needed.
    checks: JoinSet<Option<Vec<Line>>>,
    /// What to look at when that is done.
    to_check: Option<Vec<(AbsolutePath, AbsolutePath)>>,
}

impl Ledger {
    /// Of a pfile whose folder was claimed.
    #[must_use]
    pub fn new(run_dir: RunDir, store: Store, rules: RulesReader, desks: &Desks) -> Self {
        let (trace, reading) = (Trace::new(desks), desks.reading.clone());
        Self { run_dir, store, is_void: false, trace, rules, reading, checks: JoinSet::new(), to_check: None }
    }

    /// Whether rules are being read.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.rules.is_busy()
    }

    /// Waits until something that was asked for is done, and tells what came of it.
    pub async fn ready(&mut self) -> (Option<Event>, Vec<Line>) {
        tokio::select! {
            rules = self.rules.next() => {
                let warnings = self.rules.take_warnings().into_iter().map(String::into_bytes);
                (Some(rules), warnings.map(|line| (Level::Warning, line)).collect())
            }
            trouble = self.trace.ready() => (None, warning(trouble).into_iter().collect()),
            Some(checked) = self.checks.join_next() => {
                self.check_next();
                (None, checked.ok().flatten().unwrap_or_default())
            }
        }
    }

    /// Looks after what services still write that scripts have left in the background.
    pub fn tend_slowly(&self) {
        Scripts::tend_folder(self.run_dir.path());
    }

    /// Where the output of an entry's scripts goes.
    #[must_use]
    pub fn output(&self, entry: EntryId) -> PathBuf {
        self.run_dir.output(entry)
    }

    /// Tells of scripts that cannot run: before they are needed is the time to mend them.
    pub fn check_scripts(&mut self, scripts: Vec<(AbsolutePath, AbsolutePath)>) {
        self.to_check = Some(scripts);
        self.check_next();
    }

    /// Once at a time: a look at a file system that hangs would take a thread each.
    fn check_next(&mut self) {
        let Some(scripts) = self.to_check.take_if(|_| self.checks.is_empty()) else { return };
        let checked = self.reading.run(move || {
            let trouble = |(process, script): &(AbsolutePath, AbsolutePath)| {
                let why = scripts::check(Path::new(OsStr::from_bytes(script.as_slice()))).err()?;
                Some((
                    Level::Warning,
                    format!("Restart script of ({process}) cannot run: {why} [{script}]").into_bytes(),
                ))
            };
            scripts.iter().filter_map(trouble).collect()
        });
        self.checks.spawn(async { checked.await.ok() });
    }

    /// Reads the rules again.
    pub fn read_rules(&mut self, request: Option<RequestId>) {
        self.rules.start(request);
    }

    /// Keeps what must survive when we are killed. There may be a line for the log.
    pub fn save(&mut self, saved: Vec<Arc<SavedEntry>>) -> Option<Line> {
        warning(self.store.save(saved))
    }

    /// Forgets all that was kept, and keeps this.
    pub fn renew(&mut self, saved: Vec<Arc<SavedEntry>>) -> Option<Line> {
        self.is_void = saved.is_empty();
        warning(self.store.renew(saved))
    }

    /// Remembers what was told.
    pub fn note(&mut self, at: Wall, told: &Told) {
        self.trace.note(at, told);
    }

    /// The last dump. An orderly end leaves nothing to take up but scripts that still run.
    pub async fn finish<E: Serialize + Send + 'static>(
        self,
        head: Head,
        entries: Vec<(EntryId, usize, E)>,
    ) -> Option<Line> {
        // The folder is ours until the end.
        let Self { run_dir: _run_dir, store, is_void, trace, .. } = self;
        let trouble = trace.finish(head, entries).await;
        if is_void {
            store.remove();
        }
        warning(trouble)
    }
}

fn warning(trouble: Option<String>) -> Option<Line> {
    trouble.map(|trouble| (Level::Warning, trouble.into_bytes()))
}
