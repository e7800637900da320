//! `old-kernel`: the tests on a host that refuses every system call newer than Linux 3.10, or than those of RHEL 7.9: what
//! stands in for the kernel of RHEL 7.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{dist, say, step, workspace, zig::Machine};

/// Which kernel to stand in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// As it was released
    #[value(name = "linux-3.10")]
    Linux,
    /// With what Red Hat has added, such as a bpf() that is of no use
    #[value(name = "rhel-7.9")]
    Rhel,
}

impl Profile {
    const fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux-3.10",
            Self::Rhel => "rhel-7.9",
        }
    }
}

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Only these kernels (default: both)
    #[arg(value_enum)]
    profiles: Vec<Profile>,
    /// The binary of `cargo xtask dist` in place of the one that is built for the tests
    #[arg(long)]
    portable: bool,
    /// Only what takes seconds
    #[arg(long)]
    short: bool,
}

impl Arguments {
    /// What CI runs.
    pub(crate) const fn short() -> Self {
        Self { profiles: Vec::new(), portable: false, short: true }
    }
}

/// Where tests of a program lie, and which of them are run there.
struct Group {
    /// The test's name as cargo has it.
    target: &'static str,
    /// Only tests whose names contain one of these; all of them when there is none.
    only: &'static [&'static str],
    /// The same for the short form; not run there when it is `None`.
    short: Option<&'static [&'static str]>,
    /// Left out, where, and why.
    without: &'static [(&'static str, &'static [Profile], &'static str)],
}

const BOTH: &[Profile] = &[Profile::Linux, Profile::Rhel];

const ALL: &[&str] = &[];
const EBPF: &str = "asks for tier ebpf or pidfd by name";
const GETRANDOM: &str = "Debian's httpd does not start without getrandom";
const TIERS: &str = "tells of tiers that are not there";

const GROUPS: &[Group] = &[
    Group { target: "clp_monitor", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "clp_scripts", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "clp_state", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "control", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "padmin", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "pcheck_refuses", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "pfile_check", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "pfile_explain", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "pfile_fix", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "pfile_new", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "pfile_new_script", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "pfile_rules", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "probe_cli", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "probe_http", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "probe_smtp", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "probe_stopped", only: ALL, short: Some(ALL), without: &[] },
    Group { target: "probe_tls", only: ALL, short: Some(ALL), without: &[] },
    Group {
        target: "e2e",
        only: &["control::", "doctor::", "pcheck::", "servers::", "sockets::", "watch::"],
        short: Some(&[
            "control::",
            "pcheck::restarts::",
            "pcheck::scripts::",
            "pcheck::signals::",
            "servers::probed::",
        ]),
        without: &[
            ("doctor::doctor_", BOTH, TIERS),
            ("doctor::root_", BOTH, EBPF),
            ("pcheck::privileges::an_ordinary_user", BOTH, EBPF),
            ("pcheck::sockets::minute", BOTH, EBPF),
            ("servers::httpd", &[Profile::Linux], GETRANDOM),
            ("servers::probed::httpd", &[Profile::Linux], GETRANDOM),
            ("servers::thousand", BOTH, EBPF),
            ("watch::a_process_that_dies_while_the_watch_begins", BOTH, EBPF),
            ("watch::a_second_signal", BOTH, EBPF),
            ("watch::ctrl_c", BOTH, EBPF),
            ("watch::inside_a_", BOTH, EBPF),
            ("watch::lines_that_nobody_reads", BOTH, TIERS),
            ("watch::ten_thousand", BOTH, EBPF),
            ("watch::thousands", BOTH, EBPF),
        ],
    },
];

