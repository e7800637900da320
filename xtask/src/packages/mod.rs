//! Packages: the binary of a release with all that belongs to it, as `.deb`, `.rpm` and a tarball. The same bytes come of the
//! same tree: times are those of its last commit, or `SOURCE_DATE_EPOCH`.

mod deb;
mod layout;
mod pages;
mod rpm;
mod tarball;
mod tree;
mod verify;

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use xshell::{Shell, cmd};

pub(crate) use self::verify::run as verify;
use crate::{elf::Needs, say, zig::Machine};

/// Packages have to name somebody; these authors have no address.
const MAINTAINER: &str = "The watcher authors <authors@watcher.invalid>";

const SUMMARY: &str = "keeps services alive, and is told of deaths by the kernel";

/// Paragraphs; lines are as packages show them.
const DESCRIPTION: [&str; 2] = [
    "watcher watches processes and brings them back by scripts, within limits on\n\
     retries; then it gives up, so that a cluster manager or a reboot takes over.\n\
     It learns of a death by eBPF, or by the best means that the kernel has, and\n\
     asks services by HTTP, HTTPS, TCP and SMTP whether they answer.",
    "It reads the rule files of NEC ProcessSaver unchanged, and takes its commands\n\
     pcheck, padmin, clp_httpmon and clp_smtpmon.",
];

const COMPAT_SUMMARY: &str = "paths of NEC ProcessSaver for watcher";

const COMPAT_DESCRIPTION: &str = "Links below /opt/HA/PS/bin to pcheck and padmin of watcher, and the folder\n\
     /var/opt/HA/PS/conf/bin, for scripts and cluster definitions that name them.";

/// By which names the program is called, beside its own.
const STAND_INS: [&str; 4] = ["clp_httpmon", "clp_smtpmon", "padmin", "pcheck"];

/// What is packed.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    machine: Machine,
    version: String,
    binary: PathBuf,
    /// The oldest glibc that it works with.
    glibc: String,
    /// Manual pages and completions.
    pages: PathBuf,
    /// Seconds since 1970 that everything bears.
    epoch: String,
}

impl Release {
    /// Makes what a package takes beside the binary.
    pub(crate) fn new(shell: &Shell, machine: Machine, binary: &Path) -> anyhow::Result<Self> {
        let epoch = match env::var("SOURCE_DATE_EPOCH") {
            Ok(epoch) => epoch,
            Err(_) => cmd!(shell, "git log -1 --format=%ct").quiet().read().context("SOURCE_DATE_EPOCH is not set")?,
        };
        let day = date(shell, &epoch, "+%F")?;
        Ok(Self {
            machine,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            binary: binary.to_owned(),
            glibc: Needs::of(&std::fs::read(binary)?)?.newest(),
            pages: pages::make(shell, &day)?,
            epoch,
        })
    }
}

/// Makes all of them in this folder, and tells which they are: the packages, then the tarball.
pub(crate) fn pack(shell: &Shell, release: &Release, into: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let _epoch = shell.push_env("SOURCE_DATE_EPOCH", &release.epoch);
    shell.create_dir(into)?;
    let mut made = deb::pack(shell, release, into)?;
    made.extend(rpm::pack(shell, release, into)?);
    made.push(tarball::pack(shell, release, into)?);
    shell.remove_path(into.join("staged"))?;
    for file in &made {
        say(&format!("{} ({} KiB)", file.display(), std::fs::metadata(file)?.len() / 1024));
    }
    Ok(made)
}

/// That moment, in UTC.
fn date(shell: &Shell, epoch: &str, format: &str) -> anyhow::Result<String> {
    Ok(cmd!(shell, "date -u -d @{epoch} {format}").env("LC_ALL", "C").quiet().read()?)
}
