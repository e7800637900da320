//! `watcher check --fix`: repairs, as a diff first.

use std::path::Path;

use serde::Serialize;
use similar::TextDiff;
use watcher_core::pfile::{
    UnknownOptions,
    fix::{self, Repaired},
};

use super::diagnostic;
use crate::executor::replace;

/// What was repaired. Documented in `docs/json.md`; members are added, never changed.
#[derive(Debug, Serialize)]
pub(super) struct Repair {
    /// How many problems.
    pub(super) problems: usize,
    /// The change, as a unified diff.
    pub(super) diff: String,
    /// Whether the file was changed.
    pub(super) written: bool,
    /// Why it was not, where it should have been.
    pub(super) error: Option<String>,
}

/// Repairs a text, not yet the file; gives the new text, or `None` when there is nothing to repair.
pub(super) fn repair(path: &Path, text: &[u8], unknown_options: UnknownOptions) -> Option<(Vec<u8>, Repair)> {
    let Repaired { text: new, problems } = fix::repair(text, unknown_options)?;
    let diff = diff(&path.display().to_string(), text, &new);
    Some((new, Repair { problems, diff, written: false, error: None }))
}

impl Repair {
    /// Changes the file. One that cannot be changed stays as it was, and keeps no other from it.
    pub(super) fn write(&mut self, path: &Path, text: &[u8]) {
        match replace::replace(path, text) {
            Ok(()) => self.written = true,
            Err(error) => self.error = Some(error.to_string()),
        }
    }
}

fn diff(name: &str, old: &[u8], new: &[u8]) -> String {
    let [old, new] = [old, new].map(String::from_utf8_lossy);
    let diff = TextDiff::from_lines(old.as_ref(), new.as_ref()).unified_diff().header(name, name).to_string();
    let visible = diff.split('\n').map(|line| diagnostic::visible(line.as_bytes()));
    visible.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}
