//! Servers of HTTP that behave, and those that do not: each gives a verdict, within the limit.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod probe_support;

use std::{io::Write as _, net::Shutdown, thread, time::Duration};

use probe_support::{LONG, Peer, SHORT, answers, ask, attempt, by_http, http, request, until_closed, words};
use rustix::net::sockopt::set_socket_linger;
use watcher_core::{
    pfile::{Bytes, Method, Port},
    probe::{Ask, Fault, How, HttpAsk, HttpVersion, Step, Verdict},
};

const OK: &str = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n";

#[test]
fn an_answer_is_good() {
    let peer = answers(OK);
    let port = peer.port().number();
    let attempt = attempt(ask(How::Http(http()), peer.port(), LONG));
    assert_eq!(attempt.verdict, Verdict::Good { certificate_days: None });
    assert_eq!(attempt.answer.as_deref(), Some("HTTP/1.1 200 OK"));
    assert_eq!(attempt.address, Some(peer.address));
    let timings = attempt.timings;
    assert!(timings.resolve.is_some() && timings.connect.is_some() && timings.first_byte.is_some());
    assert!(timings.tls.is_none() && timings.total >= timings.first_byte);
    assert_eq!(
        peer.end(),
        format!(
            "HEAD / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: watcher\r\nAccept: */*\r\nConnection: \
             close\r\n\r\n"
        )
    );
}

#[test]
fn answers_that_are_odd_but_answers_are_good() {
    for text in [
        "HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\n\n",
        "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 500 Junk\r\n\r\n\0\x01\x02",
    ] {
        assert_eq!(by_http(&answers(text), LONG), "good", "{text}");
    }
    let old = HttpAsk { version: HttpVersion::V1_0, ..http() };
    let peer = answers(OK);
    assert_eq!(words(&attempt(ask(How::Http(old), peer.port(), LONG))), "good");
    assert!(peer.end().starts_with("HEAD / HTTP/1.0\r\n"));
}

#[test]
fn an_error_is_told_with_its_line() {
    let shown = by_http(&answers("HTTP/1.1 503 Service Unavailable\r\n\r\n"), LONG);
    assert_eq!(shown, "answers with an error: HTTP/1.1 503 Service Unavailable");
}

#[test]
fn silence_ends_with_the_limit() {
    let silent = Peer::new(|mut stream| until_closed(&mut stream));
    let attempt = attempt(ask(How::Http(http()), silent.port(), SHORT));
    assert_eq!(attempt.verdict, Verdict::Bad(Fault::Silent { step: Step::Answer, got: 0 }));
    assert!(attempt.timings.total.unwrap() >= Duration::from_nanos(SHORT.0));
    silent.end();
}

/// The kernel takes connections for whoever is stopped.
#[test]
fn nobody_needs_to_accept_for_a_connection_to_be_made() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = Port::new(socket.local_addr().unwrap().port().into()).unwrap();
    assert_eq!(words(&attempt(ask(How::Tcp, port, LONG))), "good");
    assert_eq!(words(&attempt(ask(How::Http(http()), port, SHORT))), "does not answer in time");
    drop(socket);
    assert_eq!(words(&attempt(ask(How::Tcp, port, LONG))), "lets no connection be made: connection refused");
}

