//! `lint`: formatting, clippy twice, dependencies, rules of the house.

use anyhow::Context as _;
use watcher_ebpf_build::Toolchain;
use xshell::{Shell, cmd};

use crate::{step, workspace};

/// Runs the task.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    step("formatting");
    cmd!(shell, "cargo fmt --all --check").quiet().run()?;
    step("clippy, user space");
    // The kernel programs are for another target, and have another panic handler: they are checked apart.
    cmd!(shell, "cargo clippy --quiet --workspace --exclude watcher-ebpf --all-targets -- -Dwarnings").quiet().run()?;
    step("clippy, kernel programs");
    let toolchain = Toolchain::find().map_err(anyhow::Error::msg)?;
    watcher_ebpf_build::lint(&toolchain, &workspace::root()?, &workspace::target()?.join("ebpf-lint"))?;
    step("documentation");
    let _strict = shell.push_env("RUSTDOCFLAGS", "-Dwarnings");
    cmd!(shell, "cargo doc --quiet --no-deps --document-private-items --package watcher --package watcher-core --package watcher-abi")
        .quiet()
        .run()?;
    step("dependencies");
    // Not `advisories`: their list comes from elsewhere than the package registry, and a build asks nobody else.
    cmd!(shell, "cargo deny --log-level error check bans licenses sources")
        .quiet()
        .run()
        .context("cargo deny found something")?;
    step("rules of the house");
    cmd!(shell, "cargo test --quiet --package xtask").quiet().run()?;
    step("nothing to complain about");
    Ok(())
}
