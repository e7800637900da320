//! The record of a running `clp_httpmon` or `clp_smtpmon`, `ROOT/COMMAND/ID`: who runs under an identifier, and the lock that
//! vanishes with it however it ends.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{MetadataExt as _, OpenOptionsExt as _},
        },
    },
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use watcher_core::{Pid, ProcId, StartTicks, monitor::Id};

use super::folder::{check_own, check_root, lock, make, make_last};
use crate::sys::{own, proc};

/// Where folders of records are unless another place is named.
pub const ROOT: &str = "/run";

/// The longest path of a socket that the system takes, with the zero that ends it.
const LONGEST_SOCKET: usize = 108;

/// How often, at 20 ms, a lock is tried that others hold for a moment only.
const TRIES: u32 = 10;
const TRIES_FOR_TURN: u32 = 250;

/// What stands in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The command that runs.
    pub command: String,
    /// The identifier.
    pub id: String,
    /// Its pid, as it sees itself.
    pub pid: u32,
    /// When it was started, in ticks of 1/100 s since boot.
    pub start_ticks: u64,
    /// Name of its control socket, beside the record.
    pub socket: String,
    /// What it was started with.
    pub options: serde_json::Value,
}

impl Record {
    /// The process. None: there can be no such pid.
    #[must_use]
    pub fn proc(&self) -> Option<ProcId> {
        Some(ProcId { pid: Pid::new(self.pid)?, start: StartTicks(self.start_ticks) })
    }
}

/// A record that is ours, until this is dropped.
#[derive(Debug)]
pub struct Claimed {
    folder: Folder,
    path: PathBuf,
    socket: String,
    /// Holds the lock.
    file: File,
}

/// A record that was found.
#[derive(Debug)]
pub struct Found {
    /// What it says; none when that cannot be read.
    pub record: Option<Record>,
    /// Whether whoever has written it lives.
    pub live: bool,
    /// The user that it belongs to.
    pub owner: u32,
    folder: Folder,
    path: PathBuf,
    file: File,
}

/// Why there is no record.
#[derive(Debug, Error)]
pub enum RecordError {
    /// Another one has the identifier.
    #[error("{}", in_use(.0.as_ref()))]
    InUse(Option<Record>),
    /// The folder cannot be used.
    #[error("{} cannot be used ({call}): {why}; --run-dir chooses another place", folder.display())]
    Unusable {
        /// Which.
        folder: PathBuf,
        /// What failed.
        call: &'static str,
        /// Why.
        why: io::Error,
    },
}

fn in_use(record: Option<&Record>) -> String {
    match record {
        Some(Record { pid, .. }) => format!("process {pid} monitors by this identifier"),
        None => "the record of this identifier is locked".to_owned(),
    }
}

impl Claimed {
    /// Takes an identifier.
    ///
    /// # Errors
    /// When it is in use, or nothing can be recorded.
    pub fn new(root: &Path, command: &str, id: &Id, options: serde_json::Value) -> Result<Self, RecordError> {
        let path = root.join(command);
        let unusable_at = |folder: &Path, call| {
            let folder = folder.to_owned();
            move |why| RecordError::Unusable { folder, call, why }
        };
        make_last(root, 0o755).map_err(unusable_at(root, "mkdir"))?;
        check_root(root).map_err(unusable_at(root, "stat"))?;
        let unusable = |call| unusable_at(&root.join(command), call);
        make(&path, 0o700).map_err(unusable("mkdir"))?;
        check_own(&path).map_err(unusable("stat"))?;
        let folder = Folder::open(path).map_err(unusable("open"))?;
        // Two that start at once must not both find nobody.
        let _turn = folder.turn().map_err(unusable("flock"))?;
        let path = folder.path.join(id.as_str());
        if let Some(found) = Found::at(&folder, path.clone()).map_err(unusable("open"))? {
            if !found.is_ours_now() {
                return Err(RecordError::InUse(found.record));
            }
            found.remove_socket();
        }
        let facts = proc::facts(own::pid()).and_then(|facts| facts.ok_or_else(|| io::ErrorKind::NotFound.into()));
        let ProcId { pid, start } = facts.map_err(unusable("/proc/self/stat"))?.proc;
        let socket = format!(".{pid}-{}.sock", start.0);
        let record = Record {
            command: command.to_owned(),
            id: id.as_str().to_owned(),
            pid: pid.number(),
            start_ticks: start.0,
            socket: socket.clone(),
            options,
        };
        let file = folder.put(&record, &path).map_err(unusable("write"))?;
        Ok(Self { folder, path, socket, file })
    }

