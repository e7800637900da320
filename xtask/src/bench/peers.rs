//! Programs of others that benches call: unpacked, never installed, so that nothing of theirs is started.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::ensure;
use xshell::{Shell, cmd};

use crate::{say, step, workspace};

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

/// Those who watch processes, measured beside ours. s6-svscan and keepalived come with the libraries that they want.
pub(super) const WATCHING: &[Peer] = &[
    Peer { packages: &["monit"], program: "usr/bin/monit", version: "-V" },
    Peer {
        packages: &[
            "keepalived",
            "libglib2.0-0",
            "libmnl0",
            "libnftnl11",
            "libnl-3-200",
            "libnl-genl-3-200",
            "libpci3",
            "libpcre2-8-0",
            "libsnmp40",
            "libsystemd0",
            "libwrap0",
        ],
        program: "usr/sbin/keepalived",
        version: "--version",
    },
    Peer {
        packages: &["s6", "libexecline2.9", "libs6-2.11", "libskarnet2.13"],
        program: "usr/bin/s6-svscan",
        version: "-h",
    },
    Peer { packages: &["restartd"], program: "usr/sbin/restartd", version: "-v" },
    Peer {
        packages: &["prometheus-process-exporter"],
        program: "usr/bin/prometheus-process-exporter",
        version: "-version",
    },
];

/// Where supervisord is, below the peers: Python's packages know no other way of being unpacked.
pub(super) const SUPERVISORD: &str = "supervisor/bin/supervisord";

/// The version of it that is measured.
const SUPERVISOR: &str = "supervisor==4.3.0";

/// Where those who watch processes are. Whoever cannot be had is missing there, and that is said.
pub(super) fn watching(shell: &Shell) -> anyhow::Result<PathBuf> {
    step("peers");
    let folder = folder(shell)?;
    for peer in WATCHING {
        if let Err(error) = unpack(shell, &folder, peer) {
            say(&format!("{} cannot be had, and is not measured: {error}", peer.program));
        }
    }
    if !shell.path_exists(folder.join(SUPERVISORD)) {
        say(&format!("a virtual environment for {SUPERVISOR}"));
        let environment = folder.join("supervisor");
        let made = cmd!(shell, "python3 -m venv {environment}").quiet().run().and_then(|()| {
            let pip = environment.join("bin/pip");
            cmd!(shell, "{pip} install --quiet --disable-pip-version-check {SUPERVISOR}").quiet().run()
        });
        if let Err(error) = made {
            shell.remove_path(&environment)?;
            say(&format!(
                "supervisord cannot be had, and is not measured: {error}; `apt-get install python3-venv` may help"
            ));
        }
    }
    say(&format!("unpacked in {}", folder.display()));
    Ok(folder)
}

fn folder(shell: &Shell) -> anyhow::Result<PathBuf> {
    let folder = workspace::target()?.join("bench-peers");
    shell.create_dir(&folder)?;
    Ok(folder)
}

/// Where they are; none when they cannot be had, and then it is measured without them.
pub(super) fn find(shell: &Shell, peers: &[Peer]) -> anyhow::Result<Option<PathBuf>> {
    step("peers");
    let folder = folder(shell)?;
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
    // Nor has s6 a version to tell: it shows its usage, and ends with 100.
    let output = cmd!(shell, "{program} {version}")
        .env("LD_LIBRARY_PATH", libraries(folder))
        .quiet()
        .ignore_status()
        .output()?;
    ensure!(matches!(output.status.code(), Some(0 | 1 | 100)), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Where libraries have been unpacked, as `LD_LIBRARY_PATH` wants it.
pub(super) fn libraries(folder: &Path) -> String {
    let there = |lib| folder.join(lib).join(format!("{}-linux-gnu", env::consts::ARCH)).display().to_string();
    ["usr/lib", "lib"].map(there).join(":")
}

/// The version of a package that has been unpacked, as its changelog says.
pub(super) fn version_of(shell: &Shell, folder: &Path, package: &str) -> Option<String> {
    let changelogs = ["changelog.Debian.gz", "changelog.Debian.amd64.gz", "changelog.gz"];
    let log =
        changelogs.iter().map(|name| folder.join("usr/share/doc").join(package).join(name)).find(|it| it.exists())?;
    let text = cmd!(shell, "gzip -dc {log}").quiet().ignore_stderr().read().ok()?;
    let (_, rest) = text.lines().next()?.split_once('(')?;
    Some(rest.split_once(')')?.0.to_owned())
}
