//! Blocks: a name and `{`, four lines, and `}`.

use super::{
    Check, Field, Owner, Place, Placed, Problem, Reader,
    block_line::{Exec, Keyword, canonical},
    field::nearest,
};
use crate::pfile::{AfterFailedKill, StallCheck, StallKind};

/// A block that has been opened and not closed yet.
pub(super) struct OpenBlock<'a> {
    name: Field<'a>,
    /// Nothing for a block of which no sense can be made.
    kind: Option<StallKind>,
    /// A line that ends in `:`.
    unfinished: Option<BlockLine<'a>>,
    /// Which lines were seen, and where.
    seen: Vec<(Keyword, Place)>,
    exec: Option<Exec>,
    action: AfterFailedKill,
    spoilt: bool,
}

/// A line of a block, put together from the lines that it was broken into.
pub(super) struct BlockLine<'a> {
    pub(super) keyword: Keyword,
    pub(super) word: Field<'a>,
    pub(super) fields: Vec<Field<'a>>,
    /// Where it was broken: from the `:` to what follows.
    breaks: Vec<Place>,
}

impl BlockLine<'_> {
    /// From the first field to the last one.
    pub(super) fn fields_place(&self) -> Place {
        match (self.fields.first(), self.fields.last()) {
            (Some(first), Some(last)) => first.place().to(last.place()),
            _ => self.word.place().after(),
        }
    }
}

impl<'a> Reader<'a> {
    /// A line that opens a block.
    pub(super) fn open_block(&mut self, line: Field<'a>) {
        let length = line.bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let (name, rest) = line.split_at(length);
        if !rest.trim_start().is("{") {
            self.tell(
                name.problem(Check::MalformedBlock, format!("the block {} is not opened", name.quoted()))
                    .hint(format!("write {} and `{{`, and nothing else on the line", name.quoted())),
            );
        }
        let kind = self.block_kind(name);
        let mut spoilt = kind.is_none();
        if let Owner::File = self.owner {
            spoilt = true;
            self.tell(
                name.problem(Check::BlockWithoutEntry, "there is no entry before this block")
                    .hint("a block follows the entry of the process that it asks"),
            );
        }
        let action = AfterFailedKill::RetryOver;
        self.block = Some(OpenBlock { name, kind, unfinished: None, seen: Vec::new(), exec: None, action, spoilt });
    }

    fn block_kind(&mut self, name: Field<'a>) -> Option<StallKind> {
        if let Some(kind) = StallKind::ALL.into_iter().find(|kind| name.is(kind.block())) {
            return Some(kind);
        }
        let misspelt = |kind: &StallKind| kind.misspelt().is_some_and(|(block, _)| name.is(block));
        if let Some(kind) = StallKind::ALL.into_iter().find(misspelt) {
            let message =
                format!("{} is misspelt, as in the manual; it is taken for `{}`", name.quoted(), kind.block());
            self.tell(
                name.problem(Check::MisspeltBlock, message)
                    .hint(format!("write `{}`", kind.block()))
                    .repair(name.place(), kind.block()),
            );
            return Some(kind);
        }
        let names = StallKind::ALL.map(StallKind::block);
        self.tell(
            name.problem(Check::UnknownBlock, format!("{} is not a kind of block", name.quoted()))
                .suggest(nearest(name.bytes, names), format!("blocks are {}", names.join(", "))),
        );
        None
    }

    /// A line between `{` and `}`.
    pub(super) fn block_content(&mut self, content: Field<'a>) {
        let (word, rest) = content.split_word();
        match content.bytes {
            [b'}', after @ ..] => {
                self.block_line_ends();
                if !after.is_empty() {
                    let stray = content.split_at(1).1.trim_start();
                    self.tell(stray.problem(Check::StrayLine, format!("{} follows the `}}`", stray.quoted())));
                }
                return self.close_block();
            }
            [b'P', b'S', b'_', ..] => self.block_line_ends(),
            _ => {}
        }
        let Some(block) = &mut self.block else { return };
        if let Some(line) = &mut block.unfinished {
            let from = line.fields.last().unwrap_or(&line.word).place();
            // The `:` itself stays.
            line.breaks.push(Place { start: from.end + 1, end: content.place().start });
            add_fields(line, content);
        } else if let Some(keyword) = Keyword::ALL.into_iter().find(|keyword| word.is(keyword.name())) {
            let mut line = BlockLine { keyword, word, fields: Vec::new(), breaks: Vec::new() };
            add_fields(&mut line, rest);
            block.unfinished = Some(line);
        } else {
            block.spoilt = true;
            let names = Keyword::ALL.map(Keyword::name);
            self.tell(
                word.problem(Check::UnknownBlockLine, format!("{} is not a line of a block", word.quoted()))
                    .suggest(nearest(word.bytes, names), format!("lines of a block are {} and `}}`", names.join(", "))),
            );
        }
        if !content.bytes.ends_with(b":") {
            self.block_line_ends();
        }
    }

