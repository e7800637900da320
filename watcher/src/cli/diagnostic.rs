//! A problem as a compiler would show it: where, what, the line with the place underlined, and what to do.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};
use watcher_core::pfile::{Place, Position, Problem};

use crate::check::Checked;

/// How many bytes are shown before and after the place, where a line is longer.
const AROUND: usize = 100;

/// The problem in several lines, the first of which begins with `FILE:LINE:COLUMN: `.
pub(super) fn render(file: &Checked, problem: &Problem) -> String {
    let Problem { check, severity, place, entry: _, message, hint, related, edits: _ } = problem;
    let name = visible(file.name.as_bytes());
    let Position { line, column } = file.position(place.start);
    let mut text = format!("{name}:{line}:{column}: {}: {message} [{check}]", severity.name());
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let (shown, underline) = excerpt(file, line, *place);
    // Writing to a string cannot fail.
    let _written = write!(text, "\n {number} | {shown}\n {margin} | {underline}");
    if let Some(hint) = hint {
        let _written = write!(text, "\n {margin} = hint: {hint}");
    }
    if let Some(related) = related {
        let Position { line, column } = file.position(related.place.start);
        let _written = write!(text, "\n {margin} = note: {name}:{line}:{column}: {}", related.note);
    }
    text
}

/// The line, or what fits of it, and marks below the place.
fn excerpt(file: &Checked, line: usize, place: Place) -> (String, String) {
    let whole = file.lines.line(line);
    let from = place.start.saturating_sub(AROUND).max(whole.start).min(whole.end);
    let until = place.start.saturating_add(AROUND).clamp(from, whole.end);
    let end = place.end.clamp(place.start.min(until), until);
    let piece = |from, until| visible(file.text.get(from..until).unwrap_or_default());
    let (before, marked, after) =
        (piece(from, place.start.min(until)), piece(place.start.min(until), end), piece(end, until));
    let cut_before = if from > whole.start { "…" } else { "" };
    let cut_after = if until < whole.end { "…" } else { "" };
    let indent = " ".repeat(cut_before.width() + before.width());
    let marks = "^".repeat(marked.width().max(1));
    let shown = format!("{cut_before}{before}{marked}{after}{cut_after}");
    (shown.trim_end().to_owned(), format!("{indent}{marks}"))
}

/// Text without anything that would move the cursor or change a colour.
pub(super) fn visible(bytes: &[u8]) -> String {
    let show = |letter: char| match letter {
        '\t' => ' ',
        letter if letter.is_control() || letter.width().unwrap_or(0) == 0 => '\u{fffd}',
        letter => letter,
    };
    String::from_utf8_lossy(bytes).chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use watcher_core::pfile::UnknownOptions;

    use super::*;

    fn first(text: &[u8]) -> String {
        let checked = Checked::by_text("a.pfile".to_owned(), text.to_vec(), UnknownOptions::Refuse);
        render(&checked, checked.problems.first().unwrap())
    }

    #[test]
    fn the_place_is_underlined() {
        assert_eq!(
            first(b"IPCKEY 0x1\n/a:/b:86400:3:exitt\n"),
            "a.pfile:2:15: error: `exitt` is not a retry-over action [unknown-action]\n \
             2 | /a:/b:86400:3:exitt\n   |               ^^^^^\n   = hint: did you mean `exit`?"
        );
        assert_eq!(
            first("IPCKEY 0x1\n/日本:/b:86400:3:stop\n".as_bytes()).lines().nth(2),
            Some("   |                  ^^^^")
        );
    }

    #[test]
    fn other_places_are_named() {
        let shown = first(b"IPCKEY 0x1\nIPCKEY 0x2\n/a:/b:86400:3:exit\n");
        assert_eq!(shown.lines().last(), Some("   = note: a.pfile:1:1: it was given here first"));
    }

    #[test]
    fn long_lines_are_cut_and_control_characters_do_no_harm() {
        let shown = first(format!("IPCKEY 0x1\n/a:/b:{}:3:exit", "\x1b[31m9".repeat(20_000)).as_bytes());
        assert!(shown.len() < 1_000 && !shown.contains('\x1b'), "{shown}");
        let shown = first(format!("IPCKEY 0x1\n/a:/{}:1:3:no", "b".repeat(100_000)).as_bytes());
        assert!(shown.len() < 1_000 && shown.contains("…"), "{shown}");
        assert!(shown.lines().nth(2).unwrap().ends_with(" ^^"), "{shown}");
    }
}
