//! The socket of syslog. Its reader may be absent, slow, or another one than a moment ago.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with},
};

use super::outlet::{NotNow, Sink};

#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    connected: Option<Connected>,
}

#[derive(Debug)]
enum Connected {
    Datagrams(OwnedFd),
    /// As the C library does it: each line ends in a zero. What could not be passed on yet of the last one is kept.
    Stream(OwnedFd, Vec<u8>),
}

impl Syslog {
    pub(super) const fn at(path: PathBuf) -> Self {
        Self { path, connected: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn connect(&self) -> Result<Connected, Errno> {
        let address = SocketAddrUnix::new(self.path.as_path())?;
        let to = |kind| {
            let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
            connect(&socket, &address).map(|()| socket)
        };
        match to(SocketType::DGRAM) {
            Err(Errno::PROTOTYPE) => Ok(Connected::Stream(to(SocketType::STREAM)?, Vec::new())),
            socket => Ok(Connected::Datagrams(socket?)),
        }
    }

    fn try_to_send(&mut self, line: &[u8]) -> Result<(), Errno> {
        let connected = match self.connected.take() {
            Some(connected) => connected,
            None => self.connect()?,
        };
        match self.connected.insert(connected) {
            Connected::Datagrams(socket) => send(&*socket, line, SendFlags::NOSIGNAL).map(drop),
            Connected::Stream(socket, left) => {
                pass_on(socket, left)?;
                *left = [line, b"\0"].concat();
                // What was taken in part will be gone on with.
                match pass_on(socket, left) {
                    Err(Errno::AGAIN) if left.len() > line.len() => {
                        left.clear();
                        Err(Errno::AGAIN)
                    }
                    Ok(()) | Err(Errno::AGAIN) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }

    fn judge(&mut self, failed: Errno) -> NotNow {
        match failed {
            Errno::AGAIN | Errno::NOBUFS | Errno::INTR => NotNow::Full,
            failed => {
                self.connected = None;
                NotNow::Absent(io::Error::from(failed))
            }
        }
    }
}

impl Sink for Syslog {
    fn send(&mut self, line: &[u8]) -> Result<(), NotNow> {
        let was_connected = self.connected.is_some();
        match self.try_to_send(line) {
            Ok(()) => Ok(()),
            Err(failed @ (Errno::AGAIN | Errno::NOBUFS | Errno::INTR)) => Err(self.judge(failed)),
            // Its reader has gone. There may be another one.
            Err(_) if was_connected => {
                self.connected = None;
                self.try_to_send(line).map_err(|failed| self.judge(failed))
            }
            Err(failed) => Err(self.judge(failed)),
        }
    }

    fn go_on(&mut self) -> Result<(), NotNow> {
        match &mut self.connected {
            Some(Connected::Stream(socket, left)) => pass_on(socket, left).map_err(|failed| self.judge(failed)),
            Some(Connected::Datagrams(_)) | None => Ok(()),
        }
    }

    fn is_at_it(&self) -> bool {
        matches!(&self.connected, Some(Connected::Stream(_, left)) if !left.is_empty())
    }
}

fn pass_on(socket: &OwnedFd, left: &mut Vec<u8>) -> Result<(), Errno> {
    while !left.is_empty() {
        let sent = send(socket, left, SendFlags::NOSIGNAL)?;
        left.drain(..sent);
    }
    Ok(())
}