#[test]
fn a_server_that_drips_does_not_gain_time() {
    let drips = Peer::new(|mut stream| {
        request(&mut stream);
        let mut rest = OK.bytes().chain("x".bytes().cycle());
        while stream.write_all(&[rest.next().unwrap()]).is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let verdict = attempt(ask(How::Http(HttpAsk { match_body: Some("y".into()), ..http() }), drips.port(), SHORT));
    assert!(
        matches!(verdict.verdict, Verdict::Bad(Fault::Silent { step: Step::Answer, got: 1.. })),
        "{:?}",
        verdict.verdict
    );
    drips.end();
}

/// Says something for ever, until nobody listens any more. How much it could say.
fn endless(start: &'static str, again: &'static str) -> Peer<u64> {
    Peer::new(move |mut stream| {
        request(&mut stream);
        let (again, mut said) = (again.repeat(65_536 / again.len()), 0);
        let mut words = stream.write_all(start.as_bytes());
        while words.is_ok() && said < 1 << 30 {
            words = stream.write_all(again.as_bytes());
            said += again.len() as u64;
        }
        said
    })
}

#[test]
fn what_never_ends_is_not_read_for_ever() {
    let long = "answers with a header of more than 16384 bytes";
    for (start, again, expected) in [
        ("HTTP/1.1 200 OK\r\n", "X-Y: z\r\n", long),
        ("HTTP/1.1 200 OK\r\nX: ", "x", long),
        ("", "HTTP/1.1 102 Processing\r\n\r\n", long),
        ("", "\r\n", long),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", "body", "good"),
    ] {
        let peer = endless(start, again);
        assert_eq!(by_http(&peer, LONG), expected, "{start:?} {again:?}");
        // What fits into the buffers of two sockets.
        assert!(peer.end() < 1 << 26);
    }
}

#[test]
fn the_longest_header_is_taken_and_no_longer_one() {
    let of = |length: usize| {
        let filler = "x".repeat(length - "HTTP/1.1 200 OK\r\nA: \r\n\r\n".len());
        by_http(&answers(format!("HTTP/1.1 200 OK\r\nA: {filler}\r\n\r\n")), LONG)
    };
    assert_eq!(of(16_384), "good");
    assert_eq!(of(16_385), "answers with a header of more than 16384 bytes");
}

#[test]
fn what_is_not_http_is_told_at_once() {
    for (text, expected) in [
        ("<html>hello</html>", "does not answer in HTTP: it begins with `<html>hello</html>`"),
        ("220 mail ESMTP\r\n", "does not answer in HTTP: it begins with `220 mail ESMTP\\r\\n`"),
        ("\u{1}\u{2}\u{1b}[2J", "does not answer in HTTP: it begins with `\\x01\\x02\\x1b[2J`"),
        ("HTTP/1.1 OK\r\n", "does not answer in HTTP: it begins with `HTTP/1.1 OK\\r\\n`"),
    ] {
        // The connection stays open: nothing else would end the attempt.
        assert_eq!(by_http(&answers(text), LONG), expected);
    }
}

#[test]
fn ends_that_come_too_early_are_told() {
    let ends = "ends the connection without a whole answer";
    assert_eq!(by_http(&Peer::new(|mut stream| request(&mut stream)), LONG), ends);
    let half = Peer::new(|mut stream| {
        request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nA: b\r\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        until_closed(&mut stream);
    });
    assert_eq!(by_http(&half, LONG), ends);
    let whole = Peer::new(|mut stream| {
        request(&mut stream);
        stream.write_all(OK.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        until_closed(&mut stream);
    });
    assert_eq!(by_http(&whole, LONG), "good");
    let resets = Peer::new(|mut stream| {
        request(&mut stream);
        set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    });
    assert_eq!(by_http(&resets, LONG), "breaks the connection: connection reset");
}

/// It may be gone before it was asked, and what it said is an answer all the same.
#[test]
fn an_answer_counts_even_if_the_request_cannot_be_sent() {
    for _ in 0..20 {
        let hasty = Peer::new(|mut stream| {
            stream.write_all(b"HTTP/1.1 503 Too busy\r\n\r\n").unwrap();
            stream.shutdown(Shutdown::Read).unwrap();
        });
        assert_eq!(by_http(&hasty, LONG), "answers with an error: HTTP/1.1 503 Too busy");
    }
}

#[test]
fn something_is_found_in_the_body() {
    let asks = |text: &'static str| {
        let wanted = HttpAsk { match_body: Some("alive".into()), ..http() };
        let peer = answers(text);
        let shown = words(&attempt(ask(How::Http(wanted), peer.port(), LONG)));
        assert!(peer.end().starts_with("GET / "));
        shown
    };
    assert_eq!(asks("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nali\r\n2\r\nve\r\n0\r\n\r\n"), "good");
    assert_eq!(
        asks("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndead"),
        "answers `HTTP/1.1 200 OK`, but its body does not contain `alive`"
    );
    let peer = endless("HTTP/1.1 200 OK\r\n\r\n", "x");
    let wanted = HttpAsk { method: Method::Get, match_body: Some("alive".into()), ..http() };
    let shown = words(&attempt(ask(How::Http(wanted), peer.port(), LONG)));
    assert_eq!(shown, "answers `HTTP/1.1 200 OK`, but its body does not contain `alive`");
    peer.end();
}

#[test]
fn this_host_is_asked_by_both_families() {
    let Ok(socket) = std::net::TcpListener::bind("[::1]:0") else { return };
    let port = Port::new(socket.local_addr().unwrap().port().into()).unwrap();
    for host in [None, Some("localhost"), Some("::1"), Some("[::1]")] {
        let attempt = attempt(Ask { how: How::Tcp, host: host.map(Bytes::from), port, limit: LONG });
        assert_eq!(words(&attempt), "good");
        assert_eq!(attempt.address, Some(socket.local_addr().unwrap()));
    }
    assert_eq!(words(&attempt(ask(How::Tcp, port, LONG))), "lets no connection be made: connection refused");
}

#[test]
fn a_name_that_nobody_knows_is_no_fault_of_the_service() {
    let host = Some(Bytes::from("x".repeat(64).as_str()));
    let attempt = attempt(Ask { how: How::Tcp, host, port: Port::new(1).unwrap(), limit: LONG });
    assert!(
        matches!(&attempt.verdict, Verdict::Bad(fault @ Fault::Address { .. }) if !fault.may_be_of_service()),
        "{attempt:?}"
    );
}
