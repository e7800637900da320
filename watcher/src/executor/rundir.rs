//! The folder of one running pcheck, `ROOT/KEY`: its control socket, what survives its end, and the lock that vanishes with
//! it however it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use watcher_core::{EntryId, Pid};

use super::{
    folder::{LOCK, check_own, check_root, lock, make, open_lock},
    percent,
};
use crate::sys::own;

/// A claimed folder. It is ours until this is dropped.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: File,
}

/// A pcheck that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its pid, as it sees itself.
    pub pid: Pid,
    /// Its pfile.
    pub pfile: PathBuf,
    /// Its key.
    pub ipc_key: u32,
    /// Its folder.
    pub dir: PathBuf,
    device: u64,
    inode: u64,
}

/// Why a folder cannot be claimed.
#[derive(Clone, Debug, Error)]
pub enum ClaimError {
    /// The pfile is watched already.
    #[error("already watched by pcheck[{}], pfile {}, IPCKEY 0x{:08x}", .0.pid, .0.pfile.display(), .0.ipc_key)]
    AlreadyRunning(Running),
    /// The key is taken.
    #[error(
        "IPCKEY 0x{:08x} is in use by pcheck[{}] for another pfile {}: give each pfile its own",
        .0.ipc_key, .0.pid, .0.pfile.display()
    )]
    KeyInUse(Running),
    /// The lock is held, but by whom is not written there (yet).
    #[error("{} is in use by another pcheck", .0.display())]
    InUse(PathBuf),
    /// The folder cannot be used.
    #[error("{} cannot be used: {why}; --run-dir chooses another place", folder.display())]
    Unusable {
        /// Which.
        folder: PathBuf,
        /// Why, as a sentence.
        why: String,
    },
}

/// What stands in a lock.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    pfile: String,
    device: u64,
    inode: u64,
}

/// One process that claims folders, and those that others hold: looked for once, however many it claims. Others wait for
/// their turn meanwhile.
#[derive(Debug)]
pub struct Claims {
    root: PathBuf,
    /// For whom: who is to be told to end, if a watch is.
    watcher: Pid,
    _turn: File,
    /// What runs, by pfile, and by what the file is now: inodes of files that were replaced are used again.
    by_path: BTreeMap<PathBuf, Running>,
    by_inode: BTreeMap<(u64, u64), Running>,
    keys: BTreeSet<u32>,
}

impl Claims {
    /// Makes the folder of all, where there is none, and looks who runs.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn begin(root: &Path, watcher: Pid) -> Result<Self, ClaimError> {
        let unusable = |error: io::Error| ClaimError::Unusable { folder: root.to_owned(), why: error.to_string() };
        make(root, 0o755).map_err(unusable)?;
        check_root(root).map_err(unusable)?;
        // Two that start at the same time for one pfile, with different keys, would not see each other. Who cannot have
        // this lock goes on after a while: it only makes that improbable case impossible.
        let turn = File::open(root).map_err(unusable)?;
        let _turn = lock(&turn, 100);
        let mut claims = Self {
            root: root.to_owned(),
            watcher,
            _turn: turn,
            by_path: BTreeMap::new(),
            by_inode: BTreeMap::new(),
            keys: BTreeSet::new(),
        };
        running(root).into_iter().for_each(|running| claims.note(running));
        Ok(claims)
    }

    /// Claims the folder of a key, for this pfile.
    ///
    /// # Errors
    /// When the pfile or the key is in use, or the folder cannot be used.
    pub fn claim(&mut self, ipc_key: u32, pfile: &Path) -> Result<RunDir, ClaimError> {
        let path = self.root.join(format!("{ipc_key:08x}"));
        let unusable = |error: io::Error| ClaimError::Unusable { folder: path.clone(), why: error.to_string() };
        make(&path, 0o700).map_err(unusable)?;
        check_own(&path).map_err(unusable)?;
        let mut file = open_lock(&path).map_err(unusable)?;
        let pfile = fs::canonicalize(pfile).unwrap_or_else(|_| pfile.to_owned());
        let (device, inode) = inode_of(&pfile).unwrap_or((0, 0));
        let is_same = |running: &Running| {
            let now = inode_of(&running.pfile).unwrap_or((running.device, running.inode));
            running.pfile == pfile || (inode != 0 && now == (device, inode))
        };
        // Whoever lists what runs holds each lock for a moment, so it is tried more than once; but not where it is known who
        // holds it for long.
        let tries = if self.keys.contains(&ipc_key) { 1 } else { 10 };
        if !lock(&file, tries).map_err(unusable)? {
            return Err(match holder(&mut file, &path, ipc_key) {
                Some(running) if is_same(&running) => ClaimError::AlreadyRunning(running),
                Some(running) => ClaimError::KeyInUse(running),
                None => ClaimError::InUse(path),
            });
        }
        // Whom it named before is not who holds it now.
        file.set_len(0).map_err(unusable)?;
        let by_inode = || self.by_inode.get(&(device, inode)).filter(|_| inode != 0);
        let others = [self.by_path.get(&pfile), by_inode()].into_iter().flatten();
        if let Some(running) = others.into_iter().find(|running| running.ipc_key != ipc_key) {
            return Err(ClaimError::AlreadyRunning(running.clone()));
        }
        let name = percent::encode(pfile.as_os_str().as_bytes());
        let holder = Holder { pid: self.watcher.number(), pfile: name, device, inode };
        let text = serde_json::to_vec(&holder).map_err(|error| unusable(error.into()))?;
        file.write_all(&text).map_err(unusable)?;
        self.note(Running { pid: self.watcher, pfile, ipc_key, dir: path.clone(), device, inode });
        Ok(RunDir { path, _lock: file })
    }

    fn note(&mut self, running: Running) {
        self.keys.insert(running.ipc_key);
        self.by_inode.insert(inode_of(&running.pfile).unwrap_or((running.device, running.inode)), running.clone());
        self.by_path.insert(running.pfile.clone(), running);
    }
}

