//! Wiring of `watcher reboot-guard`: log, signals, a pcheck; then the loop.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::runtime::Builder;
use watcher_core::reboot::Limits;

use crate::{
    engine::guard::{self, Finish, Parts},
    executor::{
        log::{Log, LogTo},
        reboots::Reboots,
        wards::{self, Ends},
    },
    sources::os_signals::OsSignals,
    sys::heap,
};

/// What it is told on the command line.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The options of its pcheck.
    pub pcheck: Vec<OsString>,
    /// With which code that ends when it gives up.
    pub gave_up: u8,
    /// Where reboots are counted.
    pub reboots: PathBuf,
    /// How many there may be.
    pub limits: Limits,
    /// How long a reboot can be called off.
    pub grace: Duration,
    /// What reboots the host.
    pub command: OsString,
    /// It is only said.
    pub dry_run: bool,
    /// Where messages go.
    pub log: LogTo,
}

/// Runs a pcheck, and reboots the host when that gives up.
///
/// # Errors
/// When none can be run.
pub fn run(pfile: &Path, settings: Settings) -> io::Result<Finish> {
    let Settings { pcheck, gave_up, reboots, limits, grace, command, dry_run, log } = settings;
    heap::share();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before there is a child: from here on signals are events.
        let (signals, ends) = (OsSignals::listen_as_daemon()?, Ends::listen()?);
        let own = [OsString::from("pcheck"), OsString::from("-f"), pfile.into()];
        let ward = wards::same_program(own.into_iter().chain(pcheck))?;
        let (pfile, reboots) = (pfile.to_owned(), Reboots::at(reboots));
        let log = Log::open(log, "reboot-guard");
        let parts = Parts { pfile, gave_up, reboots, limits, grace, command, dry_run, log, signals, ends };
        Ok(guard::run(parts, ward).await)
    })
}
