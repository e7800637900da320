//! Packages for RHEL and its relatives, by `rpmbuild`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use xshell::{Shell, cmd};

use super::{
    COMPAT_DESCRIPTION, COMPAT_SUMMARY, DESCRIPTION, MAINTAINER, Release, SUMMARY, date,
    layout::{For, LICENCES, configure, lay_out, lay_out_compat},
};
use crate::workspace;

const OPTIONS: &str = "etc/sysconfig/watcher";

/// The package, and that of the original's paths.
pub(super) fn pack(shell: &Shell, release: &Release, into: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let Release { version, machine, epoch, .. } = release;
    let here = workspace::root()?;
    let staged = into.join("staged");
    let tree = lay_out(shell, release, For::Rpm, &staged.join("rpm"))?;
    configure(&tree, OPTIONS)?;
    for licence in LICENCES {
        tree.copy(&here.join(licence), &format!("usr/share/licenses/watcher/{licence}"))?;
    }
    tree.stamp(shell, epoch)?;
    let compat = lay_out_compat(shell, &staged.join("rpm-compat"))?;
    compat.stamp(shell, epoch)?;
    let top = staged.join("rpmbuild");
    shell.remove_path(&top)?;
    shell.create_dir(&top)?;
    let day = date(shell, epoch, "+%a %b %d %Y")?;
    let definitions: Vec<_> = [
        ("_topdir", top.display().to_string()),
        ("_rpmdir", into.display().to_string()),
        ("the_version", version.clone()),
        ("the_day", day),
        ("the_maintainer", MAINTAINER.to_owned()),
        ("the_summary", sentence(SUMMARY)),
        ("the_description", DESCRIPTION.join("\n\n")),
        ("the_compat_summary", sentence(COMPAT_SUMMARY)),
        ("the_compat_description", COMPAT_DESCRIPTION.to_owned()),
        ("the_tree", tree.root().display().to_string()),
        ("the_compat_tree", compat.root().display().to_string()),
    ]
    .into_iter()
    .flat_map(|(name, value)| ["--define".to_owned(), format!("{name} {value}")])
    .collect();
    let machine = machine.name();
    let spec = here.join("dist/rpm/watcher.spec");
    cmd!(shell, "rpmbuild -bb --quiet --target {machine} {definitions...} {spec}")
        .quiet()
        .run()
        .context("rpmbuild is needed: the package rpm, or rpm-build")?;
    let packages = [format!("watcher-{version}-1.{machine}.rpm"), format!("watcher-compat-{version}-1.noarch.rpm")];
    let packages = packages.map(|name| into.join(name));
    for package in &packages {
        ensure!(package.is_file(), "{} was not made", package.display());
    }
    Ok(packages.into())
}

/// Here it begins with a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_sentence_begins_with_a_capital_letter() {
        assert_eq!([super::sentence("keeps one"), super::sentence("")], ["Keeps one", ""]);
    }
}
