//! Signals to this process → the operator's intent. Nobody else sees signal numbers.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::flag;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use watcher_core::{Event, Order, Signal};

/// The signals that this process listens to.
#[derive(Debug)]
pub struct OsSignals {
    hangup: Stream,
    interrupt: Stream,
    terminate: Stream,
    /// Those that mean something only while running for long.
    user: Option<Stream>,
}

impl OsSignals {
    /// For a command that ends when it is told to, by any of them; a second one ends it at once.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn listen() -> io::Result<Self> {
        second_one_kills()?;
        Self::install(None)
    }

    /// For a daemon: SIGHUP reads the rules again, SIGUSR1 writes the dump. It ends by itself soon after the first signal
    /// that asks it to, so a second one needs no haste.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn listen_as_daemon() -> io::Result<Self> {
        // A file that has reached its limit (`ulimit -f`) is an error where it is written, and not our end.
        flag::register(libc::SIGXFSZ, Arc::default())?;
        Self::install(Some(signal(SignalKind::user_defined1())?))
    }

    fn install(user: Option<Stream>) -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            user,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Event {
        let is_daemon = self.user.is_some();
        let ordered = |order| Event::Order { request: None, order };
        let stop = |signal: i32| Event::Stop { signal: Signal(signal as u8) };
        tokio::select! {
            _ = self.hangup.recv() => if is_daemon { ordered(Order::Reload) } else { stop(libc::SIGHUP) },
            _ = self.interrupt.recv() => stop(libc::SIGINT),
            _ = self.terminate.recv() => stop(libc::SIGTERM),
            () = received(self.user.as_mut()) => ordered(Order::Dump),
        }
    }
}

async fn received(stream: Option<&mut Stream>) {
    match stream {
        Some(stream) => {
            stream.recv().await;
        }
        None => std::future::pending().await,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_daemon_survives_that_a_file_has_reached_its_limit() {
        let _signals = OsSignals::listen_as_daemon().unwrap();
        signal_hook::low_level::raise(libc::SIGXFSZ).unwrap();
    }
}
