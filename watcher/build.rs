//! Embeds the BPF object in the binary: one that is given, or one built here, or an explicit stub that says what was
//! missing. A build that was started and fails is an error, never a stub.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use watcher_ebpf_build::{Toolchain, build};

/// A ready object to embed.
const GIVEN: &str = "WATCHER_BPF_OBJECT";

/// Set to anything: embed the stub, for a quick check without BPF tools.
const SKIP: &str = "WATCHER_BPF_SKIP";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let workspace = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..").canonicalize()?;
    for variable in [GIVEN, SKIP].into_iter().chain(Toolchain::variables()) {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    for path in ["watcher-ebpf/src", "watcher-ebpf/Cargo.toml", "watcher-ebpf/abi", "watcher-ebpf/build", "Cargo.lock"]
    {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    let embedded = out.join("watcher-ebpf.o");
    let missing = match obtain(&workspace, &out)? {
        Obtained::Object(object) => {
            println!("cargo::rerun-if-changed={}", object.display());
            fs::copy(object, embedded)?;
            String::new()
        }
        Obtained::Stub(missing) => {
            println!("cargo::warning=watcher is built without its BPF object: {missing}; `cargo xtask setup` helps");
            fs::write(embedded, "")?;
            missing
        }
    };
    println!("cargo::rustc-env=WATCHER_BPF_MISSING={missing}");
    Ok(())
}

enum Obtained {
    Object(PathBuf),
    Stub(String),
}

fn obtain(workspace: &Path, out: &Path) -> Result<Obtained, Box<dyn Error>> {
    if let Some(given) = env::var_os(GIVEN) {
        let given = PathBuf::from(given);
        check_object(&given).map_err(|reason| format!("{GIVEN}={}: {reason}", given.display()))?;
        return Ok(Obtained::Object(given));
    }
    if env::var_os(SKIP).is_some() {
        return Ok(Obtained::Stub(format!("{SKIP} was set")));
    }
    match Toolchain::find() {
        Ok(toolchain) => Ok(Obtained::Object(build(&toolchain, workspace, &out.join("target"))?)),
        // Who names a compiler wants that one, or to hear why not.
        Err(missing) if env::var_os(Toolchain::RUSTC_VARIABLE).is_some() => Err(missing.to_string().into()),
        Err(missing) => Ok(Obtained::Stub(missing.to_string())),
    }
}

/// Whether a file looks like a BPF object: ELF, for the machine BPF.
fn check_object(file: &Path) -> Result<(), String> {
    const EM_BPF: u16 = 247;
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    let machine = bytes.get(18..20).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes);
    match (bytes.starts_with(b"\x7fELF"), machine) {
        (true, Some(EM_BPF)) => Ok(()),
        _ => Err("this is not a BPF object".to_owned()),
    }
}
