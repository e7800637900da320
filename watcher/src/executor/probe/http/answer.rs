//! What comes back, in any pieces: bytes in, a verdict out.

use httparse::{EMPTY_HEADER, ParserConfig, Response, Status};
use watcher_core::{
    pfile::Bytes,
    probe::{Fault, HttpAsk, Step},
};

use super::body::{Body, Framing};
use crate::executor::probe::{
    text,
    wire::{Heard, Listener},
};

/// Status line and headers are longer nowhere, those of answers that come before the answer included.
const LONGEST_HEADER: usize = 16 * 1024;
/// More headers than usual: what is as short as `a:` and a line break.
const MOST_HEADERS: usize = LONGEST_HEADER / 3;
const USUAL_HEADERS: usize = 64;

/// An answer, as far as it has come.
#[derive(Debug)]
pub(in super::super) struct Answer<'a> {
    ask: &'a HttpAsk,
    status_line: Option<String>,
    part: Part,
    /// Bytes of headers, the present one aside.
    before: usize,
}

#[derive(Debug)]
enum Part {
    Header {
        bytes: Vec<u8>,
        /// Where the line begins that has not come to its end.
        line: usize,
        /// What the status line says.
        code: Option<u16>,
    },
    Body(Body),
}

impl Part {
    const START: Self = Self::Header { bytes: Vec::new(), line: 0, code: None };
}

impl<'a> Answer<'a> {
    pub(in super::super) const fn new(ask: &'a HttpAsk) -> Self {
        Self { ask, status_line: None, part: Part::START, before: 0 }
    }

    pub(in super::super) fn status_line(self) -> Option<String> {
        self.status_line
    }

    /// A whole header, and what came after it.
    fn header(&mut self, code: u16, header: &[u8], rest: &[u8]) -> Heard {
        if (100..200).contains(&code) && code != 101 {
            self.before += header.len();
            self.part = Part::START;
            return self.hear(rest);
        }
        match self.judge(code, header) {
            Ok(None) => Heard::Done(Ok(())),
            Ok(Some(body)) => {
                self.part = Part::Body(body);
                self.hear(rest)
            }
            Err(fault) => Heard::Done(Err(fault)),
        }
    }

    /// What the header tells; and the body, where something must be in it.
    fn judge(&self, code: u16, header: &[u8]) -> Result<Option<Body>, Fault> {
        let HttpAsk { statuses, match_header, match_body, .. } = self.ask;
        if !statuses.accept(code) {
            return Err(Fault::Status { code, line: self.line() });
        }
        if let Some(wanted) = match_header
            && memchr::memmem::find(header, wanted.as_slice()).is_none()
        {
            return Err(self.mismatch("header", wanted));
        }
        let Some(wanted) = match_body else { return Ok(None) };
        if matches!(code, 101 | 204 | 304) {
            return Err(self.mismatch("body", wanted));
        }
        Ok(Some(Body::new(framing(header)?, wanted)))
    }

    fn line(&self) -> String {
        self.status_line.clone().unwrap_or_default()
    }

    fn mismatch(&self, part: &str, wanted: &Bytes) -> Fault {
        let (line, wanted) = (self.line(), text::start(wanted.as_slice()));
        Fault::Mismatch { what: format!("answers `{line}`, but its {part} does not contain {wanted}") }
    }
}

