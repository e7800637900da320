//! `SHM_DUMP_FILE`: everything that is known, in a file for whoever asks afterwards what has happened. It is written aside,
//! on another thread, and not more often than once a second.

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt as _, path::PathBuf, pin::Pin, time::Duration};

use serde::Serialize;
use tokio::{
    task::JoinSet,
    time::{Sleep, sleep},
};
use watcher_core::pfile::AbsolutePath;

use super::{aside::Aside, event_line::EventLine, journal::Extract, replace::put, snapshot::Snapshot};
use crate::sys::heap;

/// How often it may be written.
const PACE: Duration = Duration::from_secs(1);

/// What goes into the file. Made of copies that take no time; the lines are made on the other thread.
#[derive(Debug)]
pub struct Contents<E> {
    /// The first line.
    pub head: Head,
    /// One line for each entry.
    pub entries: Vec<E>,
    /// The last events of each.
    pub events: Extract,
    /// What was seen of the process of an entry when it failed last.
    pub snapshots: Vec<EntrySnapshot>,
}

/// The first line.
#[derive(Clone, Debug, Serialize)]
pub struct Head {
    /// Of watcher.
    pub version: &'static str,
    /// By its full path.
    pub pfile: String,
    /// As written.
    pub ipckey: String,
    /// That of pcheck.
    pub pid: u32,
    /// How deaths are learned of.
    pub tier: &'static str,
    /// When the file was written.
    pub unix_time: f64,
}

/// What was seen of a process.
#[derive(Clone, Debug, Serialize)]
pub struct EntrySnapshot {
    /// The number of its entry.
    pub entry: usize,
    /// What was seen.
    #[serde(flatten)]
    pub snapshot: Snapshot,
}

/// The form of the file.
const SCHEMA: u32 = 1;

/// A line, by what it is.
#[derive(Serialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line<'a, E> {
    Header {
        schema: u32,
        #[serde(flatten)]
        head: &'a Head,
    },
    Entry(&'a E),
    Event(&'a EventLine),
    Snapshot(&'a EntrySnapshot),
}

/// What is next to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// The contents are wanted: see [`DumpFile::write`].
    Due,
    /// A sentence for the log: once, until writing works again.
    Failed(String),
}

/// The file.
#[derive(Debug)]
pub struct DumpFile {
    /// Where it is written.
    aside: Aside,
    path: Option<PathBuf>,
    wanted: bool,
    writing: JoinSet<io::Result<()>>,
    /// Not before this is over. It lasts although nobody waits for it just then.
    pause: Option<Pin<Box<Sleep>>>,
    complained: bool,
}

impl DumpFile {
    /// None yet.
    #[must_use]
    pub fn new(aside: Aside) -> Self {
        Self { aside, path: None, wanted: false, writing: JoinSet::new(), pause: None, complained: false }
    }

    /// Where it is to be written from now on; nowhere when the pfile names no file.
    pub fn go_to(&mut self, path: Option<&AbsolutePath>) {
        self.path = path.map(|path| OsStr::from_bytes(path.as_slice()).into());
    }

    /// Asks for it. However often this is asked for, the next one has all of it.
    pub fn want(&mut self) {
        self.wanted = self.path.is_some();
    }

    /// Waits until it can be written, if that is wanted, or until writing has failed.
    pub async fn ready(&mut self) -> Ready {
        loop {
            if !self.writing.is_empty() {
                let written = self.writing.join_next().await;
                if let Some(sentence) = self.judge(written) {
                    return Ready::Failed(sentence);
                }
            } else if self.wanted {
                if let Some(pause) = &mut self.pause {
                    pause.as_mut().await;
                    self.pause = None;
                }
                return Ready::Due;
            } else {
                std::future::pending().await
            }
        }
    }

    /// Begins to write it. Only when it is due: one is written at a time.
    pub fn write<E: Serialize + Send + 'static>(&mut self, contents: Contents<E>) {
        let Some(path) = self.path.clone() else { return };
        if self.writing.is_empty() {
            self.wanted = false;
            self.pause = Some(Box::pin(sleep(PACE)));
            let written = self.aside.run(move || {
                let written = text(&contents).and_then(|text| put(&path, &text, 0o600));
                drop(contents);
                // It takes many times what all else does, for a moment.
                heap::give_back();
                written
            });
            self.writing.spawn(async { written.await.unwrap_or_else(|error| Err(error.into())) });
        }
    }

    /// Writes what is still wanted, within this time. The sentence is for the log.
    pub async fn finish<E: Serialize + Send + 'static>(
        &mut self,
        contents: Contents<E>,
        limit: Duration,
    ) -> Option<String> {
        let wanted = self.wanted;
        let last = async {
            let before = self.writing.join_next().await;
            let failed = self.judge(before);
            if !wanted {
                return failed;
            }
            self.write(contents);
            let written = self.writing.join_next().await;
            self.judge(written).or(failed)
        };
        let late = |_| Some("the dump file is not written: its disk takes too long".to_owned());
        tokio::time::timeout(limit, last).await.unwrap_or_else(late)
    }

    fn judge(&mut self, written: Option<Result<io::Result<()>, tokio::task::JoinError>>) -> Option<String> {
        let error = match written {
            None => return None,
            Some(Ok(Ok(()))) => {
                self.complained = false;
                return None;
            }
            Some(Ok(Err(error))) => error.to_string(),
            Some(Err(error)) => error.to_string(),
        };
        let first = !std::mem::replace(&mut self.complained, true);
        let path = self.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        first.then(|| format!("the dump file {path} cannot be written: {error}"))
    }
}

