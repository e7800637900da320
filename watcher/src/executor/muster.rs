//! Which pfiles there are to be watched, and reading them. Whatever may hang in a file system or a resolver is done aside.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::task::JoinSet;
use watcher_core::pfile::UnknownOptions;

use super::{aside::Aside, rules::Draft};

/// Which files of a folder are pfiles.
const EXTENSION: &str = "pfile";

/// Where pfiles are.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// These files.
    pub files: Vec<PathBuf>,
    /// All files `*.pfile` in these folders.
    pub folders: Vec<PathBuf>,
}

impl Places {
    /// All of them, by their full paths. A folder that cannot be read is none that is empty.
    ///
    /// # Errors
    /// Says which folder cannot be read, and why.
    pub fn pfiles(&self) -> Result<BTreeSet<PathBuf>, String> {
        let mut all = BTreeSet::new();
        for file in &self.files {
            all.insert(std::path::absolute(file).map_err(|error| format!("{}: {error}", file.display()))?);
        }
        for folder in &self.folders {
            let sentence = |error: io::Error| format!("{} cannot be read: {error}", folder.display());
            for item in fs::read_dir(folder).map_err(sentence)? {
                let path = item.map_err(sentence)?.path();
                let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
                if !is_hidden && path.extension().is_some_and(|extension| extension == EXTENSION) {
                    all.insert(std::path::absolute(&path).map_err(sentence)?);
                }
            }
        }
        Ok(all)
    }
}

/// That a pfile is not watched, as a line for the log. Most reasons name it already, some with a place in it.
#[must_use]
pub fn not_watched(pfile: &Path, why: &str) -> String {
    let name = pfile.display().to_string();
    if why.starts_with(&name) { format!("Not watched: {why}") } else { format!("Not watched: {name}: {why}") }
}

/// What came of a look, or of a pfile.
#[derive(Debug)]
pub enum Mustered<T> {
    /// One was read, and can be watched; or why not.
    Read(PathBuf, Result<T, String>),
    /// These there are; or why that is not known.
    Seen(Result<BTreeSet<PathBuf>, String>),
}

/// Claims what watching these takes, and says of each what came of it, in the same order: what all need is found out once.
pub type Enlist<T> = Arc<dyn Fn(Vec<Draft>) -> Vec<Result<T, String>> + Send + Sync>;

/// Musters pfiles.
pub struct Muster<T> {
    places: Places,
    unknown_options: UnknownOptions,
    aside: Aside,
    enlist: Enlist<T>,
    looking: JoinSet<Result<BTreeSet<PathBuf>, String>>,
    /// Another look is wanted after the one that is under way.
    looks_again: bool,
    reading: JoinSet<(PathBuf, Result<Draft, String>)>,
    /// Read, and not enlisted yet.
    drafts: Vec<Draft>,
    enlisting: JoinSet<Vec<Mustered<T>>>,
    /// Enlisted, and not told yet.
    enlisted: Vec<Mustered<T>>,
}

