//! Failure analysis: the last events of each entry, what could be seen of processes that died, and the dump file with both.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde::Serialize;
use tokio::task::JoinSet;
use watcher_core::{EntryId, ProcId, Told, Wall, pfile::AbsolutePath};

use super::{
    aside::{Aside, Desks},
    dump::{Contents, DumpFile, EntrySnapshot, Head, Ready},
    event_line::EventLine,
    journal::Journal,
    snapshot::Snapshot,
};

/// How long the last dump may take.
const LAST_DUMP: Duration = Duration::from_secs(2);

/// So many processes are looked at at once; those that wait meanwhile vanish, so it makes no sense to keep many waiting.
const AT_ONCE: usize = 2;
const WAITING: usize = 64;

/// What is remembered for whoever asks what has happened.
#[derive(Debug)]
pub struct Trace {
    journal: Journal,
    dump: DumpFile,
    is_due: bool,
    /// Where processes are looked at.
    aside: Aside,
    looking: JoinSet<(EntryId, Option<Snapshot>)>,
    to_look: VecDeque<(EntryId, ProcId)>,
    snapshots: BTreeMap<EntryId, Snapshot>,
}

impl Trace {
    /// Nothing yet.
    #[must_use]
    pub fn new(desks: &Desks) -> Self {
        Self {
            journal: Journal::default(),
            dump: DumpFile::new(desks.writing.clone()),
            is_due: false,
            aside: desks.looking.clone(),
            looking: JoinSet::new(),
            to_look: VecDeque::new(),
            snapshots: BTreeMap::new(),
        }
    }

    /// Where the dump goes from now on.
    pub fn dump_to(&mut self, path: Option<&AbsolutePath>) {
        self.dump.go_to(path);
    }

    /// Something happened.
    pub fn note(&mut self, at: Wall, told: &Told) {
        self.journal.note(at, told);
    }

    /// Forgets entries that are no more.
    pub fn retain(&mut self, is_there: impl Fn(EntryId) -> bool) {
        self.journal.retain(&is_there);
        self.snapshots.retain(|entry, _| is_there(*entry));
    }

    /// Keeps what can still be seen of a process. It is looked at aside, since one that hangs in the kernel holds up
    /// whoever looks.
    pub fn look_at(&mut self, entry: EntryId, proc: ProcId) {
        if self.to_look.len() < WAITING {
            self.to_look.push_back((entry, proc));
        }
        self.look();
    }

    fn look(&mut self) {
        while self.looking.len() < AT_ONCE
            && let Some((entry, proc)) = self.to_look.pop_front()
        {
            let looked = self.aside.run(move || Snapshot::take(proc));
            self.looking.spawn(async move { (entry, looked.await.ok().flatten()) });
        }
    }

    /// The dump is wanted.
    pub fn want_dump(&mut self) {
        self.dump.want();
    }

    /// Waits until there is something to do: then the dump may be due, or there is a sentence for the log.
    pub async fn ready(&mut self) -> Option<String> {
        tokio::select! {
            Some(looked) = self.looking.join_next() => {
                if let Ok((entry, Some(snapshot))) = looked {
                    self.snapshots.insert(entry, snapshot);
                    self.dump.want();
                }
                self.look();
                None
            }
            ready = self.dump.ready(), if !self.is_due => match ready {
                Ready::Due => {
                    self.is_due = true;
                    None
                }
                Ready::Failed(sentence) => Some(sentence),
            },
            // The dump is due, and nothing else is going on.
            else => std::future::pending().await,
        }
    }

    /// Whether the dump is to be written now: see [`Self::write`].
    #[must_use]
    pub const fn is_due(&self) -> bool {
        self.is_due
    }

    /// Writes the dump. `numbered` says which entries there are, and their numbers.
    pub fn write<E: Serialize + Send + 'static>(&mut self, head: Head, entries: Vec<(EntryId, usize, E)>) {
        self.is_due = false;
        let contents = self.contents(head, entries);
        self.dump.write(contents);
    }

    /// Everything, as it goes into the dump.
    #[must_use]
    pub fn contents<E>(&self, head: Head, entries: Vec<(EntryId, usize, E)>) -> Contents<E> {
        let of = |(id, number): (EntryId, usize)| {
            let snapshot = self.snapshots.get(&id)?.clone();
            Some(EntrySnapshot { entry: number, snapshot })
        };
        let snapshots = entries.iter().filter_map(|(id, number, _)| of((*id, *number))).collect();
        let entries = entries.into_iter().map(|(_, _, entry)| entry).collect();
        Contents { head, entries, events: self.journal.all(), snapshots }
    }

    /// The last events of all entries, oldest first.
    #[must_use]
    pub fn last(&self, most: usize) -> Vec<EventLine> {
        self.journal.last(most)
    }

    /// The last dump: how it all ended. A sentence for the log, if that fails.
    pub async fn finish<E: Serialize + Send + 'static>(
        mut self,
        head: Head,
        entries: Vec<(EntryId, usize, E)>,
    ) -> Option<String> {
        self.dump.want();
        let contents = self.contents(head, entries);
        self.dump.finish(contents, LAST_DUMP).await
    }
}
