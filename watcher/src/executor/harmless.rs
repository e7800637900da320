//! Text of others in lines of ours.

use std::borrow::Cow;

/// The same bytes, with control characters as `#` and three octal digits, as rsyslog writes them: so a line stays one
/// line, and moves no terminal. Bytes above 127 stay: they may be of any encoding.
#[must_use]
pub fn harmless(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(u8::is_ascii_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = Vec::with_capacity(text.len() + 16);
    for &byte in text {
        match byte {
            b'\t' => shown.push(b' '),
            byte if byte.is_ascii_control() => shown.extend(format!("#{byte:03o}").bytes()),
            byte => shown.push(byte),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_all_else_stays() {
        assert_eq!(harmless(b"a\tb\x1b[0m\n\x7f\0"), b"a b#033[0m#012#177#000".as_slice());
        assert!(matches!(harmless("サービス \u{ff}".as_bytes()), Cow::Borrowed(_)));
        assert_eq!(harmless(b"\x80\xff"), b"\x80\xff".as_slice());
    }
}
