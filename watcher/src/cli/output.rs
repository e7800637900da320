//! The only place that prints: data on standard output, talk on standard error.

use std::io::{self, Write as _};

use serde::Serialize;

/// Says something to the operator.
pub(super) fn say(sentence: &str) {
    say_as("watcher", sentence);
}

/// The same, by the name of the command that it comes from.
pub(super) fn say_as(name: &str, sentence: &str) {
    // If standard error is gone there is nobody left to tell.
    let _told = writeln!(io::stderr(), "{name}: {}", harmless(sentence));
}

/// Text from outside as it may be shown on a terminal: what is not printable (control characters, changes of direction) is
/// spelt out, so that a process cannot forge lines by its name.
pub(super) fn harmless(text: &str) -> String {
    let shown = |character: char| match character {
        plain @ ('"' | '\'' | '\\') => plain.to_string(),
        other => other.escape_debug().to_string(),
    };
    text.chars().map(shown).collect()
}

/// Shows a diagnostic, which begins with its place and goes over several lines, to the operator.
pub(super) fn complain(diagnostic: &str) {
    // If standard error is gone there is nobody left to tell.
    let _told = writeln!(io::stderr(), "{diagnostic}");
}

/// Asks the operator and waits for a line; `None` at the end of input.
pub(super) fn ask(question: &str) -> io::Result<Option<String>> {
    write!(io::stderr(), "{question}")?;
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer)?;
    Ok((read > 0).then(|| answer.trim().to_owned()))
}

/// Prints a line of text.
pub(super) fn line(text: &str) -> io::Result<()> {
    write(&format!("{text}\n"))
}

/// Prints a value as one line of JSON.
pub(super) fn json_line(value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    write(&text)
}

/// Prints a value as JSON for reading.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    write(&text)
}

fn write(text: &str) -> io::Result<()> {
    bytes(text.as_bytes())
}

/// Prints bytes as they are: names of files and processes need not be text.
pub(super) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| io::Error::new(error.kind(), format!("standard output cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelt_out() {
        assert_eq!(harmless("a\n1 b\u{1b}[31m é"), "a\\n1 b\\u{1b}[31m é");
        assert_eq!(harmless("it's \"so\" \u{202e}\u{2028}"), "it's \"so\" \\u{202e}\\u{2028}");
    }
}