impl Listener for Answer<'_> {
    fn hear(&mut self, new: &[u8]) -> Heard {
        let (bytes, line, code) = match &mut self.part {
            Part::Header { bytes, line, code } => (bytes, line, code),
            Part::Body(body) => {
                return match (body.hear(new), &self.ask.match_body) {
                    (Heard::Done(Err(Fault::Mismatch { .. })), Some(wanted)) => {
                        Heard::Done(Err(self.mismatch("body", wanted)))
                    }
                    (heard, _) => heard,
                };
            }
        };
        let mut seen = bytes.len();
        bytes.extend_from_slice(new);
        if code.is_none()
            && let Some(fault) = foreign_start(bytes)
        {
            return Heard::Done(Err(fault));
        }
        while let Some(end) = memchr::memchr(b'\n', bytes.get(seen..).unwrap_or_default()).map(|found| seen + found + 1)
        {
            let text = bytes.get(*line..end).unwrap_or_default();
            (*line, seen) = (end, end);
            let is_empty = matches!(text, b"\n" | b"\r\n");
            match *code {
                // Lines before the first one are odd, but harmless.
                None if is_empty => {}
                None => match status(text) {
                    Ok(found) => {
                        *code = Some(found);
                        self.status_line = Some(self::text::line(text));
                    }
                    Err(fault) => return Heard::Done(Err(fault)),
                },
                Some(code) if is_empty && self.before + end <= LONGEST_HEADER => {
                    let mut header = std::mem::take(bytes);
                    let rest = header.split_off(end);
                    return self.header(code, &header, &rest);
                }
                Some(_) => {}
            }
        }
        if self.before + bytes.len() >= LONGEST_HEADER {
            let what = format!("answers with a header of more than {LONGEST_HEADER} bytes");
            return Heard::Done(Err(Fault::Foreign { what }));
        }
        Heard::More
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Part::Body(body) = &mut self.part else { return Err(Fault::Closed { step: Step::Answer }) };
        match (body.end(), &self.ask.match_body) {
            (Err(Fault::Mismatch { .. }), Some(wanted)) => Err(self.mismatch("body", wanted)),
            (ended, _) => ended,
        }
    }
}

/// What is clear from the first bytes already.
fn foreign_start(bytes: &[u8]) -> Option<Fault> {
    const START: &[u8] = b"HTTP/";
    let blanks = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let bytes = bytes.get(blanks..).unwrap_or_default();
    if bytes.iter().zip(START).all(|(byte, wanted)| byte == wanted) {
        return None;
    }
    let what = match bytes {
        [0x15, 0x03, ..] => "does not answer in HTTP but in TLS: HTTPS is to be spoken here".to_owned(),
        _ => format!("does not answer in HTTP: it begins with {}", text::start(bytes)),
    };
    Some(Fault::Foreign { what })
}

/// The code of a status line.
fn status(line: &[u8]) -> Result<u16, Fault> {
    // What follows the code is for people, and may be anything.
    let words = line.trim_ascii_end().splitn(3, |byte| *byte == b' ').take(2).collect::<Vec<_>>();
    let lone = [&words.join(&b' '), b"\r\n\r\n".as_slice()].concat();
    let mut response = Response::new(&mut []);
    match (response.parse(&lone), response.code) {
        (Ok(Status::Complete(_)), Some(code)) => Ok(code),
        (Ok(_) | Err(_), _) => {
            Err(Fault::Foreign { what: format!("does not answer in HTTP: it begins with {}", text::start(line)) })
        }
    }
}

/// How the end of the body is told.
fn framing(header: &[u8]) -> Result<Framing, Fault> {
    match framing_of(header, USUAL_HEADERS) {
        Err(httparse::Error::TooManyHeaders) => framing_of(header, MOST_HEADERS),
        framing => framing,
    }
    .map_err(|error| Fault::Foreign { what: format!("answers with headers that are none: {error}") })
}

fn framing_of(header: &[u8], most: usize) -> Result<Framing, httparse::Error> {
    let mut headers = vec![EMPTY_HEADER; most];
    let mut response = Response::new(&mut headers);
    // Strictness is for those who hand on what they read. Here it would only find faults with servers that work.
    let mut lenient = ParserConfig::default();
    lenient
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    lenient.parse_response(&mut response, header)?;
    let value = |name: &str| {
        let of_name = response.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        of_name.map(|header| header.value.trim_ascii()).next_back()
    };
    let chunked = value("Transfer-Encoding").is_some_and(|value| {
        value
            .split(|byte| *byte == b',')
            .next_back()
            .is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked"))
    });
    let length = || value("Content-Length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    Ok(if chunked { Framing::Chunked } else { length().map_or(Framing::UntilEnd, Framing::Length) })
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
