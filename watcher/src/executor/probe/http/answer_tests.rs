//! Answers in any pieces.

use proptest::prelude::*;
use watcher_core::{
    pfile::Method,
    probe::{HttpVersion, Statuses},
};

use super::*;

fn ask(match_header: Option<&str>, match_body: Option<&str>) -> HttpAsk {
    HttpAsk {
        tls: None,
        version: HttpVersion::V1_1,
        method: Method::Head,
        path: "/".into(),
        headers: Vec::new(),
        statuses: Statuses::NoErrors,
        match_header: match_header.map(Bytes::from),
        match_body: match_body.map(Bytes::from),
    }
}

/// What comes of an answer that arrives in pieces of this size, after which the peer goes away.
fn heard(ask: &HttpAsk, bytes: &[u8], size: usize) -> Result<(), Fault> {
    let mut answer = Answer::new(ask);
    for piece in bytes.chunks(size) {
        match answer.hear(piece) {
            Heard::More => {}
            Heard::Done(result) => return result,
            Heard::Say(_) => panic!("nothing more is to be said"),
        }
    }
    answer.end()
}

/// The same for every size of pieces.
fn verdict(ask: &HttpAsk, bytes: &[u8]) -> Result<(), Fault> {
    let whole = heard(ask, bytes, usize::MAX);
    for size in [1, 2, 3, 7, 1024] {
        let pieces = heard(ask, bytes, size);
        assert_eq!(whole.as_ref().err().map(Fault::name), pieces.as_ref().err().map(Fault::name), "{pieces:?}");
    }
    whole
}

fn words(ask: &HttpAsk, bytes: &[u8]) -> String {
    verdict(ask, bytes).map_or_else(|fault| fault.to_string(), |()| "good".to_owned())
}

#[test]
fn the_status_is_what_counts() {
    let plain = ask(None, None);
    for (text, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "good"),
        ("HTTP/1.0 200\r\n\r\n", "good"),
        ("HTTP/1.1 200 OK\nA: b\n\n", "good"),
        ("\r\nHTTP/1.1 302 Found\r\nLocation: /a\r\n\r\njunk", "good"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "good"),
        ("HTTP/1.1 200 OK\r\nno header at all\r\n\x01\x02: \x7f\r\n\r\n", "good"),
        ("HTTP/1.1 500 Oh\r\n\r\n", "answers with an error: HTTP/1.1 500 Oh"),
        ("HTTP/1.1 200 OK\r\nA: b\r\n", "ends the connection without a whole answer"),
        ("", "ends the connection without a whole answer"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "ends the connection without a whole answer"),
    ] {
        assert_eq!(words(&plain, text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn what_is_not_http_is_shown() {
    let plain = ask(None, None);
    let foreign = |bytes: &[u8]| heard(&plain, bytes, usize::MAX).unwrap_err().to_string();
    assert_eq!(foreign(b"SSH-2.0-a\r\n"), "does not answer in HTTP: it begins with `SSH-2.0-a\\r\\n`");
    assert_eq!(foreign(b"HTTP/9 200\r\n\r\n"), "does not answer in HTTP: it begins with `HTTP/9 200\\r\\n`");
    assert_eq!(foreign(b"HTTP/1.1 abc\r\n"), "does not answer in HTTP: it begins with `HTTP/1.1 abc\\r\\n`");
    assert!(foreign(&[0x15, 3, 1, 0, 2, 2, 22]).contains("in TLS"));
    // The first byte is enough.
    assert_eq!(heard(&plain, b"<html>", 1).unwrap_err().to_string(), "does not answer in HTTP: it begins with `<`");
}

#[test]
fn headers_have_an_end() {
    let plain = ask(None, None);
    let of = |length: usize, before: &str| {
        let start = format!("{before}HTTP/1.1 200 OK\r\nA: ");
        let filler = "x".repeat(length - start.len() - 4);
        words(&plain, format!("{start}{filler}\r\n\r\n").as_bytes())
    };
    let long = "answers with a header of more than 16384 bytes";
    assert_eq!(of(16_384, ""), "good");
    assert_eq!(of(16_385, ""), long);
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    assert_eq!(of(16_384, hint), "good");
    assert_eq!(of(16_385, hint), long);
    assert_eq!(words(&plain, hint.repeat(10_000).as_bytes()), long);
    assert_eq!(words(&plain, format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(9_000)).as_bytes()), long);
}

#[test]
fn what_must_be_in_the_headers_is_looked_for() {
    let wanted = ask(Some("Server: x"), None);
    assert_eq!(words(&wanted, b"HTTP/1.1 200 OK\r\nServer: x/1\r\n\r\n"), "good");
    assert_eq!(
        words(&wanted, b"HTTP/1.1 200 OK\r\n\r\nServer: x"),
        "answers `HTTP/1.1 200 OK`, but its header does not contain `Server: x`"
    );
}

#[test]
fn what_must_be_in_the_body_is_looked_for() {
    let wanted = ask(None, Some("alive"));
    let of = |headers: &str, body: &str| words(&wanted, format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}").as_bytes());
    let absent = "answers `HTTP/1.1 200 OK`, but its body does not contain `alive`";
    let cut = "ends the connection without a whole answer";
    assert_eq!(of("", "it is alive"), "good");
    assert_eq!(of("", "it is not"), absent);
    assert_eq!(of("Content-Length: 11\r\n", "it is alive"), "good");
    assert_eq!(of("Content-Length: 6\r\n", "it is alive"), absent);
    assert_eq!(of("Content-Length: 0\r\n", ""), absent);
    assert_eq!(of("Content-Length: 99\r\n", "it is"), cut);
    let chunked = "TRANSFER-ENCODING: gzip, Chunked\r\n";
    assert_eq!(of(chunked, "3\r\nali\r\n2;a=b\r\nve\r\n0\r\n\r\n"), "good");
    assert_eq!(of(chunked, "3\nali\n2\nve\n0\n\n"), "good");
    assert_eq!(of(chunked, "3\r\nali\r\n3\r\nxve\r\n0\r\n\r\n"), absent);
    assert_eq!(of(chunked, "3\r\nali\r\n0\r\n\r\nalive"), absent);
    assert_eq!(of(chunked, "3\r\nali\r\n2\r\nv"), cut);
    assert_eq!(of(chunked, "alive"), cut);
    let broken = "answers with a body whose pieces do not tell their length";
    assert_eq!(of(chunked, "alive\r\n"), broken);
    assert_eq!(of(chunked, &"9".repeat(5_000)), broken);
    assert_eq!(of("", &format!("{}alive", "x".repeat(60_000))), "good");
    assert_eq!(of("", &format!("{}alive", "x".repeat(70_000))), absent);
    assert_eq!(of(&"a: b\r\n".repeat(500), "alive"), "good");
    assert_eq!(words(&wanted, b"HTTP/1.1 304 No\r\n\r\nalive"), absent.replace("200 OK", "304 No"));
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_give_a_verdict(
        start in prop::sample::select(vec!["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b':')], 0..500),
        size in 1..100_usize,
        body in any::<bool>(),
    ) {
        let ask = ask(None, body.then_some("\r0"));
        let bytes = [start.as_bytes(), &bytes].concat();
        let whole = heard(&ask, &bytes, usize::MAX);
        let pieces = heard(&ask, &bytes, size);
        prop_assert_eq!(whole.err().map(|fault| fault.name()), pieces.err().map(|fault| fault.name()));
    }
}
