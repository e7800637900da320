//! Peers of our own, one habit each, and questions to them.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use watcher::executor::probe::{Attempt, Prober};
use watcher_core::{
    ProbeId, Span,
    pfile::{Bytes, Method, Port},
    probe::{Ask, Fault, How, HttpAsk, HttpVersion, Statuses, Verdict},
};

/// Far more than anything takes that has an end.
pub(crate) const LONG: Span = Span::of_seconds(60);
/// For what has no end.
pub(crate) const SHORT: Span = Span::of_millis(200);

/// Somebody who listens on a port of this host, and does this to the first who comes.
#[derive(Debug)]
pub(crate) struct Peer<T> {
    pub(crate) address: SocketAddr,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Peer<T> {
    pub(crate) fn at(address: &str, does: impl FnOnce(TcpStream) -> T + Send + 'static) -> Self {
        let socket = TcpListener::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (stream, _) = socket.accept().unwrap();
            // A test that fails must not hang.
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
            does(stream)
        });
        Self { address, thread }
    }

    pub(crate) fn new(does: impl FnOnce(TcpStream) -> T + Send + 'static) -> Self {
        Self::at("127.0.0.1:0", does)
    }

    pub(crate) fn port(&self) -> Port {
        Port::new(self.address.port().into()).unwrap()
    }

    /// What it has to say in the end.
    pub(crate) fn end(self) -> T {
        self.thread.join().unwrap()
    }
}

/// Reads a request of HTTP, to the empty line.
pub(crate) fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        text.extend(byte);
    }
    String::from_utf8(text).unwrap()
}

/// Somebody who hears a request, says this, and keeps the connection until the other side ends it.
pub(crate) fn answers(text: impl AsRef<[u8]> + Send + 'static) -> Peer<String> {
    Peer::new(move |mut stream| {
        let heard = request(&mut stream);
        // Whoever has heard enough may be gone.
        let _gone = stream.write_all(text.as_ref());
        until_closed(&mut stream);
        heard
    })
}

/// Waits until the other side has gone.
pub(crate) fn until_closed(stream: &mut TcpStream) {
    let mut part = [0; 1024];
    while stream.read(&mut part).is_ok_and(|count| count > 0) {}
}

pub(crate) fn http() -> HttpAsk {
    HttpAsk {
        tls: None,
        version: HttpVersion::V1_1,
        method: Method::Head,
        path: "/".into(),
        headers: Vec::new(),
        statuses: Statuses::NoErrors,
        match_header: None,
        match_body: None,
    }
}

pub(crate) fn ask(how: How, port: Port, limit: Span) -> Ask {
    Ask { how, host: Some(Bytes::from("127.0.0.1")), port, limit }
}

/// Asks once.
pub(crate) fn attempt(ask: Ask) -> Attempt {
    let once = || attempts(vec![ask.clone()]).pop().unwrap().1;
    // On a host that has no time for this test nothing is known: it is asked again, as everybody who probes does.
    let is_known = |attempt: &Attempt| attempt.verdict != Verdict::Bad(Fault::Overrun);
    std::iter::repeat_with(once).find(is_known).unwrap()
}

/// Asks all of them at once; what came of each, in the order in which they ended.
pub(crate) fn attempts(asks: Vec<Ask>) -> Vec<(ProbeId, Attempt)> {
    runtime().block_on(async {
        let (mut prober, mut done, count) = (Prober::new(), Vec::new(), asks.len());
        for (number, ask) in (0..).zip(asks) {
            prober.start(ProbeId(number), Arc::new(ask));
        }
        while done.len() < count {
            prober.ready(&mut done).await;
        }
        done
    })
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A verdict in words: `good`, or what is wrong.
pub(crate) fn words(attempt: &Attempt) -> String {
    match &attempt.verdict {
        Verdict::Good { .. } => "good".to_owned(),
        Verdict::Bad(fault) => fault.to_string(),
    }
}

/// What a peer's habits look like by HTTP.
pub(crate) fn by_http<T: Send + 'static>(peer: &Peer<T>, limit: Span) -> String {
    words(&attempt(ask(How::Http(http()), peer.port(), limit)))
}
