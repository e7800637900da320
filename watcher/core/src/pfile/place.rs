//! Where something stands in a file.

/// A stretch of a file, in bytes: from `start` up to, and without, `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// First byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl Place {
    /// From the start of this to the end of `other`.
    #[must_use]
    pub const fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }

    /// The point right after it.
    #[must_use]
    pub const fn after(self) -> Self {
        Self { start: self.end, end: self.end }
    }
}

/// A value and where it was read. Two of them are equal when their values are, wherever they stand.
#[derive(Clone, Copy, Debug)]
pub struct Placed<T> {
    /// What was read.
    pub value: T,
    /// Where.
    pub place: Place,
}

impl<T> Placed<T> {
    pub(crate) const fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }
}

impl<T: PartialEq> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Placed<T> {}

/// A line and a column, both counted from 1. Columns count bytes: the encoding of a pfile is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Byte in the line.
    pub column: usize,
}

/// Where the lines of a file begin, to find positions quickly.
#[derive(Clone, Debug)]
pub struct Lines {
    starts: Vec<usize>,
    length: usize,
}

impl Lines {
    /// Of this text.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let after_breaks = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(offset, _)| offset + 1);
        Self { starts: std::iter::once(0).chain(after_breaks).collect(), length: text.len() }
    }

    /// Line and column of a byte.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied().unwrap_or(0);
        Position { line, column: offset.saturating_sub(start) + 1 }
    }

    /// The whole of a line, without its line feed.
    #[must_use]
    pub fn line(&self, number: usize) -> Place {
        let start = number.checked_sub(1).and_then(|index| self.starts.get(index)).copied().unwrap_or(self.length);
        let end = self.starts.get(number).map_or(self.length, |next| next - 1);
        Place { start, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        let lines = Lines::of(b"ab\n\ncd");
        let at = |offset| {
            let Position { line, column } = lines.position(offset);
            (line, column)
        };
        assert_eq!([at(0), at(2), at(3), at(4), at(6)], [(1, 1), (1, 3), (2, 1), (3, 1), (3, 3)]);
        assert_eq!(lines.line(1), Place { start: 0, end: 2 });
        assert_eq!(lines.line(2), Place { start: 3, end: 3 });
        assert_eq!(lines.line(3), Place { start: 4, end: 6 });
    }
}
