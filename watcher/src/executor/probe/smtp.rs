//! SMTP, as far as it takes to know whether a server answers: a greeting, and an answer to `NOOP`.

use watcher_core::probe::{Fault, Step};

use super::{
    text,
    wire::{Heard, Listener},
};

const NOOP: &[u8] = b"NOOP\r\n";
/// An address in brackets stands for a name where there is none.
const EHLO: &[u8] = b"EHLO [127.0.0.1]\r\n";
const HELO: &[u8] = b"HELO [127.0.0.1]\r\n";
/// What is said at the end.
pub(super) const QUIT: &[u8] = b"QUIT\r\n";

/// All replies together are longer nowhere.
const LONGEST: usize = 16 * 1024;

/// A conversation, as far as it has come.
#[derive(Debug)]
pub(super) struct Conversation {
    waiting_for: Reply,
    /// Whether it has introduced itself.
    introduced: bool,
    bytes: Vec<u8>,
    heard: usize,
    greeting: Option<String>,
}

/// What is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Greeting,
    Noop,
    Ehlo,
    Helo,
}

impl Conversation {
    pub(super) const fn new() -> Self {
        Self { waiting_for: Reply::Greeting, introduced: false, bytes: Vec::new(), heard: 0, greeting: None }
    }

    /// The first line of the greeting.
    pub(super) fn greeting(self) -> Option<String> {
        self.greeting
    }

    /// A whole reply: its code, and its last line.
    fn reply(&mut self, code: u16, line: String) -> Heard {
        let refused = |line| Heard::Done(Err(Fault::Status { code, line }));
        match (self.waiting_for, code) {
            (Reply::Greeting, 220) => self.say(Reply::Noop, NOOP),
            (Reply::Noop, 250) => Heard::Done(Ok(())),
            (Reply::Ehlo | Reply::Helo, 250) => {
                self.introduced = true;
                self.say(Reply::Noop, NOOP)
            }
            // Some want to know first who is speaking.
            (Reply::Noop, 500..600) if !self.introduced => self.say(Reply::Ehlo, EHLO),
            (Reply::Ehlo, 500..600) => self.say(Reply::Helo, HELO),
            (Reply::Greeting | Reply::Noop | Reply::Ehlo | Reply::Helo, 400..600) => refused(line),
            (Reply::Greeting | Reply::Noop | Reply::Ehlo | Reply::Helo, _) => {
                Heard::Done(Err(Fault::Foreign { what: format!("answers with what does not belong there: {line}") }))
            }
        }
    }

    const fn say(&mut self, reply: Reply, words: &'static [u8]) -> Heard {
        self.waiting_for = reply;
        Heard::Say(words)
    }
}

impl Listener for Conversation {
    fn hear(&mut self, new: &[u8]) -> Heard {
        self.heard += new.len();
        self.bytes.extend_from_slice(new);
        loop {
            let (line, code, is_last) = match line(&self.bytes) {
                Line::Whole { length, code, is_last } => {
                    let rest = self.bytes.split_off(length);
                    (text::line(&std::mem::replace(&mut self.bytes, rest)), code, is_last)
                }
                Line::Foreign => {
                    let what = format!("does not answer in SMTP: it begins with {}", text::start(&self.bytes));
                    return Heard::Done(Err(Fault::Foreign { what }));
                }
                Line::Partial if self.heard >= LONGEST => {
                    let what = format!("answers with more than {LONGEST} bytes");
                    return Heard::Done(Err(Fault::Foreign { what }));
                }
                Line::Partial => return Heard::More,
            };
            self.greeting.get_or_insert_with(|| line.clone());
            if is_last {
                return self.reply(code, line);
            }
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        Err(Fault::Closed { step: Step::Answer })
    }
}

/// A line of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// With its end.
    Whole { length: usize, code: u16, is_last: bool },
    /// It may become one.
    Partial,
    /// It is none.
    Foreign,
}

