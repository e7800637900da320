//! Bytes as text and back: names of files and lines of pfiles need not be UTF-8, JSON must be.

use std::fmt::Write as _;

/// As text: what is not UTF-8, and the percent sign, as `%` and two hexadecimal digits.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            // Writing into a string cannot fail.
            let _written = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The bytes again; `None` when the text was not made by [`encode`].
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(part.get(2..)?.as_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back() {
        assert_eq!(encode(b"/a b/\xff100%"), "/a b/%FF100%25");
        assert_eq!(encode("サービス".as_bytes()), "サービス");
        for bytes in [b"".as_slice(), b"%", b"\xff\xfe%41", "ü\0".as_bytes(), &[0x82, 0xb1, 0x25]] {
            assert_eq!(decode(&encode(bytes)).unwrap(), bytes);
        }
        for text in ["%", "%4", "%+1", "%é"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
