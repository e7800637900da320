//! What is wrong with a pfile, where, and what to do about it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, EntryNumber, Place, Severity};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What was looked for.
    pub check: Check,
    /// How bad it is here.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// In which entry.
    pub entry: Option<EntryNumber>,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to do, as a sentence.
    pub hint: Option<String>,
    /// Another place in the same file that has to do with it.
    pub related: Option<Box<Related>>,
    /// What repairs it without changing what the file means.
    pub edits: Vec<Edit>,
}

impl Problem {
    pub(super) fn new(check: Check, place: Place, message: impl Into<String>) -> Self {
        Self {
            check,
            severity: check.severity(),
            place,
            entry: None,
            message: message.into(),
            hint: None,
            related: None,
            edits: Vec::new(),
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With a suggestion, if there is one, and else with a list of what there is.
    pub(super) fn suggest(self, near: Option<&str>, otherwise: impl Into<String>) -> Self {
        match near {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self.hint(otherwise),
        }
    }

    pub(super) fn related(mut self, place: Place, note: impl Into<String>) -> Self {
        self.related = Some(Box::new(Related { place, note: note.into() }));
        self
    }

    pub(super) fn repair(mut self, place: Place, replacement: impl Into<Vec<u8>>) -> Self {
        self.edits.push(Edit { place, replacement: replacement.into() });
        self
    }

    pub(super) fn of(mut self, entry: EntryNumber) -> Self {
        self.entry = Some(entry);
        self
    }
}

/// A place that has to do with a problem in another place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// Where.
    pub place: Place,
    /// How.
    pub note: String,
}

/// A change to the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; where it is empty, something is inserted.
    pub place: Place,
    /// By what.
    pub replacement: Vec<u8>,
}

/// The lints that a file allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    file: BTreeSet<Check>,
    entries: BTreeMap<EntryNumber, BTreeSet<Check>>,
}

impl Allowed {
    pub(super) fn allow(&mut self, entry: Option<EntryNumber>, lints: &[Check]) {
        match entry {
            None => self.file.extend(lints),
            Some(entry) => self.entries.entry(entry).or_default().extend(lints),
        }
    }

    /// Whether a problem is to be told. Errors always are.
    #[must_use]
    pub fn tells(&self, problem: &Problem) -> bool {
        let Problem { check, severity, entry, .. } = problem;
        let by_entry = || entry.and_then(|entry| self.entries.get(&entry)).is_some_and(|lints| lints.contains(check));
        *severity == Severity::Error || !(self.file.contains(check) || by_entry())
    }
}
