//! The standard library for aarch64: that of Debian's compiler, whose package for arm64 fits its compiler for this machine
//! when both have the same version. rustup brings one along, too, but not from a mirror of Debian's packages.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use xshell::{Shell, cmd};

use crate::{say, workspace};

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

/// By a state of its own, so that the packages of this machine are left alone.
fn fetch(shell: &Shell, folder: &std::path::Path, version: &str) -> anyhow::Result<()> {
    say(&format!("fetching {LIBRARY} {version} for arm64 into {}", folder.display()));
    shell.remove_path(folder)?;
    let apt = folder.join("apt");
    for below in ["state/lists/partial", "cache/archives/partial"] {
        shell.create_dir(apt.join(below))?;
    }
    shell.write_file(apt.join("status"), "")?;
    let options = [
        format!("Dir::State={}", apt.join("state").display()),
        format!("Dir::State::status={}", apt.join("status").display()),
        format!("Dir::Cache={}", apt.join("cache").display()),
        "Acquire::Languages=none".to_owned(),
        "APT::Architecture=arm64".to_owned(),
        "APT::Architectures=arm64".to_owned(),
        "APT::Sandbox::User=root".to_owned(),
    ];
    let options: Vec<_> = options.iter().flat_map(|option| ["-o", option]).collect();
    let options = options.as_slice();
    cmd!(shell, "apt-get {options...} -q update").quiet().ignore_stdout().run()?;
    let _here = shell.push_dir(folder);
    let package = format!("{LIBRARY}={version}");
    let fetched = cmd!(shell, "apt-get {options...} -q download {package}").quiet().ignore_stdout().run();
    fetched.with_context(|| {
        format!(
            "Debian has no {LIBRARY} {version} for arm64 any more: `apt-get install {COMPILER}` brings a newer compiler"
        )
    })?;
    let packages: Vec<_> =
        shell.read_dir(folder)?.into_iter().filter(|file| file.extension().is_some_and(|end| end == "deb")).collect();
    ensure!(packages.len() == 1, "one package was wanted, and these came: {packages:?}");
    for package in &packages {
        cmd!(shell, "dpkg-deb -x {package} {folder}").quiet().run()?;
        shell.remove_path(package)?;
    }
    shell.remove_path(apt)?;
    Ok(())
}