/// The lines of the file, as they tell of one entry only, or of all.
///
/// # Errors
/// When an entry cannot be written.
pub fn lines<E: Serialize>(contents: &Contents<E>, only: Option<usize>) -> io::Result<Vec<String>> {
    let text = text_of(contents, only)?;
    Ok(String::from_utf8_lossy(&text).lines().map(ToOwned::to_owned).collect())
}

fn text<E: Serialize>(contents: &Contents<E>) -> io::Result<Vec<u8>> {
    text_of(contents, None)
}

fn text_of<E: Serialize>(contents: &Contents<E>, only: Option<usize>) -> io::Result<Vec<u8>> {
    let Contents { head, entries, events, snapshots } = contents;
    let mut text = Vec::new();
    let mut push = |line: &Line<'_, E>| {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
        io::Result::Ok(())
    };
    push(&Line::Header { schema: SCHEMA, head })?;
    entries.iter().try_for_each(|entry| push(&Line::Entry(entry)))?;
    let of_it = |event: &&EventLine| only.is_none() || event.entry == only;
    events.lines().iter().filter(of_it).try_for_each(|event| push(&Line::Event(event)))?;
    let of_it = |snapshot: &&EntrySnapshot| only.is_none_or(|only| snapshot.entry == only);
    snapshots.iter().filter(of_it).try_for_each(|snapshot| push(&Line::Snapshot(snapshot)))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Instant};

    use watcher_core::Wall;

    use super::*;
    use crate::{
        executor::journal::{Journal, tests::up},
        sys::{own, proc},
    };

    #[derive(Serialize)]
    struct Entry {
        entry: usize,
    }

    fn contents(events: u32) -> Contents<Entry> {
        let mut journal = Journal::default();
        (1..=events).for_each(|pid| journal.note(Wall { unix_ns: 0 }, &up(0, pid)));
        let head = Head {
            version: "1",
            pfile: "/a".to_owned(),
            ipckey: "0x1".to_owned(),
            pid: 1,
            tier: "poll",
            unix_time: 0.5,
        };
        let this = proc::facts(own::pid()).unwrap().unwrap().proc;
        let snapshots = vec![EntrySnapshot { entry: 1, snapshot: Snapshot::take(this).unwrap() }];
        Contents { head, entries: vec![Entry { entry: 1 }], events: journal.all(), snapshots }
    }

    fn dump_to(path: &Path) -> DumpFile {
        let mut dump = DumpFile::new(Aside::new(1));
        dump.go_to(AbsolutePath::new(path.as_os_str().as_bytes()).as_ref());
        dump
    }

    /// What comes of what is being written, and then at once.
    async fn soon(dump: &mut DumpFile) -> Option<Ready> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let ready = tokio::time::timeout(Duration::from_millis(100), dump.ready()).await.ok();
            if ready.is_some() || dump.writing.is_empty() {
                return ready;
            }
            assert!(Instant::now() < end, "it is not written");
        }
    }

    #[tokio::test]
    async fn every_line_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump");
        let mut dump = dump_to(&path);
        assert_eq!(soon(&mut dump).await, None, "nobody wants it");
        dump.want();
        assert_eq!(soon(&mut dump).await, Some(Ready::Due));
        dump.write(contents(2));
        assert_eq!(soon(&mut dump).await, None);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<_> = lines.iter().map(|line| line["line"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["header", "entry", "event", "event", "snapshot"]);
        assert_eq!((&lines[0]["schema"], &lines[0]["pfile"]), (&1.into(), &"/a".into()));
        assert_eq!((&lines[2]["event"], &lines[3]["pid"]), (&"up".into(), &2.into()));
        assert_eq!((&lines[4]["entry"], &lines[4]["pid"]), (&1.into(), &own::pid().number().into()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn requests_are_merged_and_the_last_one_is_never_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump");
        let mut dump = dump_to(&path);
        (0..100).for_each(|_| dump.want());
        assert_eq!(dump.ready().await, Ready::Due);
        let begun = Instant::now();
        dump.write(contents(1));
        (0..100).for_each(|_| dump.want());
        assert_eq!(soon(&mut dump).await, None);
        assert_eq!(dump.ready().await, Ready::Due);
        assert!(begun.elapsed() >= PACE);
        assert_eq!(dump.finish(contents(9), Duration::from_secs(20)).await, None);
        assert_eq!(fs::read_to_string(&path).unwrap().matches("\"event\"").count(), 2 * 9);
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_told_once_and_the_old_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/dump");
        let mut dump = dump_to(&path);
        let mut try_it = async || {
            dump.want();
            dump.pause = None;
            assert_eq!(dump.ready().await, Ready::Due);
            dump.write(contents(1));
            soon(&mut dump).await
        };
        let sentence =
            format!("the dump file {} cannot be written: No such file or directory (os error 2)", path.display());
        assert_eq!(try_it().await, Some(Ready::Failed(sentence.clone())));
        assert_eq!(try_it().await, None);
        fs::create_dir(folder.path().join("missing")).unwrap();
        assert_eq!(try_it().await, None);
        assert!(path.exists());
        fs::remove_dir_all(folder.path().join("missing")).unwrap();
        assert_eq!(try_it().await, Some(Ready::Failed(sentence)));
    }

    #[tokio::test]
    async fn without_a_file_nothing_is_written() {
        let mut dump = DumpFile::new(Aside::new(1));
        dump.want();
        assert_eq!(soon(&mut dump).await, None);
        assert_eq!(dump.finish(contents(1), Duration::from_secs(20)).await, None);
    }
}