    /// The line that was being put together is complete.
    pub(super) fn block_line_ends(&mut self) {
        let Some(block) = &mut self.block else { return };
        let Some(line) = block.unfinished.take() else { return };
        let first = block.seen.iter().find(|(keyword, _)| *keyword == line.keyword).map(|(_, place)| *place);
        let kind = block.kind;
        if let Some(first) = first {
            block.spoilt = true;
            let message = format!("{} stands a second time in this block", line.word.quoted());
            self.tell(line.word.problem(Check::DuplicateBlockLine, message).related(first, "it stands here first"));
            return;
        }
        block.seen.push((line.keyword, line.word.place()));
        if let [first, ..] = line.breaks.as_slice() {
            let message = format!("{} is broken in two; the original may not join lines", line.word.quoted());
            let mut problem =
                Problem::new(Check::WrappedLine, Place { start: first.end, end: line.fields_place().end }, message)
                    .hint("write it on one line");
            for place in &line.breaks {
                problem = problem.repair(*place, "");
            }
            self.tell(problem);
        }
        // Without a kind the block has been refused already, and nobody can tell what its lines should say.
        let Some(kind) = kind else { return };
        let read = match line.keyword {
            Keyword::Exec => self.exec(kind, &line).map(|exec| (Some(exec), None)),
            Keyword::Action => self.action(kind, &line).map(|action| (None, Some(action))),
            Keyword::Init | Keyword::Quit => self.fixed(kind, &line).map(|()| (None, None)),
        };
        let read = self.take(read);
        let Some(block) = &mut self.block else { return };
        match read {
            Some((exec, action)) => {
                block.exec = exec.or_else(|| block.exec.take());
                block.action = action.unwrap_or(block.action);
            }
            None => block.spoilt = true,
        }
    }

    /// A block that another line, or the end of the file, cuts off.
    pub(super) fn block_cut_off(&mut self) {
        self.block_line_ends();
        if let Some(OpenBlock { name, .. }) = self.block.take() {
            self.tell(
                name.problem(Check::UnclosedBlock, format!("the block {} is not closed", name.quoted()))
                    .hint("write `}` on a line of its own after its last line"),
            );
        }
    }

    fn close_block(&mut self) {
        let Some(OpenBlock { name, kind, unfinished: _, seen, exec, action, spoilt }) = self.block.take() else {
            return;
        };
        let missing = Keyword::ALL.into_iter().filter(|keyword| !seen.iter().any(|(seen, _)| seen == keyword));
        let missing: Vec<_> = missing.collect();
        if missing.contains(&Keyword::Exec) && kind.is_some() {
            self.tell(
                name.problem(Check::MissingField, format!("the block {} has no `PS_EXEC`", name.quoted()))
                    .hint("that line says which port is asked, and how often"),
            );
        }
        let (Some(kind), Some(Exec { library, timing, target, after_stall }), false) = (kind, exec, spoilt) else {
            return;
        };
        if !missing.is_empty() {
            let names: Vec<_> = missing.iter().map(|keyword| format!("`{}`", keyword.name())).collect();
            let lines: Vec<_> = missing.iter().map(|keyword| canonical(*keyword, library.as_slice())).collect();
            let message = format!("the block {} has no {}, which the original wants", name.quoted(), names.join(", "));
            let hint =
                format!("add {}", lines.iter().map(|line| super::quoted(line)).collect::<Vec<_>>().join(" and "));
            self.tell(name.problem(Check::IncompleteBlock, message).hint(hint));
        }
        let check = StallCheck { kind, library, timing, target, after_stall, after_failed_kill: action };
        if let (Owner::Entry, Some(entry)) = (self.owner, self.entries.last_mut()) {
            entry.value.stall_checks.push(Placed::new(check, name.place()));
        }
    }
}

fn add_fields<'a>(line: &mut BlockLine<'a>, text: Field<'a>) {
    let goes_on = text.bytes.ends_with(b":");
    line.fields.extend(text.split(b':').map(Field::trim));
    if goes_on {
        line.fields.pop();
    }
}
