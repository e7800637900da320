//! What a port is, by what it answers to a plain request for a page.

use super::StallKind;

/// How much of an answer counts.
pub const ENOUGH: usize = 2_048;

/// The block that asks such a port again and again.
#[must_use]
pub fn kind_of(answer: &[u8]) -> StallKind {
    let answer = answer.get(..ENOUGH).unwrap_or(answer);
    match answer {
        // A record of TLS that tells of an error.
        [0x15, 0x03, ..] => StallKind::WebTls,
        [b'H', b'T', b'T', b'P', b'/', rest @ ..] => {
            let status = rest.split(|byte| *byte == b' ').nth(1).and_then(|status| status.get(..3));
            let says_https = answer.windows(b"HTTPS".len()).any(|text| text.eq_ignore_ascii_case(b"HTTPS"));
            if status == Some(b"400") && says_https { StallKind::WebTls } else { StallKind::Web }
        }
        _ => StallKind::Socket,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_tell_what_a_port_is() {
        let late = [b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), &[b' '; ENOUGH], b"HTTPS"].concat();
        for (answer, kind) in [
            (b"".as_slice(), StallKind::Socket),
            (b"220 mail.example ESMTP\r\n", StallKind::Socket),
            (b"HTTP", StallKind::Socket),
            (b"HTTP/1.0 200 OK\r\n\r\n", StallKind::Web),
            (b"HTTP/1.1 501 Unsupported method\r\n\r\n", StallKind::Web),
            (b"HTTP/1.1 301 Moved\r\nLocation: https://example/\r\n\r\n", StallKind::Web),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", StallKind::Web),
            (b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port", StallKind::WebTls),
            (b"HTTP/1.1 400 Bad Request\r\n\r\nInstead use the https scheme", StallKind::WebTls),
            (&late, StallKind::Web),
            (b"\x15\x03\x01\x00\x02\x02\x0a", StallKind::WebTls),
            (b"\x15\x03", StallKind::WebTls),
            (b"\x15", StallKind::Socket),
        ] {
            assert_eq!(kind_of(answer), kind, "{}", String::from_utf8_lossy(answer));
        }
    }
}