    /// Where the control socket belongs.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.folder.socket(&self.socket)
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        // One that stays does no harm: nobody holds its lock, and the next start takes it over.
        let _removed = remove_same(&self.file, &self.path);
    }
}

impl Found {
    /// The record of an identifier, if there is one.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of(root: &Path, command: &str, id: &Id) -> io::Result<Option<Self>> {
        let folder = match Folder::open(root.join(command)) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let path = folder.path.join(id.as_str());
        Self::at(&folder, path)
    }

    fn at(folder: &Folder, path: PathBuf) -> io::Result<Option<Self>> {
        const ENOUGH: u64 = 64 * 1024;
        let mut options = OpenOptions::new();
        // A pipe in its place would keep us waiting.
        let mut file = match options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let owner = file.metadata()?.uid();
        let mut text = Vec::new();
        (&mut file).take(ENOUGH).read_to_end(&mut text)?;
        let record = serde_json::from_slice(&text).ok();
        // A shared lock, so that many may look at once; it is given back at once, so that nobody takes us for the owner.
        let live = match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => true,
            Ok(()) => {
                flock(&file, FlockOperation::Unlock)?;
                false
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Some(Self { record, live, owner, folder: folder.again()?, path, file }))
    }

    /// The control socket of the one that it names.
    #[must_use]
    pub fn control(&self) -> Option<PathBuf> {
        self.socket().map(|name| self.folder.socket(name))
    }

    /// Removes the record of one that has ended. Says whether it did: it does not when that one lives.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn delete(self) -> io::Result<bool> {
        let _turn = self.folder.turn()?;
        if !self.is_ours_now() {
            return Ok(false);
        }
        self.remove_socket();
        remove_same(&self.file, &self.path)?;
        Ok(true)
    }

    /// Takes the lock, if its owner has gone. Whoever looks at a record holds it for a moment, so it is tried more than once.
    fn is_ours_now(&self) -> bool {
        matches!(lock(&self.file, TRIES), Ok(true))
    }

    fn socket(&self) -> Option<&str> {
        // A name, and no way out of the folder.
        let name = self.record.as_ref()?.socket.as_str();
        (name.starts_with('.') && name.ends_with(".sock") && !name.contains('/')).then_some(name)
    }

    fn remove_socket(&self) {
        let lives =
            |proc: ProcId| proc::facts(proc.pid).is_ok_and(|facts| facts.is_some_and(|facts| facts.proc == proc));
        // A copy of a record names the socket of another that lives.
        if self.record.as_ref().and_then(Record::proc).is_some_and(lives) {
            return;
        }
        if let Some(name) = self.socket() {
            // Nobody listens there any more; it may have gone already.
            let _removed = fs::remove_file(self.folder.path.join(name));
        }
    }
}

/// The folder of all records of a command.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    file: File,
}

impl Folder {
    fn open(path: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(&path)?;
        Ok(Self { path, file })
    }

    fn again(&self) -> io::Result<Self> {
        Ok(Self { path: self.path.clone(), file: self.file.try_clone()? })
    }

    /// Waits until it is our turn to change which records there are. It ends when what is returned is dropped.
    fn turn(&self) -> io::Result<File> {
        // Opened anew: a descriptor that was copied shares its locks.
        let turn = File::open(&self.path)?;
        if lock(&turn, TRIES_FOR_TURN)? {
            Ok(turn)
        } else {
            Err(io::Error::other("another start or --del is busy there for too long: look for one that was stopped"))
        }
    }

    /// Written aside, locked and renamed: whoever sees the record sees all of it, and that it is locked.
    fn put(&self, record: &Record, path: &Path) -> io::Result<File> {
        let aside = self.path.join(".new");
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        let text = serde_json::to_vec(record)?;
        let written = lock(&file, 1).and_then(|_| file.write_all(&text)).and_then(|()| fs::rename(&aside, path));
        if let Err(error) = written {
            // The error that matters is the first one.
            let _removed = fs::remove_file(&aside);
            return Err(error);
        }
        Ok(file)
    }

    /// The path of a socket in it. One that is too long for the system goes by our descriptor of the folder.
    fn socket(&self, name: &str) -> PathBuf {
        let plain = self.path.join(name);
        if plain.as_os_str().as_bytes().len() < LONGEST_SOCKET {
            plain
        } else {
            PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd())).join(name)
        }
    }
}

/// Removes a file if it is still the one that is open.
fn remove_same(file: &File, path: &Path) -> io::Result<()> {
    let (open, there) = (file.metadata()?, fs::symlink_metadata(path)?);
    if (open.dev(), open.ino()) == (there.dev(), there.ino()) { fs::remove_file(path) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
