//! The standard library for aarch64: that of Debian's compiler, whose package for arm64 fits its compiler for this machine
//! when both have the same version. rustup brings one along, too, but not from a mirror of Debian's packages.

use std::path::PathBuf;

use anyhow::Context as _;
use xshell::{Shell, cmd};

use crate::{arm64::Packages, say, workspace};

/// The compiler, and the package of its standard library.
const COMPILER: &str = "rustc-web";
const LIBRARY: &str = "libstd-rust-web-dev";

/// A compiler and what it needs to build for aarch64.
#[derive(Debug)]
pub(crate) struct Std {
    pub(crate) rustc: PathBuf,
    pub(crate) sysroot: PathBuf,
}

/// Finds it, or fetches it: 50 MB, once.
pub(crate) fn ensure(shell: &Shell) -> anyhow::Result<Std> {
    let format = "${Version}";
    let version = cmd!(shell, "dpkg-query -W -f={format} {COMPILER}").quiet().ignore_stderr().read();
    let version = version.context("Debian's package rustc-web is needed; `cargo xtask setup` installs it")?;
    let folder = workspace::target()?.join(format!("aarch64-{version}"));
    let sysroot = folder.join("usr");
    if !sysroot.join("lib/rustlib/aarch64-unknown-linux-gnu/lib").exists() {
        fetch(shell, &folder, &version)?;
    }
    Ok(Std { rustc: "/usr/bin/rustc".into(), sysroot })
}

fn fetch(shell: &Shell, folder: &std::path::Path, version: &str) -> anyhow::Result<()> {
    say(&format!("fetching {LIBRARY} {version} for arm64 into {}", folder.display()));
    let packages = Packages::into(shell, folder)?;
    packages.unpack(shell, &format!("{LIBRARY}={version}")).with_context(|| {
        format!(
            "Debian has no {LIBRARY} {version} for arm64 any more: `apt-get install {COMPILER}` brings a newer compiler"
        )
    })?;
    packages.done(shell)
}
