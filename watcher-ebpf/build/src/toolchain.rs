//! Looks for a compiler and a linker that can make BPF objects.

use std::{
    env,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::TARGET;

/// Version of `bpf-linker` that this project is built and tested with.
pub const BPF_LINKER_VERSION: &str = "0.13.0";

/// Major version of LLVM that `bpf-linker` is to be linked with: not older than that of the compiler.
pub const BPF_LINKER_LLVM: u32 = 22;

/// Where `core` for BPF comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// Built along, from the sources that rustup's component `rust-src` brings.
    BuildStd,
    /// Shipped with the compiler.
    Prebuilt,
}

/// A complete set of tools.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// The compiler.
    pub rustc: PathBuf,
    /// Its version, for people.
    pub version: String,
    /// Where `core` comes from.
    pub core: Core,
    /// The linker.
    pub linker: PathBuf,
}

/// What is missing for building BPF objects, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Toolchain {
    /// Variable that names the compiler to use, for whoever has it in an unusual place.
    pub const RUSTC_VARIABLE: &str = "WATCHER_BPF_RUSTC";

    /// The first complete set of tools on this machine.
    ///
    /// # Errors
    /// Says what is missing when there is none.
    pub fn find() -> Result<Self, Missing> {
        let (rustc, core) = Self::find_compiler()?;
        let linker = in_path("bpf-linker").ok_or_else(|| {
            Missing(format!("bpf-linker was not found in PATH (version {BPF_LINKER_VERSION} is wanted)"))
        })?;
        let version = output(&rustc, &["--version"]).unwrap_or_else(|| "unknown".to_owned());
        Ok(Self { rustc, version, core, linker })
    }

    /// The first compiler on this machine that can make BPF code, and where its `core` comes from.
    ///
    /// # Errors
    /// Says so when there is none.
    pub fn find_compiler() -> Result<(PathBuf, Core), Missing> {
        let found = candidates().into_iter().find_map(|rustc| core_of(&rustc).map(|core| (rustc, core)));
        found.ok_or_else(|| {
            Missing(format!(
                "no Rust compiler for {TARGET} was found (neither a rustup nightly with the component rust-src, nor a \
                 compiler with a prebuilt core for that target)"
            ))
        })
    }

    /// Variables that change what [`Self::find`] finds, for a build script to watch.
    #[must_use]
    pub fn variables() -> [&'static str; 3] {
        [Self::RUSTC_VARIABLE, "PATH", "RUSTC_BOOTSTRAP"]
    }
}

fn candidates() -> Vec<PathBuf> {
    if let Some(named) = env::var_os(Toolchain::RUSTC_VARIABLE) {
        return vec![named.into()];
    }
    let nightly = output(Path::new("rustup"), &["which", "--toolchain", "nightly", "rustc"]).map(PathBuf::from);
    nightly.into_iter().chain([PathBuf::from("/usr/bin/rustc")]).chain(in_path("rustc")).collect()
}

/// A prebuilt `core` wins over sources: it is the one that the compiler was tested with.
fn core_of(rustc: &Path) -> Option<Core> {
    let sysroot = PathBuf::from(output(rustc, &["--print", "sysroot"])?).join("lib/rustlib");
    if sysroot.join(TARGET).join("lib").is_dir() {
        Some(Core::Prebuilt)
    } else if sysroot.join("src/rust/library/core/Cargo.toml").is_file() {
        // Building `core` takes unstable flags: a nightly has them, others when they are told to.
        let unstable = output(rustc, &["--version"])?.contains("nightly") || env::var_os("RUSTC_BOOTSTRAP").is_some();
        unstable.then_some(Core::BuildStd)
    } else {
        None
    }
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path: OsString = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// First line of what a command prints, if it succeeds.
fn output(program: &Path, arguments: &[&str]) -> Option<String> {
    // Inside a build script these two point at the toolchain of the outer build.
    let output = Command::new(program).args(arguments).env_remove("RUSTUP_TOOLCHAIN").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}
