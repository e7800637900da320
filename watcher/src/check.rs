//! Checking pfiles: each by its text, all of them together, and against the host.

use std::io;

use watcher_core::pfile::{
    Allowed, Lines, Pfile, Position, Problem, Reading, Severity, UnknownOptions,
    lint::{self, NamedPfile},
    read,
};

pub use crate::executor::rules::load;
use crate::executor::survey;

/// A pfile, and all that was found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Its name, as it was given.
    pub name: String,
    /// What stands in it.
    pub text: Vec<u8>,
    /// Where its lines begin.
    pub lines: Lines,
    /// What it says, when it has no errors.
    pub pfile: Option<Pfile>,
    /// What is wrong, in order.
    pub problems: Vec<Problem>,
    allowed: Allowed,
}

impl Checked {
    /// By its text alone.
    #[must_use]
    pub fn by_text(name: String, text: Vec<u8>, unknown_options: UnknownOptions) -> Self {
        let Reading { pfile, problems, allowed } = read(&text, unknown_options);
        let lines = Lines::of(&text);
        let mut checked = Self { name, text, lines, pfile, problems, allowed };
        let found = checked.pfile.as_ref().map(lint::text).unwrap_or_default();
        checked.add(found);
        checked
    }

    /// Line and column of a byte.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        self.lines.position(offset)
    }

    /// How many problems are this bad.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    fn add(&mut self, found: impl IntoIterator<Item = Problem>) {
        self.problems.extend(found.into_iter().filter(|problem| self.allowed.tells(problem)));
        self.problems.sort_by_key(|problem| problem.place);
    }
}

/// Adds what can only be told of the files together, and, if wanted, what the host says to them.
///
/// # Errors
/// When the host cannot be looked at.
pub fn together(files: &mut [Checked], ask_host: bool) -> io::Result<()> {
    let host = ask_host.then(|| survey::host(files.iter().filter_map(|file| file.pfile.as_ref()))).transpose()?;
    let (indices, named): (Vec<_>, Vec<_>) = files
        .iter()
        .enumerate()
        .filter_map(|(index, file)| Some((index, NamedPfile { name: &file.name, pfile: file.pfile.as_ref()? })))
        .unzip();
    let mut found: Vec<Vec<Problem>> = files.iter().map(|_| Vec::new()).collect();
    let mut note = |index: usize, problem| {
        if let Some(list) = indices.get(index).and_then(|index| found.get_mut(*index)) {
            list.push(problem);
        }
    };
    for (index, problem) in lint::across(&named, host.as_ref()) {
        note(index, problem);
    }
    for (index, file) in named.iter().enumerate() {
        let of_host = |host: &lint::Host| {
            let names = lint::names(file.pfile, &host.nameless);
            [lint::host(file.pfile, host), names, lint::ca(file.pfile, &host.unusable_cas)].concat()
        };
        let problems = host.as_ref().map(of_host).unwrap_or_default();
        problems.into_iter().for_each(|problem| note(index, problem));
    }
    for (file, found) in files.iter_mut().zip(found) {
        file.add(found);
    }
    Ok(())
}
