//! Signals to this process → the operator's intent. Nobody else sees signal numbers.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::flag;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use watcher_core::{Event, Signal};

/// The signals that this process listens to.
#[derive(Debug)]
pub struct OsSignals {
    hangup: Stream,
    interrupt: Stream,
    terminate: Stream,
}

impl OsSignals {
    /// # Errors
    /// When a handler cannot be installed.
    pub fn listen() -> io::Result<Self> {
        second_one_kills()?;
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Event {
        let signal = tokio::select! {
            _ = self.hangup.recv() => libc::SIGHUP,
            _ = self.interrupt.recv() => libc::SIGINT,
            _ = self.terminate.recv() => libc::SIGTERM,
        };
        Event::Stop { signal: Signal(signal as u8) }
    }
}

/// The first signal asks; a second one ends the process at once, even while it waits for something that never comes, such
/// as a reader of its lines.
fn second_one_kills() -> io::Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        flag::register_conditional_default(signal, Arc::clone(&asked))?;
    }
    // Set after the first one was judged: handlers run in the order in which they were registered.
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        flag::register(signal, Arc::clone(&asked))?;
    }
    Ok(())
}
