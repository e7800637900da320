//! Runs cargo for the kernel programs.

use std::{
    env, fmt, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Core, TARGET, Toolchain};

/// Package and binary of the kernel programs.
const PACKAGE: &str = "watcher-ebpf";

/// Variables of an outer cargo that would lead the inner one astray.
const INHERITED: [&str; 8] = [
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "RUSTC",
    "RUSTC_LINKER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTUP_TOOLCHAIN",
];

/// Why no object came out.
#[derive(Debug)]
pub enum BuildError {
    /// cargo could not be started.
    Start(io::Error),
    /// cargo ran and failed; it has said why.
    Failed(String),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "cargo could not be started for the kernel programs: {error}"),
            Self::Failed(what) => write!(f, "the kernel programs did not build:\n{what}"),
        }
    }
}

impl std::error::Error for BuildError {}

/// Builds the object in `target_dir`, a folder of its own, and returns its path.
///
/// The bytes depend on sources and tools only: no debug information, and no path of this machine, goes into them.
///
/// # Errors
/// When cargo cannot be started or the build fails.
pub fn build(toolchain: &Toolchain, workspace: &Path, target_dir: &Path) -> Result<PathBuf, BuildError> {
    finish(cargo(toolchain, workspace, target_dir).arg("build"), toolchain)?;
    Ok(target_dir.join(TARGET).join("release").join(PACKAGE))
}

/// Runs clippy over the kernel programs, with the clippy that stands beside the compiler. Every warning is an error.
///
/// # Errors
/// When cargo or clippy cannot be started, or clippy finds something.
pub fn lint(toolchain: &Toolchain, workspace: &Path, target_dir: &Path) -> Result<(), BuildError> {
    let clippy = toolchain.rustc.with_file_name("clippy-driver");
    if !clippy.is_file() {
        return Err(BuildError::Failed(format!("{} does not exist", clippy.display())));
    }
    let mut command = cargo(toolchain, workspace, target_dir);
    command.arg("check").env("RUSTC_WORKSPACE_WRAPPER", clippy).env("CLIPPY_ARGS", "-Dwarnings");
    finish(&mut command, toolchain)
}

/// cargo with everything but the verb.
fn cargo(toolchain: &Toolchain, workspace: &Path, target_dir: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for variable in INHERITED {
        command.env_remove(variable);
    }
    let flags = [
        format!("-Clinker={}", toolchain.linker.display()),
        format!("--remap-path-prefix={}=.", workspace.display()),
        "-Cdebuginfo=0".to_owned(),
        "-Clink-arg=--log-level=error".to_owned(),
    ];
    command
        .current_dir(workspace)
        .env("CARGO_TARGET_DIR", target_dir)
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat");
    command
}

fn finish(command: &mut Command, toolchain: &Toolchain) -> Result<(), BuildError> {
    command.args(["--quiet", "--release", "--package", PACKAGE, "--bin", PACKAGE, "--target", TARGET]);
    if toolchain.core == Core::BuildStd {
        command.arg("-Zbuild-std=core");
    }
    let output = command.output().map_err(BuildError::Start)?;
    if output.status.success() {
        Ok(())
    } else {
        Err(BuildError::Failed(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}
