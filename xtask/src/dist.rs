//! `dist`: what goes to users, under `target/dist`.

use anyhow::ensure;
use xshell::{Shell, cmd};

use crate::{build, say, step, workspace};

/// Larger than this, and something has slipped in.
const LARGEST_BINARY: u64 = 6 * 1024 * 1024;

/// Runs the task.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    let binary = build::release(shell)?;
    step("dist");
    let doctor = cmd!(shell, "{binary} doctor --json").quiet().ignore_status().read()?;
    ensure!(doctor.contains("\"missing\": null"), "this binary carries no kernel programs; `cargo xtask setup` helps");
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("watcher-{version}-{}-linux", std::env::consts::ARCH);
    let dist = workspace::target()?.join("dist");
    let folder = dist.join(&name);
    shell.remove_path(&folder)?;
    shell.create_dir(&folder)?;
    shell.copy_file(&binary, &folder)?;
    for file in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        shell.copy_file(file, &folder)?;
    }
    cmd!(shell, "cp -r docs rules {folder}").quiet().run()?;
    let size = std::fs::metadata(&binary)?.len();
    ensure!(size <= LARGEST_BINARY, "the binary has {size} bytes; {LARGEST_BINARY} are allowed");
    cmd!(shell, "tar -C {dist} -czf {dist}/{name}.tar.gz {name}").quiet().run()?;
    say(&format!("{}/{name}.tar.gz; the binary has {size} bytes", dist.display()));
    Ok(())
}
