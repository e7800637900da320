//! Programs of others that are measured beside ours: unpacked, never installed, so that nothing of theirs is started.

use std::path::PathBuf;

use xshell::{Shell, cmd};

use crate::{say, step};

/// Packages of Debian, and the program in each.
const PEERS: [(&str, &str); 2] =
    [("monit", "usr/bin/monit"), ("prometheus-blackbox-exporter", "usr/bin/prometheus-blackbox-exporter")];

/// Where they are; none when they cannot be had, and then ours is measured alone.
pub(super) fn find(shell: &Shell) -> anyhow::Result<Option<PathBuf>> {
    step("peers");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell.current_dir().join("target"), PathBuf::from);
    let folder = target.join("bench-peers");
    shell.create_dir(&folder)?;
    for (package, program) in PEERS {
        if let Err(error) = unpack(shell, &folder, package, program) {
            say(&format!("{package} cannot be had, so no peer is measured: {error}"));
            return Ok(None);
        }
    }
    say(&format!("unpacked in {}", folder.display()));
    Ok(Some(folder))
}

fn unpack(shell: &Shell, folder: &std::path::Path, package: &str, program: &str) -> anyhow::Result<()> {
    if shell.path_exists(folder.join(program)) {
        return Ok(());
    }
    say(&format!("unpacking {package}"));
    let fresh = shell.create_temp_dir()?;
    let _there = shell.push_dir(fresh.path());
    if cmd!(shell, "apt-get -q download {package}").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        // The list of packages may be old.
        cmd!(shell, "apt-get -q update").quiet().ignore_stdout().run()?;
        cmd!(shell, "apt-get -q download {package}").quiet().ignore_stdout().run()?;
    }
    for file in shell.read_dir(".")? {
        cmd!(shell, "dpkg-deb --extract {file} {folder}").quiet().run()?;
    }
    // A program of another release of the system may want libraries that are not here.
    let (program, option) = (folder.join(program), if package == "monit" { "-V" } else { "--version" });
    cmd!(shell, "{program} {option}").quiet().ignore_stdout().ignore_stderr().run()?;
    Ok(())
}
