//! The one way in which the BPF object is built: watcher's build script and `cargo xtask` both come here.
//!
//! Two kinds of toolchain do, and the first that is complete is taken:
//! a rustup nightly with the component `rust-src`, which builds `core` for BPF itself (`-Z build-std`),
//! and a distribution's compiler that comes with a prebuilt `core` for `bpfel-unknown-none`.
//! Both need `bpf-linker`. Where something is missing, [`Toolchain::find`] says what, and what to do.

mod object;
mod toolchain;

pub use object::{BuildError, build, lint};
pub use toolchain::{BPF_LINKER_LLVM, BPF_LINKER_VERSION, Core, Missing, Toolchain};

/// Target of the kernel programs on little-endian machines, which is all that watcher supports.
pub const TARGET: &str = "bpfel-unknown-none";
