//! TLS: who is spoken with, and what was agreed on.

mod certificate;

pub use certificate::Certificate;

/// What was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Such as `TLS 1.3`.
    pub version: &'static str,
    /// By its registered name.
    pub cipher: String,
    /// Whether keys of an earlier connection were used again.
    pub resumed: bool,
}
