//! What is in every guest: our programs and tests, and a few programs of this host.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::{cpio::Archive, rows::Host};
use crate::{say, workspace};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Programs that the stories call by name and that have to be the real ones; busybox has the others.
const OF_THIS_HOST: [(&str, &str); 11] = [
    ("/usr/bin/dash", "sh"),
    ("/usr/bin/bash", "bash"),
    ("/usr/bin/cat", "cat"),
    ("/usr/bin/cp", "cp"),
    // That of busybox stops at the first zero.
    ("/usr/bin/sed", "sed"),
    ("/usr/bin/sleep", "sleep"),
    ("/usr/bin/mount", "mount"),
    ("/usr/bin/umount", "umount"),
    ("/usr/bin/setpriv", "setpriv"),
    ("/usr/bin/unshare", "unshare"),
    ("/usr/sbin/ip", "ip"),
];

const BUSYBOX: &str = "/usr/bin/busybox";

/// How what is tested is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Build {
    /// As it is for this host, where tests that were run here have built it already.
    Usual,
    /// A build of its own, that is some times faster in a guest.
    ForGuests,
}

/// Builds what is tested: the file system, apart from what differs from guest to guest.
pub(super) fn common(shell: &Shell, how: Build) -> anyhow::Result<Vec<u8>> {
    say("building watcher, victims and tests");
    let programs = match how {
        Build::Usual => usual(shell)?,
        Build::ForGuests => for_guests(shell)?,
    };
    let mut image = Archive::default();
    let folders = "dev etc modules proc root run sys tmp t t/deps usr usr/bin usr/sbin usr/lib usr/lib64 var var/tmp";
    folders.split(' ').for_each(|folder| image.folder(folder));
    for folder in ["bin", "sbin", "lib", "lib64"] {
        image.link(folder, &format!("usr/{folder}"));
    }
    image.file("etc/passwd", 0o644, b"root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n");
    image.file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n");
    image.file("etc/hosts", 0o644, b"127.0.0.1 localhost\n::1 localhost\n");
    image.file("etc/nsswitch.conf", 0o644, b"passwd: files\ngroup: files\nhosts: files\n");
    let mut init = false;
    for Built { name, path, is_test } in &programs {
        let place = match name.as_str() {
            "guest_init" => "init".to_owned(),
            _ if *is_test => format!("t/deps/{name}"),
            _ => format!("t/{name}"),
        };
        init |= place == "init";
        image.copy(&place, path)?;
    }
    ensure!(init, "cargo did not build the guests' init");
    let mut libraries = Libraries::default();
    if how == Build::Usual {
        programs.iter().try_for_each(|program| libraries.of(shell, &program.path))?;
    }
    add_programs(shell, &mut image, &mut libraries)?;
    libraries.add_to(&mut image)?;
    Ok(image.finish())
}

/// Type information of this host's kernel. To whom it is shown as his own learns nothing true of himself; but he does not
/// come so far as to use it.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// What only this guest has: its plan, its kernel's modules, and what it is made to believe.
pub(super) fn own(plan: &str, modules: &[PathBuf], host: Host) -> anyhow::Result<Vec<u8>> {
    let mut image = Archive::default();
    image.file("plan", 0o644, plan.as_bytes());
    if host == Host::UmlBtf {
        image.folder("btf");
        image.file("btf/vmlinux", 0o444, &fs::read(BTF).with_context(|| format!("{BTF} cannot be read"))?);
    }
    let mut order = String::new();
    for module in modules {
        let name = module.file_name().and_then(|name| name.to_str()).context("modules have names")?;
        image.copy(&format!("modules/{name}"), module)?;
        order.push_str(&format!("{name}\n"));
    }
    image.file("modules/order", 0o644, order.as_bytes());
    Ok(image.finish())
}

/// Something that cargo has built.
struct Built {
    name: String,
    path: PathBuf,
    is_test: bool,
}

/// What the tests on this host's kernel are built by, so that nothing is built twice. Without what only debuggers read.
fn usual(shell: &Shell) -> anyhow::Result<Vec<Built>> {
    let common = ["--locked", "--message-format", "json-render-diagnostics", "--package", "watcher-tests"];
    let product = cmd!(shell, "cargo build --quiet {common...} --package watcher --bins");
    let tests = cmd!(shell, "cargo test --quiet --no-run {common...}");
    let folder = workspace::target()?.join("vm/stripped");
    shell.create_dir(&folder)?;
    let mut programs = built([product, tests])?;
    for Built { name, path, is_test: _ } in &mut programs {
        let stripped = folder.join(&*name);
        cmd!(shell, "strip -o {stripped} {path}").quiet().run()?;
        *path = stripped;
    }
    Ok(programs)
}

