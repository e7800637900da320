//! Signals to this process → the operator's intent. Nobody else sees signal numbers.

use std::io;

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
