//! `setup`: what building and testing need, in pinned versions. Looks first; installs only what is missing.

use anyhow::{Context as _, bail};
use watcher_ebpf_build::{BPF_LINKER_LLVM, BPF_LINKER_VERSION, Core, Toolchain};
use xshell::{Shell, cmd};

use crate::{say, step};

const CARGO_DENY_VERSION: &str = "0.20.2";

const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// Packages that bring a compiler for BPF with a prebuilt core, and its clippy.
const COMPILER: [&str; 3] = ["rustc-web", "libstd-rust-web-dev-bpf", "rust-web-clippy"];

/// Services that the tests and the demo watch. Tomcat without its service; it brings a Java runtime. Prometheus asks us.
const SERVERS: [&str; 5] = ["nginx-light", "apache2", "tomcat10-common", "postfix", "prometheus"];

/// Tools that the tests, the fuzzer and `dist` call.
const TOOLS: [&str; 7] = ["g++", "libcap2-bin", "openssl", "python3-venv", "rpm", "shellcheck", "util-linux"];

/// What other kernels are booted with.
const GUESTS: [&str; 6] = ["bash", "busybox-static", "iproute2", "qemu-system-x86", "user-mode-linux", "xz-utils"];

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only say what is missing
    #[arg(long)]
    check: bool,
}

/// Runs the task by itself.
pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> anyhow::Result<()> {
    if !arguments.check {
        return ensure(shell);
    }
    if let Ok(toolchain) = Toolchain::find() {
        say(&format!("there: {}, {}", describe(&toolchain), toolchain.linker.display()));
    }
    let missing = missing(shell);
    if missing.is_empty() {
        say(&format!(
            "there: cargo-deny {CARGO_DENY_VERSION}, cargo-fuzz {CARGO_FUZZ_VERSION}, and what the tests call and watch; nothing is missing"
        ));
        return Ok(());
    }
    missing.iter().for_each(|thing| say(&format!("missing: {thing}")));
    bail!("{} things are missing; `cargo xtask setup` installs them", missing.len())
}

/// A compiler for the kernel programs, for people.
pub(crate) fn describe(toolchain: &Toolchain) -> String {
    let Toolchain { rustc, version, core, linker: _ } = toolchain;
    let core = match core {
        Core::BuildStd => "which builds core itself",
        Core::Prebuilt => "with a prebuilt core for BPF",
    };
    format!("{} ({version}), {core}", rustc.display())
}

/// Installs what is missing.
pub(crate) fn ensure(shell: &Shell) -> anyhow::Result<()> {
    step("setup");
    let missing = missing(shell);
    if missing.is_empty() {
        say("everything is there");
        return Ok(());
    }
    missing.iter().for_each(|thing| say(&format!("missing: {thing}")));
    if !is_debian_family(shell) {
        bail!("{}", instructions());
    }
    install_packages(shell, &packages(&missing))?;
    for thing in &missing {
        match thing {
            Thing::Linker => install_linker(shell)?,
            Thing::Deny => install(shell, "cargo-deny", CARGO_DENY_VERSION, "two or three minutes")?,
            Thing::Fuzz => install(shell, "cargo-fuzz", CARGO_FUZZ_VERSION, "a minute")?,
            Thing::Compiler | Thing::Package(_) => {}
        }
    }
    let left = self::missing(shell);
    if left.is_empty() { Ok(()) } else { bail!("still missing after installation: {left:?}") }
}

/// Something that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    Compiler,
    Linker,
    Deny,
    Fuzz,
    Package(&'static str),
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Compiler => f.write_str("a Rust compiler for BPF, with clippy"),
            Self::Linker => write!(f, "bpf-linker {BPF_LINKER_VERSION}"),
            Self::Deny => write!(f, "cargo-deny {CARGO_DENY_VERSION}"),
            Self::Fuzz => write!(f, "cargo-fuzz {CARGO_FUZZ_VERSION}"),
            Self::Package(name) => write!(f, "the package {name}"),
        }
    }
}

fn missing(shell: &Shell) -> Vec<Thing> {
    let mut missing = Vec::new();
    let complete = |(rustc, _): (std::path::PathBuf, _)| rustc.with_file_name("clippy-driver").is_file();
    if !Toolchain::find_compiler().is_ok_and(complete) {
        missing.push(Thing::Compiler);
    }
    if !prints(shell, "bpf-linker --version", BPF_LINKER_VERSION) {
        missing.push(Thing::Linker);
    }
    if !prints(shell, "cargo deny --version", CARGO_DENY_VERSION) {
        missing.push(Thing::Deny);
    }
    if !prints(shell, "cargo fuzz --version", CARGO_FUZZ_VERSION) {
        missing.push(Thing::Fuzz);
    }
    if is_debian_family(shell) {
        let wanted = SERVERS.into_iter().chain(TOOLS).chain(GUESTS);
        missing.extend(wanted.filter(|package| !is_installed(shell, package)).map(Thing::Package));
    }
    missing
}

