//! The control socket: what padmin and other commands ask a running pcheck, and what it answers. One request a connection,
//! lines of JSON. The server hands requests to the engine and never judges them.

mod answer;
pub mod client;
mod connection;
mod doors;
mod ear;
mod ended;
pub mod join;
mod metrics;
mod protocol;
mod server;
mod status;
mod view;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use answer::{Making, Reply, Who};
pub use doors::Doors;
pub use ended::Ended;
pub use metrics::{Metrics, PfileMetrics, Place};
pub use protocol::Command;
pub use server::{Bounds, Request, Server};
pub use status::{
    EventsLine, Process, ProcessLine, Programs, ProgramsLine, RecoveryLine, RefusedLine, ScriptsLine, Status,
    StatusLine, Unwatched, UnwatchedLine, WhyNot,
};
pub use view::{EntryLine, MonitorLine, ParamLine, StallLine, WhoLine};

/// A line of JSON that was made once, for whoever wants it; without its line feed.
pub type Line = Arc<str>;

/// Where running pchecks are found unless another folder is named.
pub const RUN_DIR: &str = "/run/watcher";

/// Name of the socket in the folder of a pcheck.
const SOCKET: &str = "control";

/// The folder of the pcheck that has this `IPCKEY`.
#[must_use]
pub fn folder(run_dir: &Path, ipc_key: u32) -> PathBuf {
    run_dir.join(format!("{ipc_key:08x}"))
}

/// The control socket in the folder of a pcheck.
#[must_use]
pub fn socket(folder: &Path) -> PathBuf {
    folder.join(SOCKET)
}

/// Every control socket there is, in order; some may be left over from a pcheck that was killed.
///
/// # Errors
/// When the folder is there and cannot be read.
pub fn sockets(run_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let folders = match fs::read_dir(run_dir) {
        Ok(folders) => folders,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut sockets = Vec::new();
    for entry in folders {
        sockets.push(socket(&entry?.path()));
    }
    // Whose folder may not be looked into stays in the list: that it is there is worth telling.
    sockets.retain(|socket| !matches!(fs::symlink_metadata(socket), Err(error) if is_absent(&error)));
    sockets.sort();
    Ok(sockets)
}

/// Whether there is no such file, or a part of its path is no folder.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
