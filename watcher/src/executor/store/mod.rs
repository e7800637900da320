//! What survives `kill -9`: a line for each change, the last one of an entry counts. It does not survive another boot, of
//! which its times would mean nothing.

mod line;
#[cfg(test)]
mod tests;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use watcher_core::{SavedEntry, pfile::Bytes};

use self::line::{FORMAT, Header, Record};
use super::replace::put_for_this_boot;
use crate::sys::limits;

/// A file larger than this is not ours.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What is saved, in memory and in its file.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    boot_id: String,
    entries: BTreeSet<Saved>,
    /// None while the file is not what it should be: it is then written anew at the next change.
    file: Option<File>,
    lines: usize,
    complained: bool,
}

/// What is saved of an entry, shared with whoever has saved it. Its name is its text, and which of several with that it is.
#[derive(Debug)]
struct Saved(Arc<SavedEntry>);

impl Saved {
    fn name(&self) -> (&Bytes, u32) {
        (&self.0.text, self.0.occurrence)
    }
}

impl PartialEq for Saved {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Saved {}

impl PartialOrd for Saved {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Saved {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(&other.name())
    }
}

impl Store {
    /// Opens the file, and reads what was saved before in this boot. The sentence, if any, is for the log.
    ///
    /// # Errors
    /// When it cannot be read just now, for want of descriptors or memory. It is not damaged by that: whoever went on without
    /// it would run scripts that run already.
    pub fn open(path: PathBuf, boot_id: String) -> io::Result<(Self, Vec<SavedEntry>, Option<String>)> {
        let (entries, mut sentence) = match read(&path, &boot_id)? {
            Ok(entries) => (entries, None),
            Err(why) => (BTreeMap::new(), Some(set_aside(&path, &why))),
        };
        let saved = entries.values().cloned().collect();
        let entries = entries.into_values().map(|entry| Saved(Arc::new(entry))).collect();
        let mut store = Self { path, boot_id, entries, file: None, lines: 0, complained: false };
        // Always anew: the last line of the old file may be torn.
        let failed = store.write(None);
        if let Some(failed) = failed {
            sentence = Some(sentence.map_or_else(|| failed.clone(), |sentence| format!("{sentence}; {failed}")));
        }
        Ok((store, saved, sentence))
    }

    /// Saves entries. The sentence, if any, is for the log: it comes once, until saving works again.
    pub fn save(&mut self, entries: impl IntoIterator<Item = Arc<SavedEntry>>) -> Option<String> {
        let (mut lines, mut count) = (Vec::new(), 0);
        for entry in entries {
            lines.extend(line(&Record::from(&*entry)));
            count += 1;
            self.entries.replace(Saved(entry));
        }
        self.write(Some((&lines, count)))
    }

    /// Forgets all entries, and saves these. The sentence is as above.
    pub fn renew(&mut self, entries: Vec<Arc<SavedEntry>>) -> Option<String> {
        self.entries = entries.into_iter().map(Saved).collect();
        self.file = None;
        self.write(None)
    }

    /// Removes the file: the watch ends in good order, and nothing is to be taken up again.
    pub fn remove(self) {
        // What cannot be removed is that of an earlier boot one day.
        let _removed = fs::remove_file(&self.path);
    }

    /// Writes these lines, so many, or all that is known.
    fn write(&mut self, more: Option<(&[u8], usize)>) -> Option<String> {
        let written = match (&mut self.file, more) {
            // One write each, so that a line is torn only where the last one ends.
            (Some(file), Some((lines, _))) if self.lines < 4 * self.entries.len() + 64 && is_there(file) => {
                file.write_all(lines)
            }
            (Some(_) | None, _) => self.write_all(),
        };
        self.lines += more.map_or(1, |(_, count)| count);
        match written {
            Ok(()) => {
                self.complained = false;
                None
            }
            Err(error) => {
                self.file = None;
                let first = !std::mem::replace(&mut self.complained, true);
                let path = self.path.display();
                first.then(|| {
                    format!("{path} cannot be written: {error}; counts and pauses will not survive if pcheck is killed")
                })
            }
        }
    }

    fn write_all(&mut self) -> io::Result<()> {
        let mut text = line(&Header { format: FORMAT, boot_id: self.boot_id.clone() });
        text.extend(self.entries.iter().flat_map(|Saved(entry)| line(&Record::from(&**entry))));
        put_for_this_boot(&self.path, &text, 0o600)?;
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        self.lines = self.entries.len();
        Ok(())
    }
}

fn line(value: &impl serde::Serialize) -> Vec<u8> {
    // Numbers, strings and lists: there is nothing that could not be written.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Whether nobody has removed the file.
fn is_there(file: &File) -> bool {
    file.metadata().is_ok_and(|data| data.nlink() > 0)
}

/// By the texts of entries; of the same text, which of them.
type ByText = BTreeMap<(Bytes, u32), SavedEntry>;

/// Reads what was saved. Why not, as a sentence, when the file is not one of ours, or damaged.
///
/// # Errors
/// When nothing can be read just now.
fn read(path: &Path, boot_id: &str) -> io::Result<Result<ByText, String>> {
    match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path) {
        Ok(file) => Ok(read_from(file, boot_id)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ok(BTreeMap::new())),
        Err(error) if limits::is_want(&error) => {
            let sentence = format!("{} cannot be read: {}", path.display(), limits::sentence(&error));
            Err(io::Error::new(error.kind(), sentence))
        }
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn read_from(file: File, boot_id: &str) -> Result<ByText, String> {
    let mut entries = BTreeMap::new();
    let data = file.metadata().map_err(|error| error.to_string())?;
    if !data.is_file() {
        return Err("it is not a file".to_owned());
    }
    if data.len() > LARGEST {
        return Err("it is too large".to_owned());
    }
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text).map_err(|error| error.to_string())?;
    // A last line without an end was being written when pcheck was killed.
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let Some(first) = lines.next() else { return Ok(entries) };
    let header: Header =
        serde_json::from_slice(first).map_err(|_junk| "its first line is not understood".to_owned())?;
    if header.format != FORMAT {
        return Err(format!("it is of format {}, which this version does not know", header.format));
    }
    if header.boot_id != boot_id {
        return Ok(entries);
    }
    for (number, line) in lines.enumerate() {
        let record = serde_json::from_slice(line).ok().and_then(Record::read);
        let entry = record.ok_or_else(|| format!("its line {} is not understood", number + 2))?;
        entries.insert((entry.text.clone(), entry.occurrence), entry);
    }
    Ok(entries)
}

/// Keeps a damaged file for whoever wants to know, and tells so in a sentence.
fn set_aside(path: &Path, why: &str) -> String {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    let aside = PathBuf::from(aside);
    let rename = || fs::rename(path, &aside);
    // An older one may be in the way: as a file, or as a folder.
    let renamed = rename().or_else(|_| {
        let _removed = fs::remove_file(&aside).or_else(|_| fs::remove_dir_all(&aside));
        rename()
    });
    let path = path.display();
    let kept = match renamed {
        Ok(()) => format!("it is kept as {}", aside.display()),
        Err(error) => format!("and it cannot be set aside: {error}"),
    };
    format!("what {path} has saved is lost: {why}; {kept}")
}
