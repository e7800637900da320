//! A release on Debian 11 with its glibc 2.31, in a folder below `target`: the oldest C library that can be had by packages.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use xshell::{Shell, cmd};

use crate::{say, step, workspace};

const MIRROR: &str =
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bullseye main";

/// What has to be in the folder to start anything there, as std does. Its end undoes the mounts.
const INSIDE: &str = r#"mount -t proc none "$0/proc" && mount --rbind /sys "$0/sys" &&
    for file in null urandom; do touch "$0/dev/$file" && mount --bind "/dev/$file" "$0/dev/$file" || exit 90; done &&
    exec chroot "$0" /bin/sh -ec "$1""#;

/// Versions, tiers, and a death that is told by each tier that works on this kernel.
const STORY: &str = r#"getconf GNU_LIBC_VERSION
/watcher --version
/watcher doctor > /doctor || true
for tier in $(sed -n 's/^tier \([a-z]*\) *yes$/\1/p' /doctor); do
    sleep 1000 & victim=$!
    : > /said
    /watcher watch --tier $tier --interval 0.05 $victim 2> /said > /told & watch=$!
    until grep -q watching /said; do sleep 0.1; kill -0 $watch; done
    kill -9 $victim
    wait $watch
    echo $tier: $(cat /told)
done"#;

/// Runs the binary there.
pub(crate) fn run(shell: &Shell, binary: &Path) -> anyhow::Result<()> {
    step("a release on an old C library");
    let root = root(shell)?;
    shell.copy_file(binary, root.join("watcher"))?;
    let told = cmd!(shell, "unshare --mount sh -c {INSIDE} {root} {STORY}").quiet().read()?;
    told.lines().for_each(say);
    ensure!(told.contains("poll: ") && !told.contains("not found"), "it does not work there");
    for line in told.lines().filter(|line| line.contains(": ") && !line.starts_with("watcher")) {
        // The shell may have taken notice of it before the next look.
        let told = line.contains("killed by SIGKILL") || line.starts_with("poll: ") && line.contains(": ended after ");
        ensure!(told, "a death was not told as it was: {line}");
    }
    Ok(())
}

/// The folder with it, made if it is not there.
pub(crate) fn root(shell: &Shell) -> anyhow::Result<PathBuf> {
    let root = workspace::target()?.join("debian-11");
    if !root.join("usr").exists() {
        shell.remove_path(&root)?;
        say(&format!("fetching Debian 11 into {}", root.display()));
        let made = cmd!(shell, "mmdebstrap --quiet --variant=essential bullseye {root} {MIRROR}").quiet().run();
        made.context("mmdebstrap and root are needed: apt-get install mmdebstrap")?;
    }
    Ok(root)
}
