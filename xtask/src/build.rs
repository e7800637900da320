//! `build`: one cargo build; the build script makes the kernel programs.

use watcher_ebpf_build::Toolchain;
use xshell::{Shell, cmd};

use crate::{say, setup, step, workspace};

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Optimised and stripped
    #[arg(long)]
    release: bool,
}

/// Runs the task.
pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> anyhow::Result<()> {
    step("build");
    match Toolchain::find() {
        Ok(toolchain) => say(&format!("kernel programs by {}", setup::describe(&toolchain))),
        Err(missing) => say(&format!("without kernel programs: {missing}; `cargo xtask setup` helps")),
    }
    let profile = arguments.release.then_some("--release");
    cmd!(shell, "cargo build --package watcher {profile...}").quiet().run()?;
    let folder = if arguments.release { "release" } else { "debug" };
    say(&format!("built {}", workspace::target()?.join(folder).join("watcher").display()));
    Ok(())
}

/// The release binary, built if it has to be.
pub(crate) fn release(shell: &Shell) -> anyhow::Result<std::path::PathBuf> {
    run(shell, &Arguments { release: true })?;
    Ok(workspace::target()?.join("release/watcher"))
}