impl<T> fmt::Debug for Muster<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Muster")
            .field("places", &self.places)
            .field("drafts", &self.drafts.len())
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Muster<T> {
    /// At these places. Pfiles are read here, as many at once as there are places for.
    #[must_use]
    pub fn new(places: Places, unknown_options: UnknownOptions, aside: Aside, enlist: Enlist<T>) -> Self {
        Self {
            places,
            unknown_options,
            aside,
            enlist,
            looking: JoinSet::new(),
            looks_again: false,
            reading: JoinSet::new(),
            drafts: Vec::new(),
            enlisting: JoinSet::new(),
            enlisted: Vec::new(),
        }
    }

    /// Looks which pfiles there are.
    pub fn look(&mut self) {
        if !self.looking.is_empty() {
            self.looks_again = true;
            return;
        }
        let places = self.places.clone();
        self.looking.spawn_blocking(move || places.pfiles());
    }

    /// Reads these, each as soon as it has its turn.
    pub fn read(&mut self, pfiles: impl IntoIterator<Item = PathBuf>) {
        for pfile in pfiles {
            let (path, unknown_options) = (pfile.clone(), self.unknown_options);
            let read = self.aside.run(move || Draft::read_file(&path, unknown_options));
            let failed = |error| Err(format!("reading has failed: {error}"));
            self.reading.spawn(async move { (pfile, read.await.unwrap_or_else(failed)) });
        }
    }

    /// Whether something was asked for and has not come.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.looking.is_empty() || !self.reading.is_empty() || !self.enlisting.is_empty() || !self.enlisted.is_empty()
    }

    /// Waits for what was asked for.
    pub async fn next(&mut self) -> Mustered<T> {
        loop {
            if let Some(enlisted) = self.enlisted.pop() {
                return enlisted;
            }
            tokio::select! {
                Some(seen) = self.looking.join_next() => {
                    if std::mem::take(&mut self.looks_again) {
                        self.look();
                    }
                    return Mustered::Seen(seen.unwrap_or_else(|error| Err(format!("reading has failed: {error}"))));
                }
                Some(read) = self.reading.join_next() => {
                    match read {
                        Ok((_, Ok(draft))) => self.drafts.push(draft),
                        Ok((pfile, Err(why))) => return Mustered::Read(pfile, Err(why)),
                        Err(error) => return Mustered::Seen(Err(format!("reading has failed: {error}"))),
                    }
                    self.enlist_next();
                }
                Some(enlisted) = self.enlisting.join_next() => {
                    // Taken from the end.
                    self.enlisted = enlisted.unwrap_or_default();
                    self.enlisted.reverse();
                    self.enlist_next();
                }
                else => std::future::pending().await,
            }
        }
    }

    /// All that were read meanwhile together: names of hosts in them may take long to look up, and so may claims of others.
    fn enlist_next(&mut self) {
        if self.drafts.is_empty() || !self.enlisting.is_empty() {
            return;
        }
        let (drafts, enlist) = (std::mem::take(&mut self.drafts), Arc::clone(&self.enlist));
        self.enlisting.spawn_blocking(move || {
            let pfiles: Vec<_> = drafts.iter().map(|draft| Path::to_owned(draft.path())).collect();
            pfiles.into_iter().zip(enlist(drafts)).map(|(pfile, recruit)| Mustered::Read(pfile, recruit)).collect()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pfiles_of_a_folder_are_those_that_are_named_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a.pfile", "b.pfile", "b.pfile.dpkg-old", ".c.pfile", "restart.sh", "d.pfile~"] {
            fs::write(path(name), "").unwrap();
        }
        let places = Places { files: vec![path("restart.sh"), path("a.pfile")], folders: vec![folder.path().into()] };
        assert_eq!(
            places.pfiles().unwrap().into_iter().collect::<Vec<_>>(),
            ["a.pfile", "b.pfile", "restart.sh"].map(path)
        );
        let none = Places { files: Vec::new(), folders: vec![path("none")] };
        let why = format!("{} cannot be read: No such file or directory (os error 2)", path("none").display());
        assert_eq!(none.pfiles().unwrap_err(), why);
    }

    #[tokio::test]
    async fn those_that_were_read_while_others_are_enlisted_are_enlisted_together() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..100).map(|number| folder.path().join(format!("{number}.pfile"))).collect();
        for path in &paths {
            fs::write(path, "IPCKEY 0x1\n/bin/a:/b:1:1:exit\n").unwrap();
        }
        fs::remove_file(&paths[7]).unwrap();
        // Enlisting goes on when all the others were read.
        let (go_on, wait) = std::sync::mpsc::sync_channel::<()>(1);
        let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
        let enlist = move |drafts: Vec<Draft>| {
            wait.lock().unwrap().recv().unwrap();
            let count = drafts.len();
            drafts.iter().map(|_| Ok(count)).collect()
        };
        let mut muster = Muster::new(Places::default(), UnknownOptions::Refuse, Aside::new(8), Arc::new(enlist));
        muster.read(paths.clone());
        let Mustered::Read(missing, Err(_)) = muster.next().await else { panic!() };
        assert_eq!(missing, paths[7]);
        while muster.drafts.len() < 98 {
            let _stays = tokio::time::timeout(std::time::Duration::from_millis(1), muster.next()).await;
        }
        go_on.send(()).unwrap();
        go_on.send(()).unwrap();
        let mut counts = Vec::new();
        for _ in 0..99 {
            let Mustered::Read(_, Ok(count)) = muster.next().await else { panic!() };
            counts.push(count);
        }
        counts.sort_unstable();
        assert_eq!((counts[0], counts[1], counts[98]), (1, 98, 98), "the first alone, the others together");
        assert!(!muster.is_busy());
    }
}