fn prints(shell: &Shell, command: &str, wanted: &str) -> bool {
    let mut words = command.split(' ');
    let Some(program) = words.next() else { return false };
    cmd!(shell, "{program} {words...}").quiet().ignore_stderr().read().is_ok_and(|text| text.contains(wanted))
}

fn is_installed(shell: &Shell, package: &str) -> bool {
    let format = "${db:Status-Status}";
    cmd!(shell, "dpkg-query -W -f={format} {package}")
        .quiet()
        .ignore_stderr()
        .read()
        .is_ok_and(|text| text == "installed")
}

/// Installs these packages, where they are not there.
pub(crate) fn packages_are_there(shell: &Shell, wanted: &[&str]) -> anyhow::Result<()> {
    if !is_debian_family(shell) {
        say(&format!(
            "not a Debian-family system: these packages, or what they are called here, must be there: {}",
            wanted.join(" ")
        ));
        return Ok(());
    }
    let missing = wanted.iter().filter(|package| !is_installed(shell, package)).map(|package| (*package).to_owned());
    install_packages(shell, &missing.collect::<Vec<_>>())
}

fn is_debian_family(shell: &Shell) -> bool {
    shell.path_exists("/usr/bin/apt-get")
}

/// Packages for what is missing.
fn packages(missing: &[Thing]) -> Vec<String> {
    let of = |thing: &Thing| match thing {
        Thing::Compiler => COMPILER.map(str::to_owned).to_vec(),
        Thing::Linker => {
            let llvm = BPF_LINKER_LLVM;
            let names =
                [format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev"), "libzstd-dev".into(), "zlib1g-dev".into()];
            names.to_vec()
        }
        Thing::Deny | Thing::Fuzz => Vec::new(),
        Thing::Package(name) => vec![(*name).to_owned()],
    };
    missing.iter().flat_map(of).collect()
}

/// Packages may not start services: setting up a build must not open ports on this machine.
fn install_packages(shell: &Shell, packages: &[String]) -> anyhow::Result<()> {
    const POLICY: &str = "/usr/sbin/policy-rc.d";
    if packages.is_empty() {
        return Ok(());
    }
    if cmd!(shell, "id -u").quiet().read()? != "0" {
        bail!(
            "this takes root: run as root, once:\n\n    apt-get update && apt-get install --no-install-recommends {}\n",
            packages.join(" ")
        );
    }
    say(&format!("installing {}", packages.join(" ")));
    let guard = !shell.path_exists(POLICY);
    if guard {
        shell.write_file(POLICY, "#!/bin/sh\nexit 101\n")?;
        cmd!(shell, "chmod 755 {POLICY}").quiet().run()?;
    }
    let _noninteractive = shell.push_env("DEBIAN_FRONTEND", "noninteractive");
    let updated = cmd!(shell, "apt-get -q update").quiet().ignore_stdout().run();
    let installed = updated.and_then(|()| {
        cmd!(shell, "apt-get -q install -y --no-install-recommends {packages...}").quiet().ignore_stdout().run()
    });
    if guard {
        shell.remove_path(POLICY)?;
    }
    installed.context("the packages could not be installed")
}

fn install_linker(shell: &Shell) -> anyhow::Result<()> {
    say("building bpf-linker; this takes a minute or two");
    let (version, feature) = (format!("={BPF_LINKER_VERSION}"), format!("llvm-{BPF_LINKER_LLVM}"));
    let _llvm = shell.push_env("LLVM_PREFIX", format!("/usr/lib/llvm-{BPF_LINKER_LLVM}"));
    cmd!(
        shell,
        "cargo install --quiet --locked bpf-linker --version {version} --no-default-features --features {feature}"
    )
    .quiet()
    .run()?;
    Ok(())
}

fn install(shell: &Shell, name: &str, version: &str, time: &str) -> anyhow::Result<()> {
    say(&format!("building {name}; this takes {time}"));
    cmd!(shell, "cargo install --quiet --locked {name} --version ={version}").quiet().run()?;
    Ok(())
}

fn instructions() -> String {
    format!(
        "this is not a Debian-family system, so please install by hand:\n\n\
         \x20   rustup toolchain install nightly --component rust-src --component clippy\n\
         \x20   # LLVM {BPF_LINKER_LLVM} with development files, by your package manager, then:\n\
         \x20   LLVM_PREFIX=/path/to/llvm cargo install --locked bpf-linker --version {BPF_LINKER_VERSION} \\\n\
         \x20       --no-default-features --features llvm-{BPF_LINKER_LLVM}\n\
         \x20   cargo install --locked cargo-deny --version {CARGO_DENY_VERSION}\n\
         \x20   cargo install --locked cargo-fuzz --version {CARGO_FUZZ_VERSION}\n\
         \x20   # for the tests also: a C++ compiler, nginx, apache2, Tomcat 10, postfix, openssl, rpmbuild, shellcheck, setpriv and unshare\n\n\
         (The compiler's LLVM must not be newer than the linker's: `rustc +nightly -vV` tells.)"
    )
}
