//! The BPF object that this binary carries, or the stub in its place.

/// The object; empty in a binary that was built without one.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/watcher-ebpf.o"));

/// What was missing when this binary was built, if it carries only the stub.
#[must_use]
pub fn missing() -> Option<&'static str> {
    let missing = env!("WATCHER_BPF_MISSING");
    (!missing.is_empty()).then_some(missing)
}
