//! What is in every guest: our programs and tests, statically linked, and a few programs of this host.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::{cpio::Archive, rows::Host};
use crate::{say, workspace};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Programs that the stories call by name and that have to be the real ones; busybox has the others.
const OF_THIS_HOST: [(&str, &str); 10] = [
    ("/usr/bin/dash", "sh"),
    ("/usr/bin/bash", "bash"),
    ("/usr/bin/cat", "cat"),
    ("/usr/bin/cp", "cp"),
    ("/usr/bin/sleep", "sleep"),
    ("/usr/bin/mount", "mount"),
    ("/usr/bin/umount", "umount"),
    ("/usr/bin/setpriv", "setpriv"),
    ("/usr/bin/unshare", "unshare"),
    ("/usr/sbin/ip", "ip"),
];

const BUSYBOX: &str = "/usr/bin/busybox";

/// Builds what is tested, for guests: the file system, apart from what differs from guest to guest.
pub(super) fn common(shell: &Shell) -> anyhow::Result<Vec<u8>> {
    say("building watcher, victims and tests, statically linked");
    let programs = build(shell)?;
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
    for Built { name, path, is_test } in programs.iter().filter(|program| !program.name.starts_with("bench_")) {
        let place = match name.as_str() {
            "guest_init" => "init".to_owned(),
            _ if *is_test => format!("t/deps/{name}"),
            _ => format!("t/{name}"),
        };
        init |= place == "init";
        image.copy(&place, path)?;
    }
    ensure!(init, "cargo did not build the guests' init");
    add_programs(shell, &mut image)?;
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

fn build(shell: &Shell) -> anyhow::Result<Vec<Built>> {
    let folder = workspace::target()?.join("vm/build");
    // What is for the target comes under a folder of its own, so these are not for build scripts and macros.
    let _flags = shell.push_env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static");
    // Small for the guests' memory. A little optimised: emulated, every instruction costs ten times as much.
    let _small = [("DEBUG", "0"), ("OPT_LEVEL", "1"), ("STRIP", "symbols")]
        .map(|(what, value)| shell.push_env(format!("CARGO_PROFILE_DEV_{what}"), value));
    let _patient = shell.push_env("WATCHER_TEST_FOR_GUESTS", "1");
    let common = ["--locked", "--target", TARGET, "--message-format", "json-render-diagnostics"];
    let product = cmd!(shell, "cargo build --quiet {common...} --target-dir {folder} --package watcher --bin watcher");
    let tests = cmd!(
        shell,
        "cargo test --quiet --no-run {common...} --target-dir {folder} --package watcher-tests --test kernel --test e2e"
    );
    let mut built = Vec::new();
    for command in [product, tests] {
        let told = command.quiet().read()?;
        built.extend(told.lines().filter_map(executable));
    }
    Ok(built)
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

fn add_programs(shell: &Shell, image: &mut Archive) -> anyhow::Result<()> {
    let mut libraries = BTreeSet::new();
    for (from, name) in OF_THIS_HOST {
        image.copy(&format!("usr/bin/{name}"), Path::new(from)).with_context(|| format!("{from} cannot be read"))?;
        let needed = cmd!(shell, "ldd {from}").quiet().read()?;
        libraries.extend(needed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from));
    }
    for library in libraries {
        let folder = library.parent().context("libraries lie in folders")?;
        let folder = fs::canonicalize(folder)?;
        for above in folder.ancestors().collect::<Vec<_>>().into_iter().rev().skip(1) {
            image.folder(&below_root(above)?);
        }
        let name = library.file_name().context("libraries have names")?;
        image.copy(&below_root(&folder.join(name))?, &library)?;
    }
    image.copy("usr/bin/busybox", Path::new(BUSYBOX)).with_context(|| format!("{BUSYBOX} cannot be read"))?;
    let applets = cmd!(shell, "{BUSYBOX} --list").quiet().read()?;
    let is_real = |name: &str| name == "busybox" || OF_THIS_HOST.iter().any(|(_, real)| *real == name);
    for applet in applets.lines().filter(|name| !is_real(name)) {
        image.link(&format!("usr/bin/{applet}"), "busybox");
    }
    Ok(())
}

fn below_root(path: &Path) -> anyhow::Result<String> {
    Ok(path.strip_prefix("/")?.to_str().context("plain names")?.to_owned())
}
