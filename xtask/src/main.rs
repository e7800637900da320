//! The build tool. `cargo xtask help` lists the tasks; each says what it does while it does it.
#![expect(clippy::print_stderr, reason = "talking to the developer is its trade")]

mod aarch64;
mod arm64;
mod bench;
mod build;
mod cluster;
mod demo;
mod dist;
mod ebpf;
mod elf;
mod emulated;
mod fuzz;
mod lint;
mod old_kernel;
mod old_library;
mod packages;
mod setup;
mod test;
mod vm;
mod workspace;
mod zig;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, tests and measures watcher
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check for all that building and testing need, and install what is missing (Debian family; elsewhere: say how)
    Setup(setup::Arguments),
    /// Build the kernel programs and watcher with them inside
    Build(build::Arguments),
    /// Set up, lint, build and run every test: what CI runs
    Test(test::Arguments),
    /// Formatting, clippy for user space and kernel, dependencies, rules of the house
    Lint,
    /// What CI runs, then a short bench and the packages: before a release
    Ci,
    /// Measure beside peers, in one run
    Bench(bench::Arguments),
    /// Test as on the kernel of RHEL 7: without every system call that it does not have
    OldKernel(old_kernel::Arguments),
    /// The resource agent for Pacemaker, by ocf-tester and in a cluster of two nodes on this machine
    Cluster,
    /// See it work: a service is started, watched and killed; kept alive, and given up
    Demo,
    /// Look at the kernel programs
    Ebpf(ebpf::Arguments),
    /// Throw any bytes at what parses
    Fuzz(fuzz::Arguments),
    /// The tests on other kernels, in virtual machines
    Vm(vm::Arguments),
    /// Pack a release under target/dist, for hosts from RHEL 7 to today
    Dist(dist::Arguments),
}

fn main() -> ExitCode {
    match run(&Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<()> {
    let shell = workspace::shell()?;
    match task {
        Task::Setup(arguments) => setup::run(&shell, arguments),
        Task::Build(arguments) => build::run(&shell, arguments),
        Task::Test(arguments) => test::run(&shell, arguments),
        Task::Lint => lint::run(&shell),
        Task::Ci => {
            test::run(&shell, &test::Arguments::default())?;
            bench::Arguments::quick().try_for_each(|quick| bench::run(&shell, &quick))?;
            dist::run(&shell, &dist::Arguments::default())
        }
        Task::Bench(arguments) => bench::run(&shell, arguments),
        Task::Cluster => cluster::run(&shell),
        Task::Demo => demo::run(&shell),
        Task::OldKernel(arguments) => old_kernel::run(&shell, arguments),
        Task::Ebpf(arguments) => ebpf::run(&shell, arguments),
        Task::Fuzz(arguments) => {
            setup::ensure(&shell)?;
            fuzz::run(&shell, arguments)
        }
        Task::Vm(arguments) => {
            setup::ensure(&shell)?;
            vm::run(&shell, arguments)
        }
        Task::Dist(arguments) => dist::run(&shell, arguments),
    }
}

/// Says what comes next.
fn step(what: &str) {
    eprintln!("\n== {what}");
}

/// Says something within a step.
fn say(what: &str) {
    eprintln!("   {what}");
}