/// What a file is now.
fn inode_of(pfile: &Path) -> Option<(u64, u64)> {
    fs::metadata(pfile).ok().map(|data| (data.dev(), data.ino()))
}

impl RunDir {
    /// Claims the folder of a key, for this pfile.
    ///
    /// # Errors
    /// When the pfile or the key is in use, or the folder cannot be used.
    pub fn claim(root: &Path, ipc_key: u32, pfile: &Path) -> Result<Self, ClaimError> {
        Claims::begin(root, own::pid())?.claim(ipc_key, pfile)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The control socket.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        control(&self.path)
    }

    /// What survives the end of pcheck.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Where the output of an entry's scripts goes. At the start the number is that of the entry.
    #[must_use]
    pub fn output(&self, entry: EntryId) -> PathBuf {
        self.path.join(format!("{}.out", u64::from(entry.0) + 1))
    }
}

/// The control socket in the folder of a [`Running`].
#[must_use]
pub fn control(dir: &Path) -> PathBuf {
    dir.join("control")
}

/// Every pcheck that runs with this root, as far as this user may know. A lock that nobody holds is that of one that has
/// ended.
#[must_use]
pub fn running(root: &Path) -> Vec<Running> {
    claimed(root).into_iter().filter_map(|(running, is_held)| is_held.then_some(running)).collect()
}

/// The same with those that have ended without a trace but their folders; whether each still holds its lock.
#[must_use]
pub fn claimed(root: &Path) -> Vec<(Running, bool)> {
    let folders = fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<_> = folders.filter_map(|item| claimed_in(&item.path())).collect();
    found.sort_by_key(|(running, _)| running.ipc_key);
    found
}

/// The same of one folder.
#[must_use]
pub fn claimed_in(dir: &Path) -> Option<(Running, bool)> {
    let name = dir.file_name()?.to_str().filter(|name| name.len() == 8)?;
    let ipc_key = u32::from_str_radix(name, 16).ok()?;
    let owner = dir.parent().and_then(|root| fs::metadata(root).ok()).map_or(0, |data| data.uid());
    let data = fs::symlink_metadata(dir).ok().filter(fs::Metadata::is_dir)?;
    // Where everybody may make folders, those of others may say anything.
    if ![0, owner, rustix::process::geteuid().as_raw()].contains(&data.uid()) {
        return None;
    }
    let mut options = OpenOptions::new();
    // A pipe in its place would keep us waiting.
    let mut file = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(dir.join(LOCK)).ok()?;
    // A shared lock, so that many may look at once. It goes with the descriptor.
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(rustix::io::Errno::WOULDBLOCK) => Some((holder(&mut file, dir, ipc_key)?, true)),
        Ok(()) => Some((holder(&mut file, dir, ipc_key)?, false)),
        Err(_) => None,
    }
}

fn holder(file: &mut File, dir: &Path, ipc_key: u32) -> Option<Running> {
    const ENOUGH: u64 = 64 * 1024;
    let mut text = Vec::new();
    file.take(ENOUGH).read_to_end(&mut text).ok()?;
    let Holder { pid, pfile, device, inode } = serde_json::from_slice(&text).ok()?;
    let pfile = OsString::from_vec(percent::decode(&pfile)?).into();
    Some(Running { pid: Pid::new(pid)?, pfile, ipc_key, dir: dir.to_owned(), device, inode })
}

#[cfg(test)]
mod tests;
