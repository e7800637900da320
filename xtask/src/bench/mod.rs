//! `bench`: figures beside peers, in one run on one machine. Ratios count, not absolute times. Without a subcommand: the
//! table of all tools at all sizes, which `BENCH.md` is made of.

mod beside;
mod peers;

use std::ffi::OsStr;

use clap::ValueEnum;
use xshell::{Shell, cmd};

use crate::{setup, step};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to measure; by default all that BENCH.md has, which takes about 90 minutes
    #[arg(value_enum)]
    what: Option<What>,
    /// A short run, to see that it works (of everything: less than 3 minutes); its figures mean little
    #[arg(long)]
    quick: bool,
    /// Only these tools, such as watcher-ebpf,floor,monit; a name that is not known shows all
    #[arg(long, value_delimiter = ',', conflicts_with = "what")]
    tools: Vec<String>,
    /// Only so many watched processes, such as 10,100
    #[arg(long, value_delimiter = ',', conflicts_with = "what")]
    sizes: Vec<usize>,
    /// Measure again what has been measured here with the same programs
    #[arg(long, conflicts_with = "what")]
    fresh: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// From a death to knowing it, and what the kernel programs cost everybody else
    Exit,
    /// What each tier costs, and how soon it knows of a death
    Tiers,
    /// From a kill to its restart script, and what pcheck costs
    Restart,
    /// What watching TCP sockets costs: kernel time, wake-ups, and nginx under wrk with and without it
    Sockets,
    /// What it costs to ask many endpoints by HTTP and HTTPS, beside monit and blackbox_exporter
    Probe,
}

impl Arguments {
    /// Short runs of everything.
    pub(crate) fn quick() -> impl Iterator<Item = Self> {
        let each = What::value_variants().iter().map(|what| Some(*what)).chain([None]);
        each.map(|what| Self { what, quick: true, tools: Vec::new(), sizes: Vec::new(), fresh: false })
    }
}

/// Runs the task; takes root.
pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> anyhow::Result<()> {
    setup::ensure(shell)?;
    let Arguments { what, quick, tools, sizes, fresh } = arguments;
    let Some(what) = what else {
        return beside::run(shell, &beside::Wish { quick: *quick, tools, sizes, fresh: *fresh });
    };
    let binary = match what {
        What::Exit | What::Tiers => "bench_exit",
        What::Restart => "bench_restart",
        What::Sockets => "bench_sockets",
        What::Probe => "bench_probe",
    };
    let peers = match what {
        What::Exit | What::Restart | What::Tiers => None,
        What::Sockets => peers::find(shell, peers::LOADING)?,
        What::Probe => peers::find(shell, peers::ASKING)?,
    };
    step("bench");
    cmd!(shell, "cargo build --quiet --release --package watcher-tests --package watcher --bins").quiet().run()?;
    let quick = quick.then_some("--quick");
    let tiers = matches!(what, What::Tiers).then_some("--tiers");
    let peers = peers.iter().flat_map(|folder| [OsStr::new("--peers"), folder.as_os_str()]);
    cmd!(
        shell,
        "cargo run --quiet --release --package watcher-tests --bin {binary} -- {quick...} {tiers...} {peers...}"
    )
    .quiet()
    .run()?;
    Ok(())
}
