//! `dist`: what goes to users, under `target/dist`: packages of a binary that runs on any host with glibc 2.17 or later.

use std::path::PathBuf;

use anyhow::ensure;
use clap::ValueEnum as _;
use xshell::{Shell, cmd};

use crate::{
    elf::{self, Needs},
    emulated, old_library,
    packages::{self, Release},
    say, step, workspace,
    zig::{self, Machine},
};

/// Larger than this, and something has slipped in.
const LARGEST_BINARY: u64 = 6 * 1024 * 1024;

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// For these machines (default: this one)
    #[arg(value_enum)]
    machines: Vec<Machine>,
    /// Pack this binary, which was built before
    #[arg(long, value_name = "FILE", requires = "machines")]
    binary: Option<PathBuf>,
    /// Run it, too, and install, upgrade and remove its packages: on Debian 11 in a folder below `target`, which takes root,
    /// mmdebstrap and lintian; what was built for another machine on one that QEMU stands in for
    #[arg(long)]
    verify: bool,
}

/// Runs the task.
pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { machines, binary, verify } = arguments;
    let this = || Machine::value_variants().iter().copied().filter(|machine| machine.is_this());
    let machines = if machines.is_empty() { this().collect() } else { machines.clone() };
    for machine in machines {
        let binary = match binary {
            Some(binary) => looked_at(shell, machine, workspace::root()?.join(binary))?,
            None => checked(shell, machine)?,
        };
        step(&format!("packages for {}", machine.name()));
        let dist = workspace::target()?.join("dist");
        let release = Release::new(shell, machine, &binary)?;
        let packages = packages::pack(shell, &release, &dist)?;
        if !verify {
            continue;
        }
        match machine {
            Machine::Aarch64 if !machine.is_this() => emulated::run(shell, &binary)?,
            Machine::X86_64 | Machine::Aarch64 => {
                old_library::run(shell, &binary)?;
                packages::verify(shell, &release, &packages)?;
            }
        }
    }
    Ok(())
}

/// The binary for this machine, built and looked at.
pub(crate) fn checked(shell: &Shell, machine: Machine) -> anyhow::Result<PathBuf> {
    step(&format!("a release for {}", machine.name()));
    let binary = zig::release(shell, machine)?;
    looked_at(shell, machine, binary)
}

/// The same binary.
fn looked_at(shell: &Shell, machine: Machine, binary: PathBuf) -> anyhow::Result<PathBuf> {
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
