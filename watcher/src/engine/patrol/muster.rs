//! Which pfiles there are to be watched, and taking them on. Whatever may hang in a file system or a resolver is done aside.

use std::{
    collections::{BTreeSet, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::task::JoinSet;

use super::Recruit;

/// So many pfiles are read at once: names of hosts in them may take long to look up.
const AT_ONCE: usize = 8;

/// Which files of a folder are pfiles.
const EXTENSION: &str = "pfile";

/// Reads a pfile, and claims what watching it takes; or says why not.
pub type Enlist = Arc<dyn Fn(&Path) -> Result<Recruit, String> + Send + Sync>;

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

/// What came of a look, or of a pfile.
#[derive(Debug)]
pub(super) enum Mustered {
    /// These there are; or why that is not known.
    Seen(Result<BTreeSet<PathBuf>, String>),
    /// One was read.
    Read(PathBuf, Result<Box<Recruit>, String>),
}

/// Musters pfiles.
pub struct Muster {
    places: Places,
    enlist: Enlist,
    at_work: JoinSet<Mustered>,
    /// A look is under way, and another one is wanted after it.
    is_looking: bool,
    looks_again: bool,
    /// What the last look has found, if there was one.
    seen: Option<BTreeSet<PathBuf>>,
    /// Not before those that were dismissed have given up what is theirs.
    fresh: BTreeSet<PathBuf>,
    to_read: VecDeque<PathBuf>,
    /// Those, and those that are being read.
    reading: BTreeSet<PathBuf>,
}

impl std::fmt::Debug for Muster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Muster").field("places", &self.places).field("to_read", &self.to_read).finish_non_exhaustive()
    }
}

impl Muster {
    /// At these places.
    #[must_use]
    pub fn new(places: Places, enlist: Enlist) -> Self {
        Self {
            places,
            enlist,
            at_work: JoinSet::new(),
            is_looking: false,
            looks_again: false,
            seen: None,
            fresh: BTreeSet::new(),
            to_read: VecDeque::new(),
            reading: BTreeSet::new(),
        }
    }

    /// Looks which pfiles there are.
    pub(super) fn look(&mut self) {
        if std::mem::replace(&mut self.is_looking, true) {
            self.looks_again = true;
            return;
        }
        let places = self.places.clone();
        self.at_work.spawn_blocking(move || Mustered::Seen(places.pfiles()));
    }

    /// Takes these on, when [`Self::read_fresh`] says so. No others are wanted any more.
    pub(super) fn want(&mut self, fresh: BTreeSet<PathBuf>) {
        self.fresh = fresh;
    }

    /// Whether a pfile that was read is still there, as far as is known.
    pub(super) fn is_wanted(&self, pfile: &Path) -> bool {
        self.seen.as_ref().is_none_or(|seen| seen.contains(pfile))
    }

    /// Reads those that are wanted, as soon as each has its turn.
    pub(super) fn read_fresh(&mut self) {
        for pfile in std::mem::take(&mut self.fresh) {
            if self.reading.insert(pfile.clone()) {
                self.to_read.push_back(pfile);
            }
        }
        self.read_next();
    }

    fn read_next(&mut self) {
        while self.at_work.len() < AT_ONCE
            && let Some(pfile) = self.to_read.pop_front()
        {
            let enlist = Arc::clone(&self.enlist);
            self.at_work.spawn_blocking(move || {
                let recruit = enlist(&pfile).map(Box::new);
                Mustered::Read(pfile, recruit)
            });
        }
    }

    /// Whether something was asked for and has not come.
    pub(super) fn is_busy(&self) -> bool {
        !self.at_work.is_empty() || !self.fresh.is_empty()
    }

    /// Waits for what was asked for.
    pub(super) async fn next(&mut self) -> Mustered {
        let mustered = match self.at_work.join_next().await {
            Some(Ok(mustered)) => mustered,
            Some(Err(error)) => Mustered::Seen(Err(format!("reading has failed: {error}"))),
            None => std::future::pending().await,
        };
        match &mustered {
            Mustered::Seen(seen) => {
                self.is_looking = false;
                if let Ok(seen) = seen {
                    self.seen = Some(seen.clone());
                }
                if std::mem::take(&mut self.looks_again) {
                    self.look();
                }
            }
            Mustered::Read(pfile, _) => {
                self.reading.remove(pfile);
                self.read_next();
            }
        }
        mustered
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
}
