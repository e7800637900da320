//! Which pfiles and entries are wanted.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use watcher_core::health::Trouble;

use crate::{cli::find::same_file, control::EntryLine, new};

/// The word for an entry without trouble.
const WELL: &str = "well";

/// Reads a state; `None`: it is well.
pub(super) fn state(word: &str) -> Result<Option<Trouble>, String> {
    match (word, Trouble::named(word)) {
        (WELL, _) => Ok(None),
        (_, Some(trouble)) => Ok(Some(trouble)),
        (_, None) => Err(format!("one of these is wanted: {}", names())),
    }
}

/// What `--help` says of them.
pub(super) fn states() -> String {
    format!("Only entries of which this is so; more than one may be given [possible values: {}]", names())
}

fn names() -> String {
    let all: Vec<_> = Trouble::ALL.into_iter().map(Trouble::name).chain([WELL]).collect();
    all.join(", ")
}

/// What is wanted. Nothing said: all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<'a> {
    pub(super) files: &'a [PathBuf],
    pub(super) processes: &'a [String],
    pub(super) groups: &'a [String],
    pub(super) states: &'a [Option<Trouble>],
    pub(super) trouble: bool,
}

impl Choice<'_> {
    /// Whether it is about this pfile.
    pub(super) fn wants_file(&self, pfile: &Path) -> bool {
        self.files.is_empty() || self.files.iter().any(|file| is_file(file, pfile))
    }

    /// Whether some entries are wanted and others are not, whatever their state.
    pub(super) const fn names_entries(&self) -> bool {
        !self.processes.is_empty() || !self.groups.is_empty()
    }

    /// Whether it names this entry.
    pub(super) fn names(&self, entry: &EntryLine) -> bool {
        let process = entry.process();
        let is_process =
            self.processes.is_empty() || self.processes.iter().any(|pattern| is_process(pattern, &process));
        is_process && (self.groups.is_empty() || self.groups.iter().any(|group| is_group(group, entry)))
    }

    /// Whether its state is one of those that are wanted.
    pub(super) fn wants_state(&self, troubles: &[Trouble]) -> bool {
        let has = |state: &Option<Trouble>| match state {
            Some(trouble) => troubles.contains(trouble),
            None => troubles.is_empty(),
        };
        (self.states.is_empty() || self.states.iter().any(has)) && !(self.trouble && troubles.is_empty())
    }

    /// Names that none of these has: most likely they are misspelt, and all would seem to be well.
    pub(super) fn in_vain<'e>(
        &self,
        pfiles: &[Vec<u8>],
        entries: impl Iterator<Item = &'e EntryLine> + Clone,
    ) -> Vec<String> {
        let Self { files, processes, groups, states: _, trouble: _ } = self;
        let watched = |file: &&PathBuf| pfiles.iter().any(|pfile| is_file(file, Path::new(OsStr::from_bytes(pfile))));
        let files = files.iter().filter(|file| !watched(file));
        let files = files.map(|file| format!("no pcheck watches for {}", file.display()));
        let among = if self.files.is_empty() { "any pfile" } else { "these pfiles" };
        let named = |pattern: &&String| entries.clone().any(|entry| is_process(pattern, &entry.process()));
        let processes = processes.iter().filter(|pattern| !named(pattern));
        let processes = processes.map(|pattern| format!("no entry of {among} is about a process `{pattern}`"));
        let grouped = |group: &&String| entries.clone().any(|entry| is_group(group, entry));
        let groups = groups.iter().filter(|group| !grouped(group));
        let groups = groups.map(|group| format!("no entry of {among} is in a group `{group}`"));
        files.chain(processes).chain(groups).collect()
    }
}

fn is_file(given: &Path, pfile: &Path) -> bool {
    let full = std::path::absolute(given).unwrap_or_else(|_error| given.to_owned());
    same_file(&full, pfile)
}

fn is_group(group: &str, entry: &EntryLine) -> bool {
    entry.group.as_deref() == Some(group)
}

/// By its whole path if the pattern has a slash, otherwise by its name.
fn is_process(pattern: &str, process: &[u8]) -> bool {
    let name = process.rsplit(|byte| *byte == b'/').next().unwrap_or(process);
    new::matches(pattern.as_bytes(), if pattern.contains('/') { process } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_named_by_its_path_or_its_name() {
        for (pattern, process, fits) in [
            ("java", "/usr/bin/java", true),
            ("jav?", "/usr/bin/java", true),
            ("java", "/usr/bin/java8", false),
            ("/usr/*/java", "/usr/bin/java", true),
            ("/bin/java", "/usr/bin/java", false),
            ("*", "/usr/bin/java", true),
        ] {
            assert_eq!(is_process(pattern, process.as_bytes()), fits, "{pattern} {process}");
        }
        assert!(is_process("\u{e9}*", b"/bin/\xc3\xa9\xff"), "names are bytes");
    }

    #[test]
    fn a_state_that_is_not_known_is_refused_with_all_that_are() {
        assert_eq!(state("well"), Ok(None));
        assert_eq!(state("gave_up"), Ok(Some(Trouble::GaveUp)));
        let why = state("gaveup").unwrap_err();
        assert!(why.contains("gave_up") && why.contains("well"), "{why}");
    }

    #[test]
    fn states_are_those_of_any_trouble_and_well_is_none() {
        let none = Choice { files: &[], processes: &[], groups: &[], states: &[], trouble: false };
        let of = |states| Choice { states, ..none };
        let both = [Trouble::Stalled, Trouble::Sockets];
        assert!(none.wants_state(&[]) && none.wants_state(&both));
        assert!(of(&[Some(Trouble::Sockets)]).wants_state(&both));
        assert!(!of(&[Some(Trouble::Sockets)]).wants_state(&[]));
        assert!(of(&[None]).wants_state(&[]) && !of(&[None]).wants_state(&both));
        let trouble = Choice { trouble: true, ..none };
        assert!(trouble.wants_state(&both) && !trouble.wants_state(&[]));
    }
}
