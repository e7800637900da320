//! Accepts clients, and hands their requests to the engine. Nothing that a client does, or does not do,
//! holds up the engine: each connection is a task of its own with a time limit.

use std::{io, path::Path, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tracing::debug;

use super::{
    answer::Head,
    connection,
    ear::{Client, Ear, SocketFile},
    metrics::{Place, http},
    protocol::Command,
};

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

/// A place where requests come in: the control socket, or that of figures.
#[derive(Debug)]
pub struct Server {
    ear: Ear,
    speech: Speech,
    bounds: Bounds,
    connections: JoinSet<()>,
    /// As long as there may be connections, and each asks once: nobody ever waits for room.
    requests: mpsc::Receiver<Request>,
    sender: mpsc::Sender<Request>,
    deaf_until: Option<Instant>,
}

/// What clients speak.
#[derive(Clone, Copy, Debug)]
enum Speech {
    /// Lines of JSON.
    Lines,
    /// HTTP, for figures and nothing else.
    Http,
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
        let (listener, file) = SocketFile::bind(path, &path.with_extension("new")).map_err(sentence)?;
        Ok(Self::with(Ear::Socket { listener, file }, Speech::Lines, bounds))
    }

    /// Listens for those who want figures.
    ///
    /// # Errors
    /// When the place is taken, or nobody can listen there.
    pub fn bind_metrics(place: &Place) -> io::Result<Self> {
        /// Scrapers are few, and come one after the other.
        const BOUNDS: Bounds = Bounds { name: "watcher", connections: 4, patience: Duration::from_secs(5) };
        let ear = Ear::of_metrics(place);
        let sentence = |error: io::Error| io::Error::new(error.kind(), format!("--metrics {place}: {error}"));
        Ok(Self::with(ear.map_err(sentence)?, Speech::Http, BOUNDS))
    }

    fn with(ear: Ear, speech: Speech, bounds: Bounds) -> Self {
        let (sender, requests) = mpsc::channel(bounds.connections.max(1));
        Self { ear, speech, bounds, connections: JoinSet::new(), requests, sender, deaf_until: None }
    }

    /// Waits for the next request. May be dropped at any time without losing one.
    pub async fn next(&mut self) -> Request {
        loop {
            let deaf_until = self.deaf_until;
            tokio::select! {
                biased;
                // This server has a sender itself: the channel is never closed.
                Some(request) = self.requests.recv() => return request,
                accepted = self.ear.accept(), if deaf_until.is_none() => match accepted {
                    Ok(client) => self.admit(client),
                    Err(error) => {
                        debug!(%error, "no connection can be accepted");
                        self.deaf_until = Some(Instant::now() + PAUSE);
                    }
                },
                () = pause(deaf_until) => self.deaf_until = None,
            }
        }
    }

    /// Its socket is to stay when it ends.
    pub fn leave_socket(&mut self) {
        self.ear.leave_socket();
    }

    /// Ends: no more requests, but answers that were given are brought to those who still read. Those who follow events
    /// see the end of them, if their sender is gone.
    pub async fn finish(self) {
        let Self { ear, speech: _, bounds: _, mut connections, requests, sender, deaf_until: _ } = self;
        drop((ear, requests, sender));
        let farewell = async { while connections.join_next().await.is_some() {} };
        if timeout(FAREWELL, farewell).await.is_err() {
            debug!("some clients did not read their answers");
        }
    }

    fn admit(&mut self, client: Client) {
        while self.connections.try_join_next().is_some() {}
        let Bounds { name, connections: most, patience: _ } = self.bounds;
        let (busy, bounds, requests) = (self.connections.len(), self.bounds, self.sender.clone());
        if busy >= most {
            let why = format!("{busy} others are asking this {name} right now, and more cannot be served: try again");
            return turn_away(client, self.speech, &why);
        }
        let _task = match (may_ask(&client, name), client, self.speech) {
            (Ok(()), Client::Unix(stream), Speech::Lines) => {
                self.connections.spawn(connection::serve(stream, requests, bounds))
            }
            (Ok(()), Client::Unix(stream), Speech::Http) => {
                self.connections.spawn(http::serve(stream, requests, bounds))
            }
            (Ok(()), Client::Tcp(stream), _) => self.connections.spawn(http::serve(stream, requests, bounds)),
            (Err(why), Client::Unix(stream), Speech::Http) => {
                self.connections.spawn(http::turn_away(stream, why, bounds))
            }
            (Err(why), client, speech) => return turn_away(client, speech, &why),
        };
    }
}

async fn pause(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Root, and whom this process runs as. Who comes by the network cannot be known: that is for those who want to be reached so.
fn may_ask(client: &Client, name: &str) -> Result<(), String> {
    let Client::Unix(stream) = client else { return Ok(()) };
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
fn turn_away(client: Client, speech: Speech, why: &str) {
    let told = match speech {
        Speech::Lines => Head::Refused { why: why.to_owned() }.line().map_err(io::Error::from),
        Speech::Http => Ok(http::unavailable(why)),
    };
    if let Err(error) = told.and_then(|line| client.tell_at_once(&line)) {
        debug!(%error, "a client was turned away without a word");
    }
}
