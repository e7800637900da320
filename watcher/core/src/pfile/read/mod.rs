//! From text to values. All mistakes of a file are told, each in its place; a line with a mistake spoils no other.

mod block;
mod block_line;
mod entry;
mod extension;
mod field;
mod lines;
mod option;
mod param;

use std::collections::BTreeMap;

use field::Field;

use super::{Allowed, Check, Entry, EntryNumber, Extension, Pfile, Place, Placed, Problem, Severity, bytes::quoted};

/// What was made of a file.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What the file says; nothing when there is an error.
    pub pfile: Option<Pfile>,
    /// Everything that is wrong, in order, without the lints that the file allows.
    pub problems: Vec<Problem>,
    /// The lints that the file allows.
    pub allowed: Allowed,
}

/// What to do about options that are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownOptions {
    /// Keep them, with a warning.
    Keep,
    /// They are errors.
    #[default]
    Refuse,
}

/// Reads a pfile.
#[must_use]
pub fn read(text: &[u8], unknown_options: UnknownOptions) -> Reading {
    let mut reader = Reader { unknown_options, text_length: text.len(), ..Reader::default() };
    let text = reader.without_byte_order_mark(Field::new(text, 0));
    for line in text.split(b'\n') {
        reader.line(line);
    }
    reader.finish()
}

/// Who owns what comes next.
#[derive(Clone, Copy, Debug, Default)]
enum Owner {
    /// The file: there was no entry yet.
    #[default]
    File,
    /// The last entry.
    Entry,
    /// An entry with a mistake in its line.
    SpoiltEntry,
}

#[derive(Default)]
struct Reader<'a> {
    unknown_options: UnknownOptions,
    text_length: usize,
    param: param::Draft,
    entries: Vec<Placed<Entry>>,
    extensions: Vec<Placed<Extension>>,
    owner: Owner,
    /// Entries so far, also those with mistakes: the number of the last one.
    count: usize,
    /// Extensions of the file, or of the last entry, and where each stands first.
    seen_extensions: BTreeMap<&'static str, Place>,
    block: Option<block::OpenBlock<'a>>,
    carriage_returns: Vec<Place>,
    /// The line before was a comment that ends in `:`.
    comment_goes_on: bool,
    problems: Vec<Problem>,
    allowed: Allowed,
}

impl<'a> Reader<'a> {
    /// Tells of a problem, in the entry that the reader is at.
    fn tell(&mut self, mut problem: Problem) {
        problem.entry = self.current();
        self.problems.push(problem);
    }

    fn current(&self) -> Option<EntryNumber> {
        self.count.checked_sub(1).map(EntryNumber::of_index)
    }

    /// The value, or `None` after its problem was told.
    fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problem) => {
                self.tell(problem);
                None
            }
        }
    }

    fn line(&mut self, line: Field<'a>) {
        let Some(line) = self.clean(line) else { return self.block_line_ends() };
        let content = line.trim_start();
        let comment_goes_on = std::mem::take(&mut self.comment_goes_on);
        match content.bytes {
            // Only the very next line goes on with a line that was broken in two.
            [] => self.block_line_ends(),
            [b'#', rest @ ..] => {
                self.block_line_ends();
                self.comment_goes_on = rest.ends_with(b":");
                if extension::is_extension(rest) {
                    self.extension_line(content.split_at(2).1);
                } else if let Some(key) = extension::glued(rest) {
                    let message = format!("this is only a comment, since no blank stands before `{key}`");
                    let problem = content.problem(Check::GluedExtension, message);
                    self.tell(problem.hint(format!("write `#@ {key}=…` if it is meant for watcher")));
                }
            }
            [b'<', ..] if comment_goes_on && content.place() != line.place() => {
                let problem = content
                    .problem(Check::WrappedComment, "this is the rest of the comment above, broken off in print")
                    .hint("put a `#` before it")
                    .repair(Place { start: line.place().start, end: line.place().start }, "#");
                self.tell(problem);
                self.comment_goes_on = content.bytes.ends_with(b":");
            }
            _ => self.rule_line(content),
        }
    }

    fn rule_line(&mut self, content: Field<'a>) {
        let looks_like_entry = content.bytes.starts_with(b"/");
        if self.block.is_some() && !looks_like_entry && !content.bytes.starts_with(b"_bi_") {
            return self.block_content(content);
        }
        self.block_cut_off();
        let (word, rest) = content.split_word();
        match content.bytes {
            [b'_', b'b', b'i', b'_', ..] => self.open_block(content),
            [b'}', ..] | [b'{', ..] => self
                .tell(content.problem(Check::StrayLine, format!("{} stands outside of any block", content.quoted()))),
            [b'P', b'S', b'_', ..] => self.tell(
                content
                    .problem(Check::StrayLine, format!("{} stands outside of any block", word.quoted()))
                    .hint("it belongs between `_bi_…{` and `}`, after an entry"),
            ),
            _ if looks_like_entry || is_entry(content) => self.entry_line(content),
            _ => self.param_line(word, rest),
        }
    }

    fn finish(mut self) -> Reading {
        self.block_cut_off();
        self.tell_of_carriage_returns();
        let count = std::mem::take(&mut self.count);
        if count == 0 {
            let end = Place { start: self.text_length, end: self.text_length };
            let problem = Problem::new(Check::NoEntries, end, "this file has no entries: it watches nothing")
                .hint("an entry is PROCESS:SCRIPT:GRACE:RETRIES:ACTION, with absolute paths");
            self.tell(problem);
        }
        let param = std::mem::take(&mut self.param).finish();
        let param = self.take(param);
        let Self { entries, extensions, mut problems, allowed, .. } = self;
        problems.retain(|problem| allowed.tells(problem));
        problems.sort_by_key(|problem| problem.place);
        let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
        let pfile = param.filter(|_| !failed).map(|param| Pfile { param, entries, extensions });
        Reading { pfile, problems, allowed }
    }
}

/// Whether a line that does not begin with a slash is an entry all the same, with a mistake.
fn is_entry(content: Field<'_>) -> bool {
    const SEPARATORS: usize = 3;
    let (word, _) = content.split_word();
    let is_parameter = param::KEYWORDS.iter().any(|keyword| word.is(keyword));
    !is_parameter && content.bytes.iter().filter(|byte| **byte == b':').count() >= SEPARATORS
}