fn for_guests(shell: &Shell) -> anyhow::Result<Vec<Built>> {
    let folder = workspace::target()?.join("vm/build");
    // What is for the target comes under a folder of its own, so these are not for build scripts and macros.
    let _flags = shell.push_env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static");
    // Small for the guests' memory. A little optimised: emulated, every instruction costs ten times as much.
    let _small = [("DEBUG", "0"), ("OPT_LEVEL", "1"), ("STRIP", "symbols")]
        .map(|(what, value)| shell.push_env(format!("CARGO_PROFILE_DEV_{what}"), value));
    let common = ["--locked", "--target", TARGET, "--message-format", "json-render-diagnostics"];
    let product = cmd!(shell, "cargo build --quiet {common...} --target-dir {folder} --package watcher --bin watcher");
    let tests = cmd!(
        shell,
        "cargo test --quiet --no-run {common...} --target-dir {folder} --package watcher-tests --test kernel --test e2e"
    );
    built([product, tests])
}

/// What these commands have built. Benches are of no use to guests.
fn built(commands: [xshell::Cmd<'_>; 2]) -> anyhow::Result<Vec<Built>> {
    let mut built = BTreeMap::new();
    for command in commands {
        let told = command.quiet().read()?;
        for program in told.lines().filter_map(executable).filter(|program| !program.name.starts_with("bench_")) {
            let Built { name, path, .. } = &program;
            // A program and its own unit tests would bear one name, and the order in which cargo tells of them is its own.
            if let Some(Built { path: other, .. }) = built.get(name).filter(|other: &&Built| other.path != *path) {
                bail!(
                    "{} and {} are both called {name}; tests/Cargo.toml tells them apart",
                    other.display(),
                    path.display()
                );
            }
            built.insert(program.name.clone(), program);
        }
    }
    Ok(built.into_values().collect())
}

fn executable(line: &str) -> Option<Built> {
    let told: Value = serde_json::from_str(line).ok()?;
    let (path, target) = (told["executable"].as_str()?, &told["target"]);
    Some(Built {
        name: target["name"].as_str()?.to_owned(),
        path: path.into(),
        is_test: told["profile"]["test"].as_bool()?,
    })
}

fn add_programs(shell: &Shell, image: &mut Archive, libraries: &mut Libraries) -> anyhow::Result<()> {
    for (from, name) in OF_THIS_HOST {
        image.copy(&format!("usr/bin/{name}"), Path::new(from)).with_context(|| format!("{from} cannot be read"))?;
        libraries.of(shell, Path::new(from))?;
    }
    image.copy("usr/bin/busybox", Path::new(BUSYBOX)).with_context(|| format!("{BUSYBOX} cannot be read"))?;
    let applets = cmd!(shell, "{BUSYBOX} --list").quiet().read()?;
    let is_real = |name: &str| name == "busybox" || OF_THIS_HOST.iter().any(|(_, real)| *real == name);
    for applet in applets.lines().filter(|name| !is_real(name)) {
        image.link(&format!("usr/bin/{applet}"), "busybox");
    }
    Ok(())
}

/// Shared libraries that programs of a guest need.
#[derive(Debug, Default)]
struct Libraries(BTreeSet<PathBuf>);

impl Libraries {
    fn of(&mut self, shell: &Shell, program: &Path) -> anyhow::Result<()> {
        let needed = cmd!(shell, "ldd {program}").quiet().read()?;
        self.0.extend(needed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from));
        Ok(())
    }

    fn add_to(self, image: &mut Archive) -> anyhow::Result<()> {
        for library in self.0 {
            let folder = library.parent().context("libraries lie in folders")?;
            let folder = fs::canonicalize(folder)?;
            for above in folder.ancestors().collect::<Vec<_>>().into_iter().rev().skip(1) {
                image.folder(&below_root(above)?);
            }
            let name = library.file_name().context("libraries have names")?;
            image.copy(&below_root(&folder.join(name))?, &library)?;
        }
        Ok(())
    }
}

fn below_root(path: &Path) -> anyhow::Result<String> {
    Ok(path.strip_prefix("/")?.to_str().context("plain names")?.to_owned())
}
