//! What padmin itself notes in the log: that a command was executed.

use std::{path::Path, time::Duration};

use watcher_core::Level;

use crate::{
    cli::{ask_args::LogChoice, output},
    executor::log::{Log, LogTo},
};

/// How long syslog may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// The name by which padmin logs.
const IDENT: &str = "padmin";

/// Notes an executed command, at level notice.
pub(super) fn log_executed(log: LogChoice, words: &str, pfile: &Path) {
    let message = format!("Command execute. [{words}] pfile='{}'", pfile.display());
    match log {
        LogChoice::Stderr => output::say_as(&format!("{IDENT}[{}]", std::process::id()), &message),
        LogChoice::Syslog => {
            let mut log = Log::open(LogTo::Syslog, IDENT);
            log.tell(Level::Notice, message.as_bytes());
            log.flush(PATIENCE);
        }
    }
}
