//! The only place that prints: data on standard output, talk on standard error.

use std::io::{self, Write as _};

use serde::Serialize;

/// Says something to the operator.
pub(super) fn say(sentence: &str) {
    // If standard error is gone there is nobody left to tell.
    let _told = writeln!(io::stderr(), "watcher: {sentence}");
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
    writeln!(io::stdout(), "{text}")
}

/// Prints a value as one line of JSON.
pub(super) fn json_line(value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    io::stdout().write_all(text.as_bytes())
}

/// Prints a value as JSON for reading.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    io::stdout().write_all(text.as_bytes())
}
