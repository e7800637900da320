//! `ebpf`: the kernel programs themselves.

use std::{fs, path::Path};

use anyhow::ensure;
use clap::Subcommand;
use watcher_ebpf_build::Toolchain;
use xshell::{Shell, cmd};

use crate::{say, step, workspace};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Verb {
    /// Load them, and print programs, maps, instruction counts and what the verifier did; takes root
    Inspect,
    /// Build them twice, at two places, and compare the bytes
    Reproducible,
}

/// Runs the task.
pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> anyhow::Result<()> {
    match arguments.verb {
        Verb::Inspect => Ok(cmd!(shell, "cargo run --quiet --package watcher-tests --bin inspect").quiet().run()?),
        Verb::Reproducible => check_reproducible(shell),
    }
}

/// Builds in the workspace and in a copy of it under another path.
pub(crate) fn check_reproducible(shell: &Shell) -> anyhow::Result<()> {
    step("the kernel programs are reproducible");
    let toolchain = Toolchain::find().map_err(anyhow::Error::msg)?;
    let (root, scratch) = (workspace::root()?, tempfile::tempdir()?);
    let copy = scratch.path().join("a copy elsewhere");
    copy_sources(shell, &copy)?;
    let here = watcher_ebpf_build::build(&toolchain, &root, &scratch.path().join("first"))?;
    let there = watcher_ebpf_build::build(&toolchain, &copy, &scratch.path().join("second"))?;
    let (here, there) = (fs::read(here)?, fs::read(there)?);
    ensure!(here == there, "two builds of the kernel programs differ");
    say(&format!("{} bytes, twice the same", here.len()));
    Ok(())
}

/// What git knows or would take.
fn copy_sources(shell: &Shell, to: &Path) -> anyhow::Result<()> {
    let files = cmd!(shell, "git ls-files --cached --others --exclude-standard").quiet().read()?;
    for file in files.lines().filter(|file| shell.path_exists(file)) {
        let target = to.join(file);
        if let Some(folder) = target.parent() {
            shell.create_dir(folder)?;
        }
        shell.copy_file(file, target)?;
    }
    Ok(())
}
