//! Where a daemon is found by those who want to join it: `ROOT/daemon`, with the lock that vanishes with it however it ends,
//! and its socket. One daemon for each run directory; another one works as well, and nobody joins it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::folder::{check_own, check_root, lock, make, open_lock};

/// The hall of this process, as long as it is not dropped.
#[derive(Debug)]
pub struct Hall {
    path: PathBuf,
    _lock: File,
}

impl Hall {
    /// Claims it; `None` when another daemon has it.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn claim(root: &Path) -> io::Result<Option<Self>> {
        make(root, 0o755)?;
        check_root(root)?;
        let path = folder(root);
        make(&path, 0o700)?;
        check_own(&path)?;
        let file = open_lock(&path)?;
        Ok(lock(&file, 2)?.then_some(Self { path, _lock: file }))
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }
}

/// Where the daemon of this run directory listens, if there is one.
#[must_use]
pub fn socket(root: &Path) -> PathBuf {
    folder(root).join(SOCKET)
}

const SOCKET: &str = "join";

/// No key has that name: those have eight digits.
fn folder(root: &Path) -> PathBuf {
    root.join("daemon")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_daemon_has_it_and_it_goes_with_that() {
        let root = tempfile::tempdir().unwrap();
        let first = Hall::claim(root.path()).unwrap().unwrap();
        assert!(Hall::claim(root.path()).unwrap().is_none());
        assert_eq!(first.socket(), socket(root.path()));
        drop(first);
        assert!(Hall::claim(root.path()).unwrap().is_some());
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/tmp", folder(root.path())).unwrap();
        assert!(Hall::claim(root.path()).unwrap_err().to_string().contains("symbolic link"));
    }
}
