//! Wiring of `clp_httpmon` and `clp_smtpmon`: record, control, log; then the loop.

use std::{io, path::PathBuf, sync::Arc};

use tokio::runtime::{Builder, Runtime};
use watcher_core::{
    monitor::{Finish, Id, Kind, Note, Plan},
    probe::Ask,
};

use super::privileges;
use crate::{
    control::{Bounds, Server},
    engine::monitor::{self, Parts},
    executor::{
        log::{Log, LogTo},
        probe::Attempt,
        record::{Claimed, RecordError},
    },
    sources::os_signals::OsSignals,
    sys::heap,
};

/// What a monitor is told on its command line.
#[derive(Clone, Debug)]
pub struct Settings {
    /// By HTTP or SMTP.
    pub kind: Kind,
    /// By which identifier.
    pub id: Id,
    /// When to ask, and how often in vain.
    pub plan: Plan,
    /// What is asked.
    pub ask: Ask,
    /// Where folders of records are.
    pub root: PathBuf,
    /// Where messages go.
    pub log: LogTo,
    /// The options in force, for the record.
    pub options: serde_json::Value,
}

/// Why nothing is monitored.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Its message.
    pub note: Note,
    /// What is wrong, and what to do.
    pub sentence: String,
}

impl Failed {
    fn system(call: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::of_call(call, &error, error.to_string())
    }

    fn of_call(call: &'static str, error: &io::Error, sentence: String) -> Self {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let errno = error.raw_os_error().unwrap_or(if missing { libc::ENOENT } else { libc::EPERM });
        Self { note: Note::System { call, errno }, sentence }
    }
}

impl From<RecordError> for Failed {
    fn from(error: RecordError) -> Self {
        let sentence = error.to_string();
        match error {
            RecordError::InUse(_) => Self { note: Note::IdInUse, sentence },
            RecordError::Unusable { folder: _, call, why } => Self::of_call(call, &why, sentence),
        }
    }
}

/// Monitors a service until the operator, or the service, ends it.
///
/// # Errors
/// When nothing can be monitored. The log has not been told.
pub fn run(settings: Settings) -> Result<Finish, Failed> {
    let Settings { kind, id, plan, ask, root, log, options } = settings;
    // Before there are threads.
    heap::share();
    let runtime = runtime().map_err(Failed::system("epoll_create"))?;
    let finish = runtime.block_on(async {
        // Before anything is taken: from here on signals are events.
        let signals = OsSignals::listen_as_daemon().map_err(Failed::system("sigaction"))?;
        let claimed = Claimed::new(&root, kind.command(), &id, options)?;
        let bounds = Bounds { name: kind.command(), ..Bounds::default() };
        let control = Server::bind_within(&claimed.control(), bounds).map_err(Failed::system("bind"))?;
        privileges::keep_for_asking();
        let log = Log::open(log, kind.command());
        let finish = monitor::run(Parts { kind, id, plan, ask: Arc::new(ask), log, signals, control }).await;
        // Whoever starts another one now finds the identifier free.
        drop(claimed);
        Ok(finish)
    });
    // A resolver that still looks for something is not waited for.
    runtime.shutdown_background();
    finish
}

/// Asks once.
///
/// # Errors
/// When nobody can be asked.
pub fn once(ask: Ask) -> io::Result<Attempt> {
    let runtime = runtime()?;
    let attempt = runtime.block_on(monitor::once(ask));
    runtime.shutdown_background();
    Ok(attempt)
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