/// Runs the task.
pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { profiles, portable, short } = arguments;
    let profiles = if profiles.is_empty() { Profile::value_variants() } else { profiles.as_slice() };
    step("tests for an old kernel");
    ensure!(cfg!(target_arch = "x86_64"), "which system calls Linux 3.10 had is known here for x86_64 only");
    ensure!(cmd!(shell, "id -u").quiet().read()? == "0", "tests on an old kernel take root");
    let programs = programs(shell)?;
    let program = |name: &str| programs.get(name).with_context(|| format!("cargo has built no {name}"));
    let (launcher, watcher) = (program("old_kernel")?, program("watcher")?);
    let mut swap = Vec::new();
    if *portable {
        let binary = dist::checked(shell, Machine::X86_64)?;
        swap = vec![PathBuf::from("--program"), binary, watcher.clone()];
    }
    let mut failed = Vec::new();
    let swap = swap.as_slice();
    for profile in profiles {
        let here = |places: &[Profile]| places.contains(profile);
        let profile = profile.name();
        step(&format!("as on {profile}"));
        let log = workspace::target()?.join(format!("refused-{profile}"));
        shell.remove_path(&log)?;
        let doctor =
            cmd!(shell, "{launcher} {swap...} {profile} {watcher} doctor --json").quiet().ignore_status().read()?;
        let tiers = works(&doctor)?;
        say(&format!("tiers that work: {}", tiers.join(", ")));
        ensure!(!tiers.is_empty(), "no tier works there:\n{doctor}");
        let _tiers = shell.push_env("WATCHER_TEST_TIERS", tiers.join(","));
        for Group { target, only, short: in_short, without } in GROUPS {
            let Some(only) = (if *short { *in_short } else { Some(*only) }) else { continue };
            let test = program(&format!("test {target}"))?;
            let folder = if *target == "e2e" { "tests" } else { "watcher" };
            let _folder = shell.push_dir(workspace::root()?.join(folder));
            let without = || without.iter().filter(|(_, places, _)| here(places));
            say(target);
            if !short {
                without().for_each(|(name, _, why)| say(&format!("without {name}: {why}")));
            }
            let without: Vec<_> = without().flat_map(|(name, ..)| ["--skip", name]).collect();
            let ran = cmd!(shell, "{launcher} --log {log} {swap...} {profile} {test} --quiet {only...} {without...}");
            if ran.quiet().run().is_err() {
                failed.push(format!("{target} on {profile}"));
            }
        }
        summary(&log)?;
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

/// Test programs, as `test NAME`, and binaries, as `NAME`.
fn programs(shell: &Shell) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let packages = &["--package", "watcher", "--package", "watcher-tests"];
    let built =
        cmd!(shell, "cargo test --no-run --quiet --locked {packages...} --message-format=json").quiet().read()?;
    let mut programs = BTreeMap::new();
    for line in built.lines() {
        let message: Value = serde_json::from_str(line)?;
        let (Some(file), Some(name)) = (message["executable"].as_str(), message["target"]["name"].as_str()) else {
            continue;
        };
        let is_test = message["target"]["kind"][0] == "test";
        let is_binary = message["profile"]["test"] == false;
        if is_test || is_binary {
            let name = if is_test { format!("test {name}") } else { name.to_owned() };
            programs.insert(name, PathBuf::from(file));
        }
    }
    Ok(programs)
}

/// The tiers that work, as doctor says.
fn works(doctor: &str) -> anyhow::Result<Vec<String>> {
    let report: Value = serde_json::from_str(doctor).with_context(|| format!("doctor says {doctor:?}"))?;
    let tiers = report["tiers"].as_array().context("doctor knows no tiers")?;
    let works = tiers.iter().filter(|tier| tier["works"] == true);
    Ok(works.filter_map(|tier| tier["name"].as_str().map(str::to_owned)).collect())
}

/// Which calls were refused, and how often: lines of `PROGRAM: CALL: COUNT`.
fn summary(log: &PathBuf) -> anyhow::Result<()> {
    let mut counts = BTreeMap::<String, u64>::new();
    for line in fs::read_to_string(log)?.lines() {
        let mut words = line.rsplitn(3, ": ");
        if let (Some(Ok(count)), Some(call)) = (words.next().map(str::parse::<u64>), words.next()) {
            *counts.entry(call.to_owned()).or_default() += count;
        }
    }
    let counts: Vec<_> = counts.iter().map(|(call, count)| format!("{call} {count}")).collect();
    say(&format!("refused: {}", counts.join(", ")));
    Ok(())
}
