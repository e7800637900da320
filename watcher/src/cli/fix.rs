//! `watcher check --fix`: repairs, as a diff first.

use std::{io, path::Path};

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
}

/// Repairs a text; gives the new one, or `None` when there is nothing to repair.
pub(super) fn repair(
    path: &Path,
    text: &[u8],
    unknown_options: UnknownOptions,
    write: bool,
) -> io::Result<Option<(Vec<u8>, Repair)>> {
    let Some(Repaired { text: new, problems }) = fix::repair(text, unknown_options) else { return Ok(None) };
    if write {
        replace::replace(path, &new)?;
    }
    let diff = diff(&path.display().to_string(), text, &new);
    Ok(Some((new, Repair { problems, diff, written: write })))
}

fn diff(name: &str, old: &[u8], new: &[u8]) -> String {
    let [old, new] = [old, new].map(String::from_utf8_lossy);
    let diff = TextDiff::from_lines(old.as_ref(), new.as_ref()).unified_diff().header(name, name).to_string();
    let visible = diff.split('\n').map(|line| diagnostic::visible(line.as_bytes()));
    visible.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}
