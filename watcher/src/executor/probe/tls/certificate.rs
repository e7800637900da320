//! What a certificate says.

/// A server's certificate, as far as people ask for it. Its texts are made harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is.
    pub subject: String,
    /// Who says so.
    pub issuer: String,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// The first second in which it is valid, since 1970.
    pub not_before: i64,
    /// The last one.
    pub not_after: i64,
    /// For how many whole days it is valid yet, by the wall clock; negative when it has expired.
    pub days_left: i64,
    /// Whether it vouches for itself.
    pub self_signed: bool,
}
