//! Pfiles as they are read at the start: all at the same time, and none whose file system does not answer keeps the others
//! from being watched.

use std::{collections::VecDeque, path::PathBuf, time::Duration};

use tokio::{
    task::{JoinError, JoinHandle},
    time::{Instant, timeout_at},
};
use watcher_core::pfile::UnknownOptions;

use super::{aside::Aside, rules::Draft};

/// How long the first of them may take,
const PATIENCE: Duration = Duration::from_secs(10);

/// and each of the others, after the one before has come.
const NEXT: Duration = Duration::from_secs(3);

/// Those that are read, and were not told yet.
#[derive(Debug)]
pub struct Readings {
    all: VecDeque<(PathBuf, Reading)>,
    until: Instant,
}

type Reading = JoinHandle<Result<Result<Draft, String>, JoinError>>;

impl Readings {
    /// Reads these, each as soon as it has its turn.
    #[must_use]
    pub fn begin(pfiles: impl IntoIterator<Item = PathBuf>, unknown_options: UnknownOptions, aside: &Aside) -> Self {
        let read = |pfile: PathBuf| {
            let path = pfile.clone();
            (pfile, tokio::spawn(aside.run(move || Draft::read_file(&path, unknown_options))))
        };
        Self { all: pfiles.into_iter().map(read).collect(), until: Instant::now() + PATIENCE }
    }

    /// Waits for the next one, in their order; `None` after the last. May be dropped at any time without losing one.
    pub async fn next(&mut self) -> Option<(PathBuf, Result<Draft, String>)> {
        let (_, reading) = self.all.front_mut()?;
        let read = timeout_at(self.until, reading).await;
        let (pfile, _) = self.all.pop_front()?;
        let read = match read {
            Ok(Ok(Ok(read))) => {
                self.until = self.until.max(Instant::now() + NEXT);
                read
            }
            Ok(Ok(Err(error)) | Err(error)) => Err(format!("reading has failed: {error}")),
            // Whoever hangs goes on hanging: he has a thread, and is not waited for.
            Err(_) => Err("it cannot be read: its file system does not answer; SIGHUP tries again".to_owned()),
        };
        Some((pfile, read))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn one_that_hangs_is_told_and_the_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "c"] {
            fs::write(path(name), "IPCKEY 0x1\n/bin/a:/b:1:1:exit\n").unwrap();
        }
        let mut readings = Readings::begin(["a", "missing", "c"].map(path), UnknownOptions::Refuse, &Aside::new(2));
        readings.all.insert(1, (path("hangs"), tokio::spawn(std::future::pending())));
        readings.until = Instant::now() + Duration::from_millis(100);
        let mut all = Vec::new();
        while let Some((pfile, read)) = readings.next().await {
            all.push((pfile, read.err().map(|why| why.contains("does not answer"))));
        }
        let wanted = [("a", None), ("hangs", Some(true)), ("missing", Some(false)), ("c", None)];
        assert_eq!(all, wanted.map(|(name, how)| (path(name), how)));
    }
}
