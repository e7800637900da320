//! Where everything is.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use xshell::Shell;

/// The root of the workspace.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map(Path::to_owned).context("xtask lies inside the workspace")
}

/// A shell that stands there.
pub(crate) fn shell() -> anyhow::Result<Shell> {
    let shell = Shell::new()?;
    shell.change_dir(root()?);
    Ok(shell)
}

/// Where cargo builds.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    Ok(root()?.join(folder))
}
