//! The reboots that were ordered, in a file that survives them. It is written aside, brought to the disk and renamed, so it is
//! whole; where it is not all the same, each line that cannot be understood stands for a reboot that nobody can date.

mod line;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use watcher_core::{
    pfile::Position,
    reboot::{Date, Reboot},
};

use self::line::{Header, Record, lines};
use super::{
    folder::{check_root, lock, make},
    replace::put,
};
use crate::sys::clock;

/// Where the reboots of this host are counted unless another file is named: what `/run` holds does not survive them.
pub const FILE: &str = "/var/lib/watcher/reboots";

/// A file larger than this is not ours.
const LARGEST: u64 = 1 << 20;

/// What the wall clock says: the only one that goes on across a reboot.
#[must_use]
pub fn date() -> Date {
    Date(clock::wall().unix_ns / 1_000_000_000)
}

/// The file. Nothing is done with it before somebody asks.
#[derive(Clone, Debug)]
pub struct Reboots(PathBuf);

/// What stands in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// In order.
    pub reboots: Vec<Reboot>,
    /// What could not be understood, and counts.
    pub damage: Vec<Damage>,
}

/// A line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where that was noticed.
    pub at: Position,
    /// What is wrong there.
    pub what: String,
}

/// Completes `FILE:`.
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at: Position { line, column }, what } = self;
        write!(f, "{line}:{column}: {what}; it counts as a reboot whose time is not known")
    }
}

/// The right to change the file. It goes with this value, or with the process.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "its end gives up the lock")] File);

impl Reboots {
    /// In this file.
    #[must_use]
    pub const fn at(file: PathBuf) -> Self {
        Self(file)
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What stands in it: nothing, where there is no file.
    ///
    /// # Errors
    /// When it cannot be read, or is of another kind: as a sentence.
    pub fn read(&self) -> Result<Found, String> {
        self.read_text().and_then(|text| text.map_or_else(|| Ok(Found::default()), |text| found(&text))).map_err(
            |why| {
                let path = self.0.display();
                format!("{path} cannot be read: {why}")
            },
        )
    }

    fn read_text(&self) -> Result<Option<Vec<u8>>, String> {
        let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        if !file.metadata().map_err(|error| error.to_string())?.is_file() {
            return Err("it is not a file".to_owned());
        }
        let mut text = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
        if text.len() as u64 > LARGEST { Err("it is too large".to_owned()) } else { Ok(Some(text)) }
    }

    /// Takes the right to change it; `None` while another has it. The folder is made where there is none.
    ///
    /// # Errors
    /// When it cannot be changed here: as a sentence.
    pub fn turn(&self) -> Result<Option<Turn>, String> {
        self.try_turn().map_err(|error| self.unwritable(&error))
    }

    fn try_turn(&self) -> io::Result<Option<Turn>> {
        let folder = self.folder();
        make(folder, 0o755)?;
        check_root(folder).map_err(|error| io::Error::other(format!("{}: {error}", folder.display())))?;
        let mut name = self.0.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        name.push(".lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(folder.join(name))?;
        Ok(lock(&file, 1)?.then_some(Turn(file)))
    }

    /// Puts these in the place of all that stand in it. When this returns they are on the disk.
    ///
    /// # Errors
    /// When it cannot be written: as a sentence. It is unchanged then.
    pub fn write(&self, _turn: &Turn, reboots: &[Reboot]) -> Result<(), String> {
        let written = put(&self.0, &lines(reboots), 0o644);
        // The new name, too: without that a power failure may bring the old file back.
        let written = written.and_then(|()| File::open(self.folder())?.sync_all());
        written.map_err(|error| self.unwritable(&error))
    }

    fn folder(&self) -> &Path {
        self.0.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
    }

    fn unwritable(&self, error: &io::Error) -> String {
        format!("{} cannot be written: {error}", self.0.display())
    }
}

fn found(text: &[u8]) -> Result<Found, String> {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let mut found = Found::default();
    match serde_json::from_slice::<Header>(lines.next().unwrap_or_default()) {
        Ok(header) => header.check()?,
        Err(error) => found.note_damage(1, &error),
    }
    for (number, line) in lines.enumerate() {
        match serde_json::from_slice::<Record>(line) {
            Ok(record) => found.reboots.push(record.read()),
            Err(error) => found.note_damage(number + 2, &error),
        }
    }
    Ok(found)
}

impl Found {
    fn note_damage(&mut self, line: usize, error: &serde_json::Error) {
        let column = error.column().max(1);
        // What stands there may be anything, and is not repeated.
        let what = if error.is_eof() { "the line is cut off" } else { "the line is not understood" };
        self.damage.push(Damage { at: Position { line, column }, what: what.to_owned() });
        self.reboots.push(Reboot { at: None, dry_run: false, pfile: None });
    }
}
