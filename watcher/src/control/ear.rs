//! Where clients come from: a socket in the file system, or a port of this host.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::{
    is_absent,
    metrics::{Place, is_free},
};
use crate::sys::own;

/// What listens.
#[derive(Debug)]
pub(super) enum Ear {
    Socket {
        listener: UnixListener,
        /// Goes with it, unless it is to stay.
        file: SocketFile,
    },
    Port(TcpListener),
}

/// Who has come.
#[derive(Debug)]
pub(super) enum Client {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Ear {
    /// Listens where figures are wanted. Nothing that is there and in use is replaced.
    pub(super) fn of_metrics(place: &Place) -> io::Result<Self> {
        match place {
            Place::Socket(path) => {
                is_free(path)?;
                let aside = path.with_file_name(format!(".watcher-metrics-{}", own::pid()));
                let (listener, file) = SocketFile::bind(path, &aside)?;
                Ok(Self::Socket { listener, file })
            }
            Place::Loopback(address) => {
                let listener = std::net::TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Port(TcpListener::from_std(listener)?))
            }
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Client> {
        match self {
            Self::Socket { listener, file: _ } => Ok(Client::Unix(listener.accept().await?.0)),
            Self::Port(listener) => Ok(Client::Tcp(listener.accept().await?.0)),
        }
    }

    /// Its socket is to stay when it goes.
    pub(super) fn leave_socket(&mut self) {
        if let Self::Socket { listener: _, file } = self {
            file.stays = true;
        }
    }
}

impl Client {
    /// Tells it something, as far as that goes without waiting, and takes leave of it.
    pub(super) fn tell_at_once(self, line: &[u8]) -> io::Result<()> {
        // Tokio does not know yet that a new connection can be written to; it always can.
        match self {
            Self::Unix(stream) => stream.into_std()?.write_all(line),
            Self::Tcp(stream) => stream.into_std()?.write_all(line),
        }
    }
}

/// The socket in the file system. It goes with the server, unless it is to stay.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: what somebody else has put there since stays.
    identity: (u64, u64),
    /// It is to be seen that whoever has listened has gone without an end.
    stays: bool,
}

impl SocketFile {
    /// Made aside and renamed: it is never there with another mode, and replaces what a killed pcheck has left.
    pub(super) fn bind(path: &Path, aside: &Path) -> io::Result<(UnixListener, Self)> {
        match fs::remove_file(aside) {
            Err(error) if !is_absent(&error) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(aside)?;
        let ready = fs::set_permissions(aside, fs::Permissions::from_mode(0o600)).and_then(|()| {
            let data = fs::symlink_metadata(aside)?;
            fs::rename(aside, path)?;
            Ok((data.dev(), data.ino()))
        });
        match ready {
            Ok(identity) => Ok((listener, Self { path: path.to_owned(), identity, stays: false })),
            Err(error) => {
                // The error that matters is the first one.
                let _removed = fs::remove_file(aside);
                Err(error)
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = |data: fs::Metadata| (data.dev(), data.ino()) == self.identity;
        if !self.stays && fs::symlink_metadata(&self.path).is_ok_and(same) {
            // One that stays does no harm: nobody listens, and the next pcheck replaces it.
            let _removed = fs::remove_file(&self.path);
        }
    }
}
