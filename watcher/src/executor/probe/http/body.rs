//! The body of an answer, in which something is looked for.

use httparse::Status;
use watcher_core::{
    pfile::Bytes,
    probe::{Fault, Step},
};

use crate::executor::probe::wire::Heard;

/// So much of a body is looked at.
const LONGEST_BODY: u64 = 64 * 1024;
/// What the pieces of a body may cost beside.
const LONGEST_RAW: u64 = 4 * LONGEST_BODY;
/// The line before a piece: a number, and what hardly anybody says.
const LONGEST_SIZE: usize = 1024;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// In pieces that tell their length.
    Chunked,
    /// By its length.
    Length(u64),
    /// By the end of the connection.
    UntilEnd,
}

/// A body, as far as it has come.
#[derive(Debug)]
pub(super) struct Body {
    wanted: Bytes,
    /// The last bytes: what is looked for may begin in them.
    tail: Vec<u8>,
    /// Bytes of the body.
    seen: u64,
    /// Bytes of the answer.
    raw: u64,
    at: At,
}

#[derive(Debug)]
enum At {
    /// In a piece, of which so much is to come; what there is in `Length` and `UntilEnd` is one piece.
    Piece { left: u64, chunked: bool },
    /// In the line break after a piece, or in the line before the next one.
    Size(Vec<u8>),
    /// As long as the connection.
    UntilEnd,
}

impl Body {
    pub(super) fn new(framing: Framing, wanted: &Bytes) -> Self {
        let at = match framing {
            Framing::Chunked => At::Size(Vec::new()),
            Framing::Length(left) => At::Piece { left, chunked: false },
            Framing::UntilEnd => At::UntilEnd,
        };
        Self { wanted: wanted.clone(), tail: Vec::new(), seen: 0, raw: 0, at }
    }

    /// What of it tells something. A mismatch is worded by whoever knows the rest of the answer.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Heard {
        self.raw = self.raw.saturating_add(bytes.len() as u64);
        let mut rest = bytes;
        // An empty body ends without another byte.
        while !rest.is_empty() || matches!(self.at, At::Piece { left: 0, .. }) {
            match &mut self.at {
                At::UntilEnd => {
                    let piece = std::mem::take(&mut rest);
                    if self.find(piece) {
                        return Heard::Done(Ok(()));
                    }
                }
                At::Piece { left: 0, chunked: true } => self.at = At::Size(Vec::new()),
                At::Piece { left: 0, chunked: false } => return absent(),
                At::Piece { left, chunked: _ } => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    let (piece, after) = rest.split_at(most);
                    *left -= piece.len() as u64;
                    rest = after;
                    if self.find(piece) {
                        return Heard::Done(Ok(()));
                    }
                }
                At::Size(line) => {
                    let Some((byte, after)) = rest.split_first() else { break };
                    rest = after;
                    // The line break that ends the piece before.
                    if line.is_empty() && matches!(byte, b'\r' | b'\n') {
                        continue;
                    }
                    line.push(*byte);
                    if *byte != b'\n' && line.len() < LONGEST_SIZE {
                        continue;
                    }
                    match size(line) {
                        Some(0) => return absent(),
                        Some(left) => self.at = At::Piece { left, chunked: true },
                        None => {
                            let what = "answers with a body whose pieces do not tell their length".to_owned();
                            return Heard::Done(Err(Fault::Foreign { what }));
                        }
                    }
                }
            }
        }
        if self.seen >= LONGEST_BODY || self.raw >= LONGEST_RAW { absent() } else { Heard::More }
    }

    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.at {
            At::UntilEnd => Err(Fault::Mismatch { what: String::new() }),
            At::Piece { .. } | At::Size(_) => Err(Fault::Closed { step: Step::Answer }),
        }
    }

    /// Whether what is looked for ends in this piece.
    fn find(&mut self, piece: &[u8]) -> bool {
        let wanted = self.wanted.as_slice();
        let most = usize::try_from(LONGEST_BODY.saturating_sub(self.seen)).unwrap_or(usize::MAX);
        self.seen = self.seen.saturating_add(piece.len() as u64);
        self.tail.extend(piece.iter().take(most));
        if memchr::memmem::find(&self.tail, wanted).is_some() {
            return true;
        }
        let known = self.tail.len().saturating_sub(wanted.len().saturating_sub(1));
        self.tail.drain(..known);
        false
    }
}

fn size(line: &[u8]) -> Option<u64> {
    // Some servers end it with a mere line feed, which is no reason to call them dead.
    let line = [line.trim_ascii_end(), b"\r\n"].concat();
    match httparse::parse_chunk_size(&line) {
        Ok(Status::Complete((_, size))) => Some(size),
        Ok(Status::Partial) | Err(_) => None,
    }
}

const fn absent() -> Heard {
    Heard::Done(Err(Fault::Mismatch { what: String::new() }))
}
