//! What scripts print goes into files, not into pipes: a service that a script leaves in the background may hold its
//! output open for ever, and must neither be blocked nor killed by it, whatever becomes of pcheck.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use watcher_core::pfile::AbsolutePath;

use crate::executor::harmless::harmless;

/// A file larger than this is cut.
const LARGEST: u64 = 1024 * 1024;

/// So much of its beginning is kept then.
const KEPT: u64 = 64 * 1024;

/// So many lines are told, and so many bytes of each.
const LINES: usize = 20;
const LINE: usize = 400;

/// How the names of such files end.
const ENDING: &str = "out";

/// The output of one script.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    /// How much was cut away.
    lost: u64,
}

impl Output {
    /// Makes the file, or empties it. The script gets what is open; all else is done by the path, so that no descriptor is
    /// held for what may be written to for years.
    pub(super) fn make(path: PathBuf) -> io::Result<(Self, File)> {
        // Whoever writes appends: after the file was cut he goes on at its end.
        let mut options = OpenOptions::new();
        options
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
        let file = options.open(&path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        file.set_len(0)?;
        Ok((Self { path, lost: 0 }, file))
    }

    /// Keeps it small while the script runs.
    pub(super) fn tend(&mut self) {
        self.lost += cut(&self.path);
    }

    /// Its first lines, and how much more there is.
    pub(super) fn first_lines(&self, process: &AbsolutePath) -> Vec<Vec<u8>> {
        let mut start = Vec::new();
        // What cannot be read is not told: the file is there for whoever wants to know.
        let read = File::open(&self.path).and_then(|file| file.take(KEPT).read_to_end(&mut start));
        let Ok(_) = read else { return Vec::new() };
        let told: Vec<&[u8]> = start.split_inclusive(|byte| *byte == b'\n').take(LINES).collect();
        let says = |line: &[u8]| {
            let shown = line.get(..LINE).unwrap_or(line).trim_ascii_end();
            let line = [b"Restart script of (", process.as_slice(), b") says: ", shown].concat();
            (!shown.is_empty()).then(|| harmless(&line).into_owned())
        };
        let mut lines: Vec<_> = told.iter().filter_map(|line| says(line)).collect();
        let size = fs::metadata(&self.path).map_or(0, |data| data.len());
        let shown: usize = told.iter().map(|line| line.len().min(LINE)).sum();
        let more = (size + self.lost).saturating_sub(shown as u64);
        if more > 0 && !told.is_empty() {
            // What is written between a look and the cut is not counted.
            let at_least = if self.lost > 0 { "at least " } else { "" };
            let text = format!(") says {at_least}{more} bytes more: see {}", self.path.display());
            lines.push([b"Restart script of (", process.as_slice(), text.as_bytes()].concat());
        }
        lines
    }
}

/// Keeps every output in a folder small: services that scripts have left in the background may still write.
pub(super) fn cut_all(folder: &Path) {
    for item in fs::read_dir(folder).into_iter().flatten().flatten() {
        if item.path().extension().is_some_and(|ending| ending == ENDING) {
            cut(&item.path());
        }
    }
}

/// Cuts a file that has become too large, and tells by how much.
fn cut(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(data) if data.is_file() && data.len() > LARGEST => {
            let cut = OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(KEPT));
            cut.map_or(0, |()| data.len() - KEPT)
        }
        Ok(_) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn process() -> AbsolutePath {
        AbsolutePath::new(b"/usr/bin/java").unwrap()
    }

    #[test]
    fn the_first_lines_are_told_and_how_much_more_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.out");
        let (output, mut file) = Output::make(path.clone()).unwrap();
        assert!(output.first_lines(&process()).is_empty());
        file.write_all(b"one\r\n\n\x1b[31mtwo\nthree").unwrap();
        let told =
            ["one", "#033[31mtwo", "three"].map(|text| format!("Restart script of (/usr/bin/java) says: {text}"));
        let lines = output.first_lines(&process());
        assert_eq!(lines.iter().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>(), told);
        file.write_all(&[b'x'; 500]).unwrap();
        file.write_all(&[b'\n'; 100]).unwrap();
        let lines = output.first_lines(&process());
        let last = String::from_utf8_lossy(lines.last().unwrap());
        // 17 empty lines and the first 400 bytes of the long one are shown.
        let more = 505 - 400 + 100 - 16;
        let expected = format!("Restart script of (/usr/bin/java) says {more} bytes more: see {}", path.display());
        assert_eq!(last, expected);
    }

    #[test]
    fn a_file_that_grows_is_cut_and_writers_go_on_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.out");
        let (mut output, mut file) = Output::make(path.clone()).unwrap();
        file.write_all(&vec![b'a'; LARGEST as usize + 1]).unwrap();
        output.tend();
        assert_eq!(fs::metadata(&path).unwrap().len(), KEPT);
        file.write_all(b"end").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), KEPT + 3);
        assert_eq!(output.lost, LARGEST + 1 - KEPT);
        file.write_all(&vec![b'a'; LARGEST as usize]).unwrap();
        cut_all(folder.path());
        assert_eq!(fs::metadata(&path).unwrap().len(), KEPT);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Output::make(folder.path().to_owned()).is_err());
        let link = folder.path().join("1.out");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        assert!(Output::make(link).is_err());
        assert!(Output::make(folder.path().join("missing/1.out")).is_err());
    }
}
