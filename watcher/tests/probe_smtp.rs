//! Mail servers that behave, and those that do not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod probe_support;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    thread,
    time::Duration,
};

use probe_support::{LONG, Peer, SHORT, ask, attempt, until_closed, words};
use watcher_core::{
    Span,
    probe::{Fault, How, Step, Verdict},
};

/// A server that says these things, one after each line that it hears; the lines.
fn server(says: &'static [&'static str]) -> Peer<Vec<String>> {
    Peer::new(move |stream| {
        let (mut lines, mut heard) = (BufReader::new(stream), Vec::new());
        for words in says {
            lines.get_mut().write_all(words.as_bytes()).unwrap();
            let mut line = String::new();
            // An end, of whatever kind, is an empty line.
            let _ended = lines.read_line(&mut line);
            heard.push(line.trim_end().to_owned());
        }
        until_closed(lines.get_mut());
        heard
    })
}

fn asked(server: &Peer<Vec<String>>, limit: Span) -> String {
    words(&attempt(ask(How::Smtp, server.port(), limit)))
}

#[test]
fn a_server_is_left_as_manners_have_it() {
    let peer = server(&["220-mail\r\n220 ESMTP\r\n", "250 2.0.0 Ok\r\n"]);
    let attempt = attempt(ask(How::Smtp, peer.port(), LONG));
    assert_eq!(words(&attempt), "good");
    assert_eq!(attempt.answer.as_deref(), Some("220-mail"));
    assert_eq!(peer.end(), ["NOOP", "QUIT"]);

    let peer = server(&["220 a\r\n", "503 Say hello first\r\n", "250-a\r\n250 b\r\n", "250 Ok\r\n"]);
    assert_eq!(asked(&peer, LONG), "good");
    assert_eq!(peer.end(), ["NOOP", "EHLO [127.0.0.1]", "NOOP", "QUIT"]);
}

#[test]
fn refusals_are_told() {
    assert_eq!(asked(&server(&["421 4.3.2 Too busy\r\n"]), LONG), "answers with an error: 421 4.3.2 Too busy");
    assert_eq!(asked(&server(&["554 No\r\n"]), LONG), "answers with an error: 554 No");
    assert_eq!(asked(&server(&["220 a\r\n", "451 Disk\r\n"]), LONG), "answers with an error: 451 Disk");
    let ssh = asked(&server(&["SSH-2.0-x\r\n"]), LONG);
    assert_eq!(ssh, "does not answer in SMTP: it begins with `SSH-2.0-x\\r\\n`");
}

#[test]
fn silence_and_tar_end_with_the_limit() {
    let silent = Peer::new(|mut stream| until_closed(&mut stream));
    let verdict = attempt(ask(How::Smtp, silent.port(), SHORT)).verdict;
    assert_eq!(verdict, Verdict::Bad(Fault::Silent { step: Step::Answer, got: 0 }));
    silent.end();
    let tar = Peer::new(|mut stream| {
        while stream.write_all(b"220-wait\r\n").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let verdict = attempt(ask(How::Smtp, tar.port(), SHORT)).verdict;
    assert!(matches!(verdict, Verdict::Bad(Fault::Silent { step: Step::Answer, got: 1.. })), "{verdict:?}");
    tar.end();
}

#[test]
fn a_server_that_talks_for_ever_is_not_listened_to() {
    let talks = Peer::new(|mut stream| while stream.write_all(&b"220-wait\r\n".repeat(1000)).is_ok() {});
    assert_eq!(words(&attempt(ask(How::Smtp, talks.port(), LONG))), "answers with more than 16384 bytes");
    talks.end();
}
