//! Rules from files.

use std::{
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

/// Reads rules aside: a file system may take its time.
#[derive(Debug)]
pub struct RulesReader {
    path: PathBuf,
    unknown_options: UnknownOptions,
    reading: JoinSet<(Option<RequestId>, Result<Pfile, String>)>,
}

impl RulesReader {
    /// Of this file.
    #[must_use]
    pub fn new(path: PathBuf, unknown_options: UnknownOptions) -> Self {
        Self { path, unknown_options, reading: JoinSet::new() }
    }

    /// Begins to read; [`Self::next`] brings what came of it.
    pub fn start(&mut self, request: Option<RequestId>) {
        let (path, unknown_options) = (self.path.clone(), self.unknown_options);
        self.reading.spawn_blocking(move || (request, rules(&path, unknown_options)));
    }

    /// Waits for rules that were asked for.
    pub async fn next(&mut self) -> Event {
        match self.reading.join_next().await {
            Some(Ok((request, rules))) => Event::Rules { request, rules: rules.map(Box::new) },
            Some(Err(error)) => Event::Rules { request: None, rules: Err(format!("reading has failed: {error}")) },
            None => std::future::pending().await,
        }
    }
}
