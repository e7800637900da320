//! Binaries that need no newer C library than glibc 2.17: cargo-zigbuild, with zig as the linker, both in a folder below
//! `target`.

use std::{env, path::PathBuf};

use anyhow::{Context as _, ensure};
use xshell::{Shell, cmd};

use crate::{aarch64, say, workspace};

/// The oldest C library that a release has to work with: that of RHEL 7.
pub(crate) const GLIBC: [u32; 2] = [2, 17];

const ZIG_VERSION: &str = "0.17.1";

const ZIGBUILD_VERSION: &str = "0.24.0";

/// Machines that releases are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Machine {
    /// Needs nothing but this compiler
    #[value(name = "x86_64")]
    X86_64,
    /// Cross-built, with a standard library out of Debian
    Aarch64,
}

impl Machine {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The same, as compilers name it.
    pub(crate) fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.name())
    }

    /// Whether its binaries run here.
    pub(crate) fn is_this(self) -> bool {
        self.name() == env::consts::ARCH
    }
}

/// The release binary for this machine, with whatever tools are missing fetched before.
pub(crate) fn release(shell: &Shell, machine: Machine) -> anyhow::Result<PathBuf> {
    let bin = tools(shell)?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([bin].into_iter().chain(env::split_paths(&path)))?;
    let _path = shell.push_env("PATH", path);
    let cache = workspace::target()?.join("zig-cache");
    let _zig_cache = shell.push_env("ZIG_GLOBAL_CACHE_DIR", cache.join("zig"));
    let _wrappers = shell.push_env("CARGO_ZIGBUILD_CACHE_DIR", cache.join("wrappers"));
    let target = machine.target();
    // The compiler here comes with a standard library for this machine only.
    let _std = if machine.is_this() {
        None
    } else {
        let aarch64::Std { rustc, sysroot } = aarch64::ensure(shell)?;
        let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
        Some((shell.push_env("RUSTC", rustc), shell.push_env(flags, format!("--sysroot={}", sysroot.display()))))
    };
    let [major, minor] = GLIBC;
    let oldest = format!("{target}.{major}.{minor}");
    cmd!(shell, "cargo zigbuild --release --locked --package watcher --target {oldest}").quiet().run()?;
    let binary = workspace::target()?.join(target).join("release/watcher");
    ensure!(binary.exists(), "{} was not built", binary.display());
    Ok(binary)
}

/// The folder of zig and cargo-zigbuild; fetched from PyPI once, 100 MB.
fn tools(shell: &Shell) -> anyhow::Result<PathBuf> {
    let folder = workspace::target()?.join(format!("zig-{ZIG_VERSION}-{ZIGBUILD_VERSION}"));
    let bin = folder.join("bin");
    // What pip installs last.
    if !bin.join("cargo-zigbuild").exists() {
        say(&format!("fetching zig {ZIG_VERSION} and cargo-zigbuild {ZIGBUILD_VERSION} into {}", folder.display()));
        shell.remove_path(&folder)?;
        let made = cmd!(shell, "python3 -m venv {folder}").quiet().ignore_stdout().run();
        made.context("Python 3 with its modules venv and ensurepip is needed: apt-get install python3-venv")?;
        let wanted = [format!("ziglang=={ZIG_VERSION}"), format!("cargo-zigbuild=={ZIGBUILD_VERSION}")];
        let pip = bin.join("pip");
        for package in wanted {
            cmd!(shell, "{pip} install --quiet --disable-pip-version-check {package}").quiet().run()?;
        }
    }
    Ok(bin)
}
