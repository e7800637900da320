//! Pieces of a line that know where they stand.

use crate::pfile::{AbsolutePath, Check, Place, Problem, bytes::quoted};

/// A piece of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) bytes: &'a [u8],
    start: usize,
}

impl<'a> Field<'a> {
    pub(super) const fn new(bytes: &'a [u8], start: usize) -> Self {
        Self { bytes, start }
    }

    pub(super) const fn place(self) -> Place {
        Place { start: self.start, end: self.start + self.bytes.len() }
    }

    /// The first bytes, and what follows them.
    pub(super) fn split_at(self, length: usize) -> (Self, Self) {
        match self.bytes.split_at_checked(length) {
            Some((before, after)) => (Self::new(before, self.start), Self::new(after, self.start + length)),
            None => (self, Self::new(&[], self.start + self.bytes.len())),
        }
    }

    pub(super) fn trim_start(self) -> Self {
        let blanks = self.bytes.iter().take_while(|byte| is_blank(byte)).count();
        self.split_at(blanks).1
    }

    /// Without blanks at both ends.
    pub(super) fn trim(self) -> Self {
        let blanks = self.bytes.iter().rev().take_while(|byte| is_blank(byte)).count();
        self.split_at(self.bytes.len() - blanks).0.trim_start()
    }

    /// Up to the first blank, and what follows the blanks.
    pub(super) fn split_word(self) -> (Self, Self) {
        let length = self.bytes.iter().position(is_blank).unwrap_or(self.bytes.len());
        let (word, rest) = self.split_at(length);
        (word, rest.trim_start())
    }

    /// The pieces between separators.
    pub(super) fn split(self, separator: u8) -> impl Iterator<Item = Self> {
        let mut start = self.start;
        self.bytes.split(move |byte| *byte == separator).map(move |bytes| {
            let field = Self::new(bytes, start);
            start += bytes.len() + 1;
            field
        })
    }

    /// What stands before and after the first separator.
    pub(super) fn split_once(self, separator: u8) -> Option<(Self, Self)> {
        let length = self.bytes.iter().position(|byte| *byte == separator)?;
        let (before, after) = self.split_at(length);
        Some((before, after.split_at(1).1))
    }

    pub(super) fn is(self, text: &str) -> bool {
        self.bytes == text.as_bytes()
    }

    pub(super) fn quoted(self) -> String {
        quoted(self.bytes)
    }

    /// A number in decimal digits.
    pub(super) fn number(self, what: &str) -> Result<u32, Problem> {
        let digits = str::from_utf8(self.bytes).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
            let message = match self.bytes {
                [] => format!("{what} is empty"),
                _ => format!("{what} is {}, not a number", self.quoted()),
            };
            self.problem(Check::InvalidValue, message)
                .hint(format!("a number is written in decimal digits, and at most {}", u32::MAX))
        })
    }

    /// An absolute path.
    pub(super) fn absolute_path(self, what: &str) -> Result<AbsolutePath, Problem> {
        AbsolutePath::new(self.bytes).ok_or_else(|| match self.bytes {
            [] => self.problem(Check::MissingField, format!("{what} is empty")),
            _ => self
                .problem(Check::RelativePath, format!("{what} {} is not an absolute path", self.quoted()))
                .hint("it has to begin with `/`"),
        })
    }

    pub(super) fn problem(self, check: Check, message: impl Into<String>) -> Problem {
        Problem::new(check, self.place(), message)
    }
}

pub(super) const fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The known word that somebody may have meant.
pub(super) fn nearest<'a>(word: &[u8], known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nothing that is known is longer, and comparing takes time that grows with the square of the length.
    const LONGEST: usize = 40;
    let word = str::from_utf8(word).ok().filter(|word| !word.is_empty() && word.len() <= LONGEST)?.to_ascii_lowercase();
    let tolerance = |known: &str| known.len().max(3) / 3;
    known
        .into_iter()
        .filter(|known| known.len().abs_diff(word.len()) <= tolerance(known))
        .map(|known| (strsim::osa_distance(&word, &known.to_ascii_lowercase()), known))
        .filter(|(distance, known)| *distance <= tolerance(known))
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_know_their_places() {
        let field = Field::new(b"  a : bc", 10);
        let pieces: Vec<_> = field.split(b':').map(|piece| (piece.trim().bytes, piece.trim().place().start)).collect();
        assert_eq!(pieces, [(&b"a"[..], 12), (b"bc", 16)]);
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        let number = |text: &'static str| Field::new(text.as_bytes(), 0).number("the number").ok();
        assert_eq!([number("0"), number("007"), number("4294967295")], [Some(0), Some(7), Some(u32::MAX)]);
        assert_eq!([number(""), number("+5"), number("5s"), number("4294967296"), number("-1")], [None; 5]);
    }

    #[test]
    fn the_nearest_known_word_is_near() {
        let known = ["continue", "exit", "shutdown"];
        assert_eq!(nearest(b"EXIT", known), Some("exit"));
        assert_eq!(nearest(b"shutdwon", known), Some("shutdown"));
        assert_eq!(nearest(b"reboot", known), None);
    }
}
