//! The pcheck's side of the connection.

use std::{io, path::Path, time::Duration};

use tokio::{io::Interest, net::UnixStream};

use super::{Heard, Join, Word, wire};
use crate::control::client::{self, Failure, Stream};

/// No line of a daemon is longer.
const LONGEST: usize = 1 << 20;

/// How much is read at once.
const PIECE: usize = 16 << 10;

/// A membership: it ends when this is dropped, or when the daemon does.
#[derive(Debug)]
pub struct Member {
    stream: UnixStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

/// Asks the daemon that listens there. Blocks for as long as `limit`; a runtime has to be there.
///
/// # Errors
/// When nobody listens there who may be asked, or he refuses, or does not answer by then.
pub fn join(socket: &Path, join: &Join, limit: Duration) -> Result<Member, Failure> {
    let Stream { begun, rest } = client::join(socket, join, limit)?;
    let ready = || {
        rest.set_read_timeout(None)?;
        rest.set_write_timeout(None)?;
        rest.set_nonblocking(true)?;
        UnixStream::from_std(rest)
    };
    Ok(Member { stream: ready().map_err(Failure::Broken)?, incoming: begun, outgoing: Vec::new() })
}

impl Member {
    /// Says something: at once if that can be, otherwise as soon as [`Self::next`] can.
    pub fn say(&mut self, heard: &Heard) {
        self.outgoing.extend(wire::heard_line(heard).unwrap_or_default());
        self.write();
    }

    /// Waits for the next word; `None` when the daemon has gone. May be dropped at any time without losing one.
    pub async fn next(&mut self) -> Option<Word> {
        loop {
            if let Some(end) = self.incoming.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.incoming.drain(..=end).collect();
                // Who is not understood is no use.
                return wire::word(&line);
            }
            if self.incoming.len() > LONGEST {
                return None;
            }
            let interest =
                if self.outgoing.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
            let ready = self.stream.ready(interest).await.ok()?;
            if ready.is_writable() && !self.outgoing.is_empty() {
                self.write();
            }
            if ready.is_readable() {
                let mut piece = [0; PIECE];
                match self.stream.try_read(&mut piece) {
                    Ok(0) => return None,
                    Ok(count) => self.incoming.extend_from_slice(piece.get(..count).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return None,
                }
            }
        }
    }

    fn write(&mut self) {
        match self.stream.try_write(&self.outgoing) {
            Ok(count) => drop(self.outgoing.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // What it has said last may still be there to be read.
            Err(_) => self.outgoing.clear(),
        }
    }
}
