//! `dist`: what goes to users, under `target/dist`: binaries that run on any host with glibc 2.17 or later.

use std::path::PathBuf;

use anyhow::ensure;
use clap::ValueEnum as _;
use xshell::{Shell, cmd};

use crate::{
    elf::{self, Needs},
    emulated, old_library, say, step, workspace,
    zig::{self, Machine},
};

/// Larger than this, and something has slipped in.
const LARGEST_BINARY: u64 = 6 * 1024 * 1024;

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// For these machines (default: this one)
    #[arg(value_enum)]
    machines: Vec<Machine>,
    /// Run it, too: on Debian 11 in a folder below `target`, which takes root and mmdebstrap; what was built for another
    /// machine on one that QEMU stands in for
    #[arg(long)]
    verify: bool,
}

/// Runs the task.
pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> anyhow::Result<()> {
    let this = || Machine::value_variants().iter().copied().filter(|machine| machine.is_this());
    let machines = if arguments.machines.is_empty() { this().collect() } else { arguments.machines.clone() };
    for machine in machines {
        let binary = pack(shell, machine)?;
        if arguments.verify {
            match machine {
                Machine::Aarch64 if !machine.is_this() => emulated::run(shell, &binary)?,
                Machine::X86_64 | Machine::Aarch64 => old_library::run(shell, &binary)?,
            }
        }
    }
    Ok(())
}

/// The tarball; tells where its binary lies.
fn pack(shell: &Shell, machine: Machine) -> anyhow::Result<PathBuf> {
    let binary = checked(shell, machine)?;
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("watcher-{version}-{}-linux", machine.name());
    let dist = workspace::target()?.join("dist");
    let folder = dist.join(&name);
    shell.remove_path(&folder)?;
    shell.create_dir(&folder)?;
    shell.copy_file(&binary, &folder)?;
    for file in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        shell.copy_file(file, &folder)?;
    }
    cmd!(shell, "cp -r docs rules {folder}").quiet().run()?;
    cmd!(shell, "tar -C {dist} -czf {dist}/{name}.tar.gz {name}").quiet().run()?;
    say(&format!("{}/{name}.tar.gz", dist.display()));
    Ok(binary)
}

/// The binary for this machine, after it was looked at.
pub(crate) fn checked(shell: &Shell, machine: Machine) -> anyhow::Result<PathBuf> {
    step(&format!("a release for {}", machine.name()));
    let binary = zig::release(shell, machine)?;
    let bytes = std::fs::read(&binary)?;
    let size = bytes.len() as u64;
    ensure!(size <= LARGEST_BINARY, "the binary has {size} bytes; {LARGEST_BINARY} are allowed");
    ensure!(elf::carries_kernel_programs(&bytes), "this binary carries no kernel programs; `cargo xtask setup` helps");
    let needs = Needs::of(&bytes)?;
    needs.check(&zig::GLIBC)?;
    let libraries: Vec<_> = needs.libraries.iter().map(String::as_str).collect();
    say(&format!("{size} bytes, with the kernel programs; needs glibc {}: {}", needs.newest(), libraries.join(", ")));
    if machine.is_this() {
        let doctor = cmd!(shell, "{binary} doctor --json").quiet().ignore_status().read()?;
        ensure!(doctor.contains("\"missing\": null"), "this binary does not find its kernel programs:\n{doctor}");
    }
    Ok(binary)
}
