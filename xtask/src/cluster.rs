//! `cluster`: the resource agent, by `ocf-tester` and in a cluster of two nodes on this machine.

use xshell::{Shell, cmd};

use crate::{setup, step};

/// Beside what all tests need. Nothing of it is started on this machine itself.
const PACKAGES: [&str; 6] =
    ["corosync", "curl", "libxml2-utils", "pacemaker", "pacemaker-cli-utils", "resource-agents"];

/// Runs the task; takes root.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    setup::ensure(shell)?;
    setup::packages_are_there(shell, &PACKAGES)?;
    step("the resource agent by itself");
    cmd!(shell, "cargo test --locked --package watcher --test ocf").quiet().run()?;
    step("a cluster of two nodes");
    cmd!(shell, "cargo build --quiet --locked --package watcher --package watcher-tests --bins").quiet().run()?;
    let _long = shell.push_env("WATCHER_LONG_TESTS", "1");
    cmd!(shell, "cargo test --locked --package watcher-tests --test e2e cluster:: -- --nocapture").quiet().run()?;
    Ok(())
}
