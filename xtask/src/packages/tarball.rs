//! For all others: to be unpacked in `/usr/local`.

use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use super::{
    Release,
    layout::{For, LICENCES, lay_out},
};
use crate::workspace;

pub(super) fn pack(shell: &Shell, release: &Release, into: &Path) -> anyhow::Result<PathBuf> {
    let Release { machine, version, epoch, .. } = release;
    let name = format!("watcher-{version}-{}-linux", machine.name());
    let staged = into.join("staged");
    let tree = lay_out(shell, release, For::Anybody, &staged.join(&name))?;
    let here = workspace::root()?;
    for licence in LICENCES {
        tree.copy(&here.join(licence), &format!("share/doc/watcher/{licence}"))?;
    }
    tree.copy(&here.join("dist/default/watcher"), "share/doc/watcher/examples/default")?;
    tree.stamp(shell, epoch)?;
    let tarball = into.join(format!("{name}.tar.gz"));
    let compress = "gzip -9 -n";
    cmd!(
        shell,
        "tar --sort=name --owner=0 --group=0 --numeric-owner --format=gnu -I {compress} -C {staged} -cf {tarball} {name}"
    )
    .quiet()
    .run()?;
    Ok(tarball)
}
