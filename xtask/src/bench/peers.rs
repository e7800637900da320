//! Programs of others that benches call: unpacked, never installed, so that nothing of theirs is started.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::ensure;
use xshell::{Shell, cmd};

use crate::{say, step};

/// A program, and where Debian has it.
pub(super) struct Peer {
    /// It and its libraries.
    packages: &'static [&'static str],
    program: &'static str,
    /// By which it tells its version.
    version: &'static str,
}

/// Those who ask services, measured beside ours.
pub(super) const ASKING: &[Peer] = &[
    Peer { packages: &["monit"], program: "usr/bin/monit", version: "-V" },
    Peer {
        packages: &["prometheus-blackbox-exporter"],
        program: "usr/bin/prometheus-blackbox-exporter",
        version: "--version",
    },
];

/// Who makes load.
pub(super) const LOADING: &[Peer] = &[Peer {
    packages: &["wrk", "libluajit2-5.1-2", "libluajit2-5.1-common"],
    program: "usr/bin/wrk",
    version: "--version",
}];

/// Where they are; none when they cannot be had, and then it is measured without them.
pub(super) fn find(shell: &Shell, peers: &[Peer]) -> anyhow::Result<Option<PathBuf>> {
    step("peers");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell.current_dir().join("target"), PathBuf::from);
    let folder = target.join("bench-peers");
    shell.create_dir(&folder)?;
    for peer in peers {
        if let Err(error) = unpack(shell, &folder, peer) {
            say(&format!("{} cannot be had, so nothing is measured with it: {error}", peer.program));
            return Ok(None);
        }
    }
    say(&format!("unpacked in {}", folder.display()));
    Ok(Some(folder))
}

fn unpack(shell: &Shell, folder: &Path, peer: &Peer) -> anyhow::Result<()> {
    let Peer { packages, program, version } = *peer;
    let program = folder.join(program);
    if shell.path_exists(&program) {
        return Ok(());
    }
    say(&format!("unpacking {}", packages.join(" ")));
    let fresh = shell.create_temp_dir()?;
    let _there = shell.push_dir(fresh.path());
    if cmd!(shell, "apt-get -q download {packages...}").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        // The list of packages may be old.
        cmd!(shell, "apt-get -q update").quiet().ignore_stdout().run()?;
        cmd!(shell, "apt-get -q download {packages...}").quiet().ignore_stdout().run()?;
    }
    for file in shell.read_dir(".")? {
        cmd!(shell, "dpkg-deb --extract {file} {folder}").quiet().run()?;
    }
    // A program of another release of the system may want libraries that are not here. wrk ends with 1 in any case.
    let libraries = folder.join(format!("usr/lib/{}-linux-gnu", env::consts::ARCH));
    let output =
        cmd!(shell, "{program} {version}").env("LD_LIBRARY_PATH", libraries).quiet().ignore_status().output()?;
    ensure!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
