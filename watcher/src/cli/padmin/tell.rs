//! What padmin itself notes in the log: that a command was executed.

use std::path::Path;

use crate::cli::{ask_args::LogChoice, output};

/// The name by which padmin logs.
const IDENT: &str = "padmin";

/// Notes an executed command, at level notice.
pub(super) fn log_executed(log: LogChoice, words: &str, pfile: &Path) {
    let message = format!("Command execute. [{words}] pfile='{}'", pfile.display());
    match log {
        LogChoice::Stderr => output::say_as(&format!("{IDENT}[{}]", std::process::id()), &message),
        LogChoice::Syslog => {}
    }
}
