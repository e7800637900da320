//! Manual pages and completions, made of what can be typed: `watcher-pages FOLDER YYYY-MM-DD`. A program of its own, so that
//! neither watcher carries them nor the build tool has to build watcher before it can do anything.

mod commands;
mod complete;
mod man;
#[cfg(test)]
mod tests;

use std::{env, path::PathBuf};

use anyhow::bail;

fn main() -> anyhow::Result<()> {
    let words: Vec<_> = env::args().skip(1).collect();
    let [folder, date] = words.as_slice() else { bail!("Usage: watcher-pages FOLDER YYYY-MM-DD") };
    let folder = PathBuf::from(folder);
    let whole = commands::whole()?;
    man::write(&whole, date, &folder.join("man"))?;
    complete::write(&whole, &folder.join("completions"))
}
