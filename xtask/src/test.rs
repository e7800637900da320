//! `test`: what the README names and CI runs; nothing that matters is outside it.

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use xshell::{Shell, cmd};

use crate::{demo, ebpf, fuzz, lint, old_kernel, say, setup, step, vm, workspace};

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Only these parts (default: all of them, in this order)
    #[arg(value_enum)]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What `cargo xtask lint` does
    Lint,
    /// Tests that need no privileges
    Unit,
    /// Tests on the running kernel, with real processes; takes root
    Kernel,
    /// The same without what Linux 3.10 does not have; takes root
    OldKernel,
    /// A build without BPF tools says so and works by the next tier
    Stub,
    /// Two builds of the kernel programs give the same bytes
    Reproducible,
    /// Any bytes against what parses, for a short while
    Fuzz,
    /// The demo shows what it promises
    Demo,
    /// The most important tests on an old kernel and on user-mode-linux, in virtual machines
    Vm,
}

/// Runs the task.
pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> anyhow::Result<()> {
    setup::ensure(shell)?;
    let wanted = |part: &&Part| arguments.parts.is_empty() || arguments.parts.contains(part);
    for part in Part::value_variants().iter().filter(wanted) {
        match part {
            Part::Lint => lint::run(shell)?,
            Part::Unit => {
                step("tests without privileges");
                cmd!(shell, "cargo test --quiet --locked").quiet().run()?;
                // By itself: what it takes would otherwise be built into watcher, too.
                cmd!(shell, "cargo test --quiet --locked --package watcher-pages").quiet().run()?;
            }
            Part::Kernel => {
                step("tests on the running kernel");
                cmd!(shell, "cargo build --quiet --locked --package watcher --package watcher-tests --bins")
                    .quiet()
                    .run()?;
                cmd!(shell, "cargo test --quiet --locked --package watcher-tests").quiet().run()?;
            }
            Part::OldKernel => old_kernel::run(shell, &old_kernel::Arguments::short())?,
            Part::Stub => stub(shell)?,
            Part::Reproducible => ebpf::check_reproducible(shell)?,
            Part::Fuzz => fuzz::run(shell, &fuzz::Arguments { seconds: 20 })?,
            Part::Demo => demo::run(shell)?,
            Part::Vm => vm::run(shell, &vm::Arguments::brief())?,
        }
    }
    step("all tests passed");
    Ok(())
}

/// In a folder of its own, so that the real build is not made anew afterwards.
fn stub(shell: &Shell) -> anyhow::Result<()> {
    step("a build without BPF tools");
    let folder = workspace::target()?.join("stub");
    let _skip = shell.push_env("WATCHER_BPF_SKIP", "1");
    cmd!(shell, "cargo build --quiet --locked --package watcher --target-dir {folder}")
        .quiet()
        .ignore_stderr()
        .run()?;
    let doctor =
        cmd!(shell, "{folder}/debug/watcher doctor").quiet().read().context("doctor is content with pidfds")?;
    for wanted in ["tier ebpf         no: this binary was built without its BPF object", "auto takes        pidfd"] {
        ensure!(doctor.contains(wanted), "doctor does not say {wanted:?}:\n{doctor}");
    }
    say("doctor says so, and takes the next tier");
    Ok(())
}
