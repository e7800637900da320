//! Manual pages and completions: the package `watcher-pages` makes them of what can be typed.

use std::path::PathBuf;

use xshell::{Shell, cmd};

use crate::workspace;

/// Tells in which folder: `man` and `completions` lie in it.
pub(super) fn make(shell: &Shell, day: &str) -> anyhow::Result<PathBuf> {
    let folder = workspace::target()?.join("pages");
    shell.remove_path(&folder)?;
    cmd!(shell, "cargo run --quiet --locked --package watcher-pages -- {folder} {day}").quiet().run()?;
    Ok(folder)
}
