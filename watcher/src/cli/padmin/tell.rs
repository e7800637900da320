//! What padmin itself notes in the log: that a command was executed.

use std::{os::unix::ffi::OsStrExt as _, path::Path, time::Duration};

use watcher_core::Level;

use crate::executor::log::{Log, LogTo};

/// The name by which padmin logs.
const IDENT: &str = "padmin";

/// How long a log that is not there, or slow, is waited for: the operator waits as well.
const LIMIT: Duration = Duration::from_millis(50);

/// Notes an executed command.
pub(super) fn log_executed(to: LogTo, words: &str, pfile: &Path) {
    let begin = format!("Command execute. [{words}] pfile='");
    let mut log = Log::open(to, IDENT).for_once();
    log.tell(Level::Notice, &[begin.as_bytes(), pfile.as_os_str().as_bytes(), b"'"].concat());
    log.flush(LIMIT);
}