fn line(bytes: &[u8]) -> Line {
    let digits = bytes.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let code = || std::str::from_utf8(bytes.get(..3)?).ok()?.parse().ok();
    let is_last = match (digits, bytes.get(digits)) {
        (_, None) => return Line::Partial,
        (3, Some(b'-')) => false,
        (3, Some(b' ' | b'\r' | b'\n')) => true,
        (_, Some(_)) => return Line::Foreign,
    };
    match (memchr::memchr(b'\n', bytes), code()) {
        (Some(end), Some(code)) => Line::Whole { length: end + 1, code, is_last },
        (None, Some(_)) => Line::Partial,
        (_, None) => Line::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes of a server that says these things, each in pieces of this size, when it is its turn; and what it is told.
    fn held(server: &[&str], size: usize) -> (Result<(), Fault>, String) {
        let (mut conversation, mut said) = (Conversation::new(), String::new());
        'turns: for words in server {
            for piece in words.as_bytes().chunks(size) {
                match conversation.hear(piece) {
                    Heard::More => {}
                    Heard::Say(words) => {
                        said += std::str::from_utf8(words).unwrap().get(..4).unwrap();
                        continue 'turns;
                    }
                    Heard::Done(result) => return (result, said),
                }
            }
        }
        (conversation.end(), said)
    }

    #[test]
    fn a_server_is_greeted_as_it_wants() {
        let (ok, no) = ("250 Ok\r\n", "503 5.5.1 Who are you?\r\n");
        for (server, expected, told) in [
            (["220 a ESMTP\r\n", ok, "", "", ""], "good", "NOOP"),
            (["220-a\r\n220-b\r\n220 c\r\n", ok, "", "", ""], "good", "NOOP"),
            (["220\n", "250\n", "", "", ""], "good", "NOOP"),
            (["220 a\r\n", no, "250-a\r\n250 b\r\n", ok, ""], "good", "NOOPEHLONOOP"),
            (["220 a\r\n", no, "502 No\r\n", ok, ok], "good", "NOOPEHLOHELONOOP"),
            (["220 a\r\n", no, ok, no, ""], "answers with an error: 503 5.5.1 Who are you?", "NOOPEHLONOOP"),
            (["421 Too busy\r\n", "", "", "", ""], "answers with an error: 421 Too busy", ""),
            (["554-No\r\n554 at all\r\n", "", "", "", ""], "answers with an error: 554 at all", ""),
            (["220 a\r\n", "421 Bye\r\n", "", "", ""], "answers with an error: 421 Bye", "NOOP"),
            (["220 a\r\n", "354 Go on\r\n", "", "", ""], "answers with what does not belong there: 354 Go on", "NOOP"),
            (["SSH-2.0\r\n", "", "", "", ""], "does not answer in SMTP: it begins with `S`", ""),
            (["22x\r\n", "", "", "", ""], "does not answer in SMTP: it begins with `22x`", ""),
            (["220 a\r\n", "250-a\r\n", "", "", ""], "ends the connection without a whole answer", "NOOP"),
            (["220-a", "", "", "", ""], "ends the connection without a whole answer", ""),
        ] {
            let (result, said) = held(&server, 1);
            let result = result.map_or_else(|fault| fault.to_string(), |()| "good".to_owned());
            assert_eq!((result.as_str(), said.as_str()), (expected, told), "{server:?}");
            assert_eq!(held(&server, 100).0.is_ok(), expected == "good");
        }
    }

    #[test]
    fn a_server_that_never_ends_is_not_listened_to_for_ever() {
        for endless in ["220-a\r\n".repeat(3_000), format!("220 {}", "x".repeat(20_000))] {
            let (result, _) = held(&[&endless], 100);
            assert_eq!(result.unwrap_err().to_string(), "answers with more than 16384 bytes");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_a_verdict(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'2'), Just(b'0'), Just(b'-'), Just(b'\n')], 0..500),
            size in 1..100_usize,
        ) {
            let mut conversation = Conversation::new();
            let done = bytes.chunks(size).any(|piece| matches!(conversation.hear(piece), Heard::Done(_)));
            prop_assert!(done || conversation.end().is_err());
        }
    }
}
