//! Debian's packages, by `dpkg-deb`.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use xshell::{Shell, cmd};

use super::{
    COMPAT_DESCRIPTION, COMPAT_SUMMARY, DESCRIPTION, MAINTAINER, Release, SUMMARY, date,
    layout::{For, configure, lay_out, lay_out_compat},
    tree::Tree,
};
use crate::{workspace, zig::Machine};

const OPTIONS: &str = "etc/default/watcher";

const SCRIPTS: [&str; 3] = ["postinst", "postrm", "prerm"];

/// The package, and that of the original's paths.
pub(super) fn pack(shell: &Shell, release: &Release, into: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let Release { version, glibc, .. } = release;
    let staged = into.join("staged");
    let architecture = architecture(release.machine);
    let tree = lay_out(shell, release, For::Debian, &staged.join("deb"))?;
    configure(&tree, OPTIONS)?;
    let from = workspace::root()?.join("dist/debian");
    for script in SCRIPTS {
        tree.file(&format!("DEBIAN/{script}"), 0o755, fs::read(from.join(format!("watcher.{script}")))?)?;
    }
    tree.file("DEBIAN/conffiles", 0o644, format!("/{OPTIONS}\n"))?;
    let about = control(&Control {
        name: "watcher",
        version,
        architecture,
        summary: SUMMARY,
        description: &DESCRIPTION,
        relations: &[("Depends", &format!("libc6 (>= {glibc})")), ("Suggests", "ca-certificates, watcher-compat")],
    });
    let package = finish(shell, release, &tree, ("watcher", architecture), about, into)?;
    let compat = lay_out_compat(shell, &staged.join("deb-compat"))?;
    let about = control(&Control {
        name: "watcher-compat",
        version,
        architecture: "all",
        summary: COMPAT_SUMMARY,
        description: &[COMPAT_DESCRIPTION],
        relations: &[("Depends", "watcher")],
    });
    let compat = finish(shell, release, &compat, ("watcher-compat", "all"), about, into)?;
    Ok(vec![package, compat])
}

const fn architecture(machine: Machine) -> &'static str {
    match machine {
        Machine::X86_64 => "amd64",
        Machine::Aarch64 => "arm64",
    }
}

struct Control<'a> {
    name: &'a str,
    version: &'a str,
    architecture: &'a str,
    summary: &'a str,
    description: &'a [&'a str],
    relations: &'a [(&'a str, &'a str)],
}

/// All but how much it takes.
fn control(control: &Control<'_>) -> String {
    let Control { name, version, architecture, summary, description, relations } = control;
    let mut text = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: {MAINTAINER}\nSection: admin\n\
         Priority: optional\n"
    );
    for (relation, to) in *relations {
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{relation}: {to}");
    }
    let paragraphs: Vec<_> = description.iter().map(|paragraph| paragraph.replace('\n', "\n ")).collect();
    let _written = writeln!(text, "Description: {summary}\n {}", paragraphs.join("\n .\n "));
    text
}

/// What each package has to say of itself, and the package.
fn finish(
    shell: &Shell,
    release: &Release,
    tree: &Tree,
    (name, architecture): (&str, &str),
    mut about: String,
    into: &Path,
) -> anyhow::Result<PathBuf> {
    let (version, from) = (&release.version, workspace::root()?.join("dist/debian"));
    let doc = format!("usr/share/doc/{name}");
    tree.copy(&from.join("copyright"), &format!("{doc}/copyright"))?;
    let when = date(shell, &release.epoch, "+%a, %d %b %Y %H:%M:%S +0000")?;
    let changelog =
        format!("watcher ({version}) unstable; urgency=medium\n\n  * Release {version}.\n\n -- {MAINTAINER}  {when}\n");
    tree.file(&format!("{doc}/changelog"), 0o644, changelog)?;
    tree.compress(shell, &format!("{doc}/changelog"))?;
    let overrides = from.join(format!("{name}.lintian-overrides"));
    if overrides.is_file() {
        tree.copy(&overrides, &format!("usr/share/lintian/overrides/{name}"))?;
    }
    // Writing to a string cannot fail.
    let _written = writeln!(about, "Installed-Size: {}", tree.kib()?);
    tree.file("DEBIAN/control", 0o644, about)?;
    let root = tree.root();
    let sums = "cd \"$0\" && find . -type f ! -path './DEBIAN/*' -printf '%P\\0' | sort -z | xargs -0 md5sum";
    let sums = cmd!(shell, "sh -c {sums} {root}").env("LC_ALL", "C").quiet().read()?;
    tree.file("DEBIAN/md5sums", 0o644, format!("{sums}\n"))?;
    tree.stamp(shell, &release.epoch)?;
    let package = into.join(format!("{name}_{version}_{architecture}.deb"));
    // Understood by every release that is in use.
    cmd!(shell, "dpkg-deb --root-owner-group -Zxz --build {root} {package}")
        .quiet()
        .ignore_stdout()
        .run()
        .context("dpkg-deb is needed: the package dpkg")?;
    Ok(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_file_has_one_field_a_line_and_paragraphs_apart() {
        let text = control(&Control {
            name: "a",
            version: "1",
            architecture: "all",
            summary: "does",
            description: &["one\ntwo", "three"],
            relations: &[("Depends", "b")],
        });
        assert!(text.ends_with("Depends: b\nDescription: does\n one\n two\n .\n three\n"), "{text}");
    }
}
