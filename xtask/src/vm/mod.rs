//! `vm`: the tests on other kernels, in virtual machines that are emulated in software.

mod boot;
pub(crate) mod cpio;
mod image;
mod kernels;
mod report;
mod rows;
mod table;

use anyhow::ensure;
use xshell::Shell;

use self::image::Build;
use crate::{step, workspace};

/// From the oldest ring buffer that can be had to the newest kernel.
const USUAL: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "newest"];

/// The ends of it, and what most hosts have.
const SHORT: [&str; 3] = ["5.10", "6.1", "newest"];

/// For the brief form, the first of these that the mirror has: of the oldest it has said that it may not keep it.
const OLDEST: [&str; 3] = ["5.10", "6.1", "6.12"];

/// A mirror that has fewer of the kernels that were asked for proves too little.
const FEWEST: usize = 3;

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Series of kernels, such as 6.1, or `newest` (default: a few; with --all, more)
    kernels: Vec<String>,
    /// All kernels, hosts and groups of tests
    #[arg(long)]
    all: bool,
    /// What `cargo xtask test` does: one old kernel, user-mode-linux, and the few tests that matter most
    #[arg(long, conflicts_with_all = ["kernels", "all", "groups"])]
    brief: bool,
    /// Only these groups of tests, as the table names them
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Only these hosts (default: whole, no-btf and uml; with --all, all). What one lacks is shown on 6.1, or on the first kernel
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<rows::Host>,
}

impl Arguments {
    /// What CI runs.
    pub(crate) fn brief() -> Self {
        Self { brief: true, ..Self::default() }
    }
}

/// Runs the task.
pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> anyhow::Result<()> {
    step("kernels in virtual machines");
    let usual: &[&str] = match arguments {
        Arguments { brief: true, .. } => &OLDEST,
        Arguments { all: true, .. } => &USUAL,
        Arguments { .. } => &SHORT,
    };
    let chosen = if arguments.kernels.is_empty() {
        usual.iter().map(ToString::to_string).collect()
    } else {
        arguments.kernels.clone()
    };
    let (enough, fewest) = if arguments.brief { (1, 1) } else { (usize::MAX, FEWEST.min(chosen.len())) };
    shell.create_dir(workspace::target()?.join("vm"))?;
    let mut kernels = Vec::new();
    let mut absent = Vec::new();
    for found in kernels::get(shell, &chosen, enough)? {
        match found {
            Ok(kernel) => kernels.push(kernel),
            Err(reason) => absent.push(reason),
        }
    }
    ensure!(
        kernels.len() >= fewest,
        "only {} of {} kernels can be had, which is too few: {absent:?}",
        kernels.len(),
        chosen.len()
    );
    rows::check(&arguments.groups)?;
    let image = image::common(shell, if arguments.brief { Build::Usual } else { Build::ForGuests })?;
    let guests = if arguments.brief {
        rows::brief(&kernels)
    } else {
        rows::guests(&kernels, arguments.all, &arguments.groups, &arguments.hosts)
    };
    let outcomes = boot::all(&guests, &image)?.concat();
    table::print(&outcomes, &absent)
}
