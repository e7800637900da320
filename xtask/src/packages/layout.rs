//! What goes where on a host. Everything that is packaged and not made lies in `dist` of this repository.

use std::{fs, path::Path};

use xshell::Shell;

use super::{
    Release, STAND_INS,
    tree::{Tree, sorted},
};
use crate::workspace;

/// For whom it is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    Debian,
    Rpm,
    /// To be unpacked in `/usr/local`.
    Anybody,
}

impl For {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Debian | Self::Rpm => "usr/",
            Self::Anybody => "",
        }
    }

    /// Where zsh looks for functions of packages.
    const fn zsh(self) -> &'static str {
        match self {
            Self::Debian => "vendor-completions",
            Self::Rpm | Self::Anybody => "site-functions",
        }
    }
}

/// Documents of the top, beside `docs`.
const DOCUMENTS: [&str; 4] = ["README.md", "ARCHITECTURE.md", "BENCH.md", "CONTRIBUTING.md"];

pub(super) const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

const EXAMPLES: [&str; 2] = ["dist/init", "dist/systemd/hardened.conf"];

const UNITS: [&str; 2] = ["pcheck@.service", "watcher.service"];

/// Lays out all but what belongs to the package itself.
pub(super) fn lay_out(shell: &Shell, release: &Release, whom: For, root: &Path) -> anyhow::Result<Tree> {
    let tree = Tree::new(shell, root)?;
    let (here, prefix) = (workspace::root()?, whom.prefix());
    tree.file(&format!("{prefix}sbin/watcher"), 0o755, fs::read(&release.binary)?)?;
    for name in STAND_INS {
        tree.link(&format!("{prefix}sbin/{name}"), "watcher")?;
    }
    let doc = format!("{prefix}share/doc/watcher");
    for document in DOCUMENTS {
        tree.copy(&here.join(document), &format!("{doc}/{document}"))?;
    }
    tree.copy_all(&here.join("docs"), &format!("{doc}/docs"))?;
    tree.copy_all(&here.join("rules"), &format!("{prefix}share/watcher/rules"))?;
    // Documents name them by where they lie in this repository.
    tree.link(&format!("{doc}/rules"), "../../watcher/rules")?;
    for example in EXAMPLES {
        let from = here.join(example);
        let name = example.rsplit('/').next().unwrap_or_default();
        let to = format!("{doc}/examples/{name}");
        if from.is_dir() { tree.copy_all(&from, &to)? } else { tree.copy(&from, &to)? }
    }
    for unit in UNITS {
        let text = fs::read_to_string(here.join("dist/systemd").join(unit))?;
        let text = match whom {
            For::Debian | For::Rpm => text,
            For::Anybody => text.replace("/usr/", "/usr/local/"),
        };
        tree.file(&format!("{prefix}lib/systemd/system/{unit}"), 0o644, text)?;
    }
    let agents = match whom {
        For::Debian | For::Rpm => "usr/lib/ocf/resource.d/watcher".to_owned(),
        // Pacemaker looks nowhere else.
        For::Anybody => format!("{doc}/examples/ocf"),
    };
    tree.copy_all(&here.join("dist/ocf"), &agents)?;
    lay_out_pages(shell, release, whom, &tree)?;
    Ok(tree)
}

fn lay_out_pages(shell: &Shell, release: &Release, whom: For, tree: &Tree) -> anyhow::Result<()> {
    let prefix = whom.prefix();
    let man = |name: &str| format!("{prefix}share/man/man{}/{name}", name.rsplit('.').next().unwrap_or_default());
    let by_hand = workspace::root()?.join("dist/man");
    let compressed = if whom == For::Anybody { "" } else { ".gz" };
    for folder in [release.pages.join("man"), by_hand] {
        for page in sorted(&folder)? {
            let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
            tree.file(&man(&name), 0o644, fs::read(&page)?)?;
            if !compressed.is_empty() {
                tree.compress(shell, &man(&name))?;
            }
        }
    }
    // What can also be typed behind `watcher` is looked for by that name.
    for name in STAND_INS {
        let link = format!("{prefix}share/man/man8/watcher-{}.8{compressed}", name.trim_start_matches("clp_"));
        tree.link(&link, &format!("{name}.8{compressed}"))?;
    }
    let completions = release.pages.join("completions");
    for name in ["watcher"].into_iter().chain(STAND_INS) {
        let of = |shell: &str, file: String| completions.join(shell).join(file);
        let bash = format!("{prefix}share/bash-completion/completions/{name}");
        tree.copy(&of("bash", format!("{name}.bash")), &bash)?;
        let fish = format!("{prefix}share/fish/vendor_completions.d/{name}.fish");
        tree.copy(&of("fish", format!("{name}.fish")), &fish)?;
        let zsh = format!("{prefix}share/zsh/{}/_{name}", whom.zsh());
        tree.copy(&of("zsh", format!("_{name}")), &zsh)?;
    }
    Ok(())
}

/// What packages have in `/etc`: the folder of rules, and options, where this kind of system has them.
pub(super) fn configure(tree: &Tree, options: &str) -> anyhow::Result<()> {
    tree.folder("etc/watcher/rules.d")?;
    tree.copy(&workspace::root()?.join("dist/default/watcher"), options)?;
    Ok(())
}

/// What the optional package holds.
pub(super) fn lay_out_compat(shell: &Shell, root: &Path) -> anyhow::Result<Tree> {
    let tree = Tree::new(shell, root)?;
    for name in ["padmin", "pcheck"] {
        tree.link(&format!("opt/HA/PS/bin/{name}"), &format!("/usr/sbin/{name}"))?;
    }
    tree.folder("var/opt/HA/PS/conf/bin")?;
    Ok(tree)
}
