//! What a peer says, as it may be shown.

/// So much of it tells what it is.
const ENOUGH: usize = 60;
/// A line of an answer is cut here.
const LONG_LINE: usize = 200;

/// How something begins, in backquotes: one line, nothing that a terminal would obey.
pub(super) fn start(bytes: &[u8]) -> String {
    let (shown, more) = match bytes.get(..ENOUGH) {
        Some(start) if bytes.len() > ENOUGH => (start, "…"),
        Some(_) | None => (bytes, ""),
    };
    format!("`{}{more}`", shown.escape_ascii())
}

/// A line of an answer, without its end.
pub(super) fn line(bytes: &[u8]) -> String {
    let line = bytes.trim_ascii();
    let text: String = String::from_utf8_lossy(line).chars().take(LONG_LINE).map(harmless).collect();
    text
}

fn harmless(character: char) -> char {
    // Spelt out by whoever prints it, where it is more than one character.
    if character.is_control() { '\u{fffd}' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_short_and_harmless() {
        assert_eq!(start(b"SSH-2.0-x\r\n\x1b"), "`SSH-2.0-x\\r\\n\\x1b`");
        assert_eq!(start(&[b'a'; 1000]).chars().count(), 63);
        assert_eq!(line(b"HTTP/1.1 200 \x1b[31m OK\r\n"), "HTTP/1.1 200 \u{fffd}[31m OK");
        assert_eq!(line(&[b'a'; 1000]).len(), 200);
    }
}
