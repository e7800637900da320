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

use crate::{step, workspace};

/// From the oldest ring buffer that can be had to the newest kernel.
const USUAL: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "newest"];

/// The ends of it, and what most hosts have.
const SHORT: [&str; 3] = ["5.10", "6.1", "newest"];

/// A mirror that has fewer of the kernels that were asked for proves too little.
const FEWEST: usize = 3;

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Series of kernels, such as 6.1, or `newest` (default: a few; with --all, more)
    kernels: Vec<String>,
    /// All kernels, hosts and groups of tests
    #[arg(long)]
    all: bool,
    /// Only these groups of tests, as the table names them
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Only these hosts (default: whole, no-btf and uml; with --all, all). What one lacks is shown on 6.1, or on the first kernel
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<rows::Host>,
}

/// Runs the task.
pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> anyhow::Result<()> {
    step("kernels in virtual machines");
    let usual: &[&str] = if arguments.all { &USUAL } else { &SHORT };
    let chosen = if arguments.kernels.is_empty() {
        usual.iter().map(ToString::to_string).collect()
    } else {
        arguments.kernels.clone()
    };
    shell.create_dir(workspace::target()?.join("vm"))?;
    let mut kernels = Vec::new();
    let mut absent = Vec::new();
    for found in kernels::get(shell, &chosen)? {
        match found {
            Ok(kernel) => kernels.push(kernel),
            Err(reason) => absent.push(reason),
        }
    }
    let fewest = FEWEST.min(chosen.len());
    ensure!(
        kernels.len() >= fewest,
        "only {} of {} kernels can be had, which is too few: {absent:?}",
        kernels.len(),
        chosen.len()
    );
    rows::check(&arguments.groups)?;
    let image = image::common(shell)?;
    let guests = rows::guests(&kernels, arguments.all, &arguments.groups, &arguments.hosts);
    let outcomes = boot::all(&guests, &image)?.concat();
    table::print(&outcomes, &absent)
}
