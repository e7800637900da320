//! The socket of a running pcheck: accepts, and hands requests to the engine. Nothing that a client does, or does not do,
//! holds up the engine: each connection is a task of its own with a time limit.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tracing::debug;

use super::{answer::Head, connection, is_absent, protocol::Command};

/// What clients may use up.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Who serves, as refusals name it.
    pub name: &'static str,
    /// Connections at once; more are told so and closed.
    pub connections: usize,
    /// How long a client may take to send its request, and to read a piece of its answer.
    pub patience: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { name: "pcheck", connections: 64, patience: Duration::from_secs(5) }
    }
}

/// How long nothing is accepted after that failed, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// How long the last answers may take to be read when the watch ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Something that a client wants to know or to have done.
#[derive(Debug)]
pub struct Request {
    /// What.
    pub command: Command,
    /// Where the answer goes. Nobody may be there any more; an answer that is dropped says that pcheck ends.
    pub answer: oneshot::Sender<super::Reply>,
}

/// The control socket.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    file: SocketFile,
    bounds: Bounds,
    connections: JoinSet<()>,
    /// As long as there may be connections, and each asks once: nobody ever waits for room.
    requests: mpsc::Receiver<Request>,
    sender: mpsc::Sender<Request>,
    deaf_until: Option<Instant>,
}

impl Server {
    /// Listens at this path, in place of whatever stands there. That no other pcheck lives here is for the caller to know.
    ///
    /// # Errors
    /// When no socket can be made there, or no runtime is there to serve it.
    pub fn bind(path: &Path) -> io::Result<Self> {
        Self::bind_within(path, Bounds::default())
    }

    /// The same with other bounds.
    ///
    /// # Errors
    /// As above.
    pub fn bind_within(path: &Path, bounds: Bounds) -> io::Result<Self> {
        let sentence = |error: io::Error| {
            io::Error::new(error.kind(), format!("no control socket can be made at {}: {error}", path.display()))
        };
        let (listener, file) = SocketFile::bind(path).map_err(sentence)?;
        let (sender, requests) = mpsc::channel(bounds.connections.max(1));
        Ok(Self { listener, file, bounds, connections: JoinSet::new(), requests, sender, deaf_until: None })
    }

    /// Waits for the next request. May be dropped at any time without losing one.
    pub async fn next(&mut self) -> Request {
        loop {
            let deaf_until = self.deaf_until;
            tokio::select! {
                biased;
                // This server has a sender itself: the channel is never closed.
                Some(request) = self.requests.recv() => return request,
                accepted = self.listener.accept(), if deaf_until.is_none() => match accepted {
                    Ok((stream, _)) => self.admit(stream),
                    Err(error) => {
                        debug!(%error, "no control connection can be accepted");
                        self.deaf_until = Some(Instant::now() + PAUSE);
                    }
                },
                () = pause(deaf_until) => self.deaf_until = None,
            }
        }
    }

    /// Its socket is to stay when it ends.
    pub fn leave_socket(&mut self) {
        self.file.stays = true;
    }

    /// Ends: no more requests, but answers that were given are brought to those who still read. Those who follow events
    /// see the end of them, if their sender is gone.
    pub async fn finish(self) {
        let Self { listener, file, bounds: _, mut connections, requests, sender, deaf_until: _ } = self;
        drop((listener, file, requests, sender));
        let farewell = async { while connections.join_next().await.is_some() {} };
        if timeout(FAREWELL, farewell).await.is_err() {
            debug!("some control connections did not read their answers");
        }
    }

    fn admit(&mut self, stream: UnixStream) {
        while self.connections.try_join_next().is_some() {}
        let Bounds { name, connections: most, patience: _ } = self.bounds;
        let welcome = may_ask(&stream, name).and_then(|()| match self.connections.len() {
            busy if busy < most => Ok(()),
            busy => {
                Err(format!("{busy} others are asking this {name} right now, and more cannot be served: try again"))
            }
        });
        match welcome {
            Ok(()) => {
                let _task = self.connections.spawn(connection::serve(stream, self.sender.clone(), self.bounds));
            }
            Err(why) => turn_away(stream, why),
        }
    }
}

async fn pause(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Root, and whom this process runs as.
fn may_ask(stream: &UnixStream, name: &str) -> Result<(), String> {
    let peer = stream.peer_cred().map_err(|error| format!("who asks cannot be found out: {error}"))?.uid();
    let own = rustix::process::geteuid().as_raw();
    if peer == 0 || peer == own {
        return Ok(());
    }
    debug!(peer, "a stranger asked");
    Err(match own {
        0 => format!("only root may ask this {name}, and user {peer} is not root"),
        own => format!("only root and user {own} may ask this {name}, and this is user {peer}"),
    })
}

/// Tells why, as far as it can be told without waiting.
fn turn_away(stream: UnixStream, why: String) {
    let told = Head::Refused { why }.line().map_err(io::Error::from).and_then(|line| {
        // Tokio does not know yet that a new connection can be written to; it always can.
        stream.into_std()?.write_all(&line)
    });
    if let Err(error) = told {
        debug!(%error, "a client was turned away without a word");
    }
}

/// The socket in the file system. It goes with the server, unless it is to stay.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: what somebody else has put there since stays.
    identity: (u64, u64),
    /// It is to be seen that whoever has listened has gone without an end.
    stays: bool,
}

impl SocketFile {
    /// Made aside and renamed: it is never there with another mode, and replaces what a killed pcheck has left.
    fn bind(path: &Path) -> io::Result<(UnixListener, Self)> {
        let aside = path.with_extension("new");
        match fs::remove_file(&aside) {
            Err(error) if !is_absent(&error) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&aside)?;
        let ready = fs::set_permissions(&aside, fs::Permissions::from_mode(0o600)).and_then(|()| {
            let data = fs::symlink_metadata(&aside)?;
            fs::rename(&aside, path)?;
            Ok((data.dev(), data.ino()))
        });
        match ready {
            Ok(identity) => Ok((listener, Self { path: path.to_owned(), identity, stays: false })),
            Err(error) => {
                // The error that matters is the first one.
                let _removed = fs::remove_file(&aside);
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
