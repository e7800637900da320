//! Rules from files.

use std::{
    collections::VecDeque,
    fs, io,
    io::Read as _,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use tokio::task::JoinSet;
use watcher_core::{
    Event, RequestId,
    pfile::{Lines, Pfile, Reading, Severity, UnknownOptions, read},
};

/// Largest file that is taken for a pfile, in bytes.
const LARGEST: u64 = 256 << 20;

/// Reads a file whole.
///
/// # Errors
/// When it cannot be read, or cannot be a pfile.
pub fn load(path: &Path) -> io::Result<Vec<u8>> {
    let data = fs::metadata(path)?;
    if data.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if data.file_type().is_block_device() || data.file_type().is_char_device() {
        return Err(io::Error::other("it is a device, not a file"));
    }
    // A pipe does not say beforehand how much will come.
    let mut text = Vec::new();
    fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}

/// The rules of a file.
///
/// # Errors
/// When it cannot be read, or does not load: the first mistake, with its place, as a sentence.
pub fn rules(path: &Path, unknown_options: UnknownOptions) -> Result<Pfile, String> {
    let name = path.display();
    let text = load(path).map_err(|error| format!("{name} cannot be read: {error}"))?;
    let Reading { pfile, problems, allowed: _ } = read(&text, unknown_options);
    pfile.ok_or_else(|| {
        let lines = Lines::of(&text);
        let mut errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
        let first = errors.next().map_or_else(String::new, |problem| {
            let at = lines.position(problem.place.start);
            format!("{}:{}: {}", at.line, at.column, problem.message)
        });
        let more = match errors.count() {
            0 => String::new(),
            more => format!(" (and {more} more; `watcher check` shows all)"),
        };
        format!("{name}:{first}{more}")
    })
}

/// Rules that are read again: from a file. A pipe would keep the reader waiting, and has given all it had at the start.
fn rules_of_file(path: &Path, unknown_options: UnknownOptions) -> Result<Pfile, String> {
    match fs::metadata(path) {
        Ok(data) if !data.is_file() => Err(format!("{} cannot be read again: it is not a file", path.display())),
        Ok(_) | Err(_) => rules(path, unknown_options),
    }
}

/// Reads rules aside: a file system may take its time. Once at a time: one that hangs would take a thread each.
#[derive(Debug)]
pub struct RulesReader {
    path: PathBuf,
    unknown_options: UnknownOptions,
    asked: VecDeque<Option<RequestId>>,
    reading: JoinSet<(Option<RequestId>, Result<Pfile, String>)>,
}

impl RulesReader {
    /// Of this file.
    #[must_use]
    pub fn new(path: PathBuf, unknown_options: UnknownOptions) -> Self {
        Self { path, unknown_options, asked: VecDeque::new(), reading: JoinSet::new() }
    }

    /// Begins to read; [`Self::next`] brings what came of it.
    pub fn start(&mut self, request: Option<RequestId>) {
        // Where nobody waits for an answer, one more look is as good as many.
        if request.is_some() || !self.asked.contains(&None) {
            self.asked.push_back(request);
        }
        self.read();
    }

    fn read(&mut self) {
        if self.reading.is_empty()
            && let Some(request) = self.asked.pop_front()
        {
            let (path, unknown_options) = (self.path.clone(), self.unknown_options);
            self.reading.spawn_blocking(move || (request, rules_of_file(&path, unknown_options)));
        }
    }

    /// Waits for rules that were asked for.
    pub async fn next(&mut self) -> Event {
        let read = self.reading.join_next().await;
        self.read();
        match read {
            Some(Ok((request, rules))) => Event::Rules { request, rules: rules.map(Box::new) },
            Some(Err(error)) => Event::Rules { request: None, rules: Err(format!("reading has failed: {error}")) },
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rules_are_read_once_at_a_time_and_each_request_gets_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pfile");
        fs::write(&path, "IPCKEY 0x1\n/bin/a:/b:1:1:exit\n").unwrap();
        let mut reader = RulesReader::new(path, UnknownOptions::Refuse);
        reader.start(Some(RequestId(1)));
        (0..1000).for_each(|_| reader.start(None));
        reader.start(Some(RequestId(2)));
        assert_eq!((reader.reading.len(), reader.asked.len()), (1, 2));
        let mut told = Vec::new();
        for _ in 0..3 {
            let Event::Rules { request, rules } = reader.next().await else { panic!() };
            assert!(rules.is_ok());
            told.push(request);
        }
        assert_eq!(told, [Some(RequestId(1)), None, Some(RequestId(2))]);
        assert!(reader.reading.is_empty());
    }

    #[tokio::test]
    async fn a_pipe_in_place_of_the_file_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pfile");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        let mut reader = RulesReader::new(path, UnknownOptions::Refuse);
        reader.start(None);
        let Event::Rules { rules, .. } = reader.next().await else { panic!() };
        assert!(rules.unwrap_err().ends_with("cannot be read again: it is not a file"));
    }
}
