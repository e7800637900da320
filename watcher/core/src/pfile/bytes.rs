//! Text as it stands in a file: any bytes, kept as they are.

use std::{fmt, sync::Arc};

/// Bytes of a pfile. They need not be UTF-8; only showing them to people makes text of them. A clone shares them: the same
/// name, or the text of an entry, is held in many places.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(Arc<[u8]>);

impl Bytes {
    /// The bytes themselves.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.0), f)
    }
}

/// What is not UTF-8 becomes a replacement character.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Bytes in a sentence: in backquotes, without line breaks, and cut where nobody would read on.
#[must_use]
pub(super) fn quoted(bytes: &[u8]) -> String {
    const ENOUGH: usize = 80;
    let (shown, more) = match bytes.get(..ENOUGH) {
        Some(start) if bytes.len() > ENOUGH => (start, "…"),
        Some(_) | None => (bytes, ""),
    };
    let mut text = String::with_capacity(shown.len() + 4);
    text.push('`');
    for letter in String::from_utf8_lossy(shown).chars() {
        if letter.is_control() { text.extend(letter.escape_default()) } else { text.push(letter) }
    }
    text.push_str(more);
    text.push('`');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_stay_short_and_on_one_line() {
        assert_eq!(quoted(b"exit"), "`exit`");
        assert_eq!(quoted(b"a\x1b[31m\n"), "`a\\u{1b}[31m\\n`");
        assert_eq!(quoted(&[b'x'; 100_000]).chars().count(), 83);
    }
}
