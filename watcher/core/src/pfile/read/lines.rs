//! What is wrong with lines before anything is made of them: how they end, and what must not be in them.

use super::{Check, Field, Place, Problem, Reader, field::is_blank};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

impl<'a> Reader<'a> {
    pub(super) fn without_byte_order_mark(&mut self, mut text: Field<'a>) -> Field<'a> {
        // Editors that add one do so each time.
        while text.bytes.starts_with(BYTE_ORDER_MARK) {
            let (mark, rest) = text.split_at(BYTE_ORDER_MARK.len());
            let problem = mark
                .problem(
                    Check::ByteOrderMark,
                    "the file begins with a byte order mark, which the original may not skip",
                )
                .hint("save it without one")
                .repair(mark.place(), "");
            self.tell(problem);
            text = rest;
        }
        if UTF_16_MARKS.iter().any(|mark| text.bytes.starts_with(mark)) {
            let (mark, rest) = text.split_at(2);
            self.tell(
                mark.problem(Check::InvalidValue, "this file is in UTF-16, which pcheck cannot read")
                    .hint("save it as UTF-8"),
            );
            return rest.split_at(rest.bytes.len()).1;
        }
        text
    }

    /// A line without what ends it; `None` when nothing can be made of it.
    pub(super) fn clean(&mut self, line: Field<'a>) -> Option<Field<'a>> {
        if let Some(offset) = line.bytes.iter().position(|byte| *byte == 0) {
            let nul = line.split_at(offset).1.split_at(1).0;
            self.tell(nul.problem(Check::NulByte, "a byte of value zero in the line").hint("a pfile is a text file"));
            return None;
        }
        let returns = line.bytes.iter().rev().take_while(|byte| **byte == b'\r').count();
        if returns > 0 {
            self.carriage_returns.push(line.split_at(line.bytes.len() - returns).1.place());
        }
        let ended = line.bytes.iter().rev().take_while(|byte| is_blank(byte) || **byte == b'\r').count();
        let (line, _) = line.split_at(line.bytes.len() - ended);
        let is_comment = line.trim_start().bytes.starts_with(b"#");
        let control = line.bytes.iter().position(|byte| byte.is_ascii_control() && *byte != b'\t');
        match control {
            Some(offset) if !is_comment => {
                let control = line.split_at(offset).1.split_at(1).0;
                let message = format!("a control character ({}) in the line", control.quoted());
                self.tell(control.problem(Check::ControlCharacter, message).hint("take it out"));
                None
            }
            Some(_) | None => Some(line),
        }
    }

    /// One problem for all of them: who has one has many.
    pub(super) fn tell_of_carriage_returns(&mut self) {
        let places = std::mem::take(&mut self.carriage_returns);
        let Some(first) = places.first().copied() else { return };
        let lines = if places.len() == 1 { "1 line ends".to_owned() } else { format!("{} lines end", places.len()) };
        let message = format!("{lines} in CR LF, as on Windows; the original may not accept that");
        let mut problem = Problem::new(Check::Crlf, first, message).hint("save the file with LF line ends");
        for place in places {
            problem = problem.repair(Place { start: place.start, end: place.end }, "");
        }
        // It belongs to the file, not to the entry that happens to be the last one.
        self.problems.push(problem);
    }
}
