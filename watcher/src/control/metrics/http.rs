//! One visit of a scraper: a request of HTTP in, the page out, both within a time limit. Then the connection is closed.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
    task::spawn_blocking,
    time::timeout,
};
use tracing::debug;

use super::{
    Metrics, page,
    text::{Dialect, Text},
};
use crate::control::{
    answer::Reply,
    connection,
    protocol::Command,
    server::{Bounds, Request},
};

/// Where the page is.
const PATH: &str = "/metrics";

/// A head that is longer is none of a scraper.
const LONGEST: usize = 8 << 10;
const MOST_HEADERS: usize = 64;

/// So many pieces of the page wait to be taken.
const AHEAD: usize = 4;

/// A visit.
#[derive(Debug, PartialEq, Eq)]
struct Visit {
    /// Only the head of the answer is wanted.
    head_only: bool,
    dialect: Dialect,
}

/// What a visitor is told who does not get the page.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    status: &'static str,
    why: String,
}

impl Refusal {
    fn new(status: &'static str, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { status, why } = self;
        let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
        let length = why.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\n{allow}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{why}\n"
        )
        .into_bytes()
    }
}

/// What a client is told for whom there is no place.
pub(in crate::control) fn unavailable(why: &str) -> Vec<u8> {
    Refusal::new("503 Service Unavailable", why).bytes()
}

/// Tells a client that he may not ask.
pub(in crate::control) async fn turn_away<S>(mut stream: S, why: String, bounds: Bounds)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Err(error) = refuse(&mut stream, &Refusal::new("403 Forbidden", why), bounds).await {
        debug!(%error, "a client was turned away without a word");
    }
}

/// Tells why not. What he still sends is read, up to a bound: he would not hear us if we hung up on him.
async fn refuse<S>(stream: &mut S, refusal: &Refusal, bounds: Bounds) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    const ENOUGH: usize = 64 << 10;
    put(stream, &refusal.bytes(), bounds).await?;
    stream.shutdown().await?;
    let rest = async {
        let (mut piece, mut heard) = ([0; 4096], 0);
        while heard < ENOUGH {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(read) => heard += read,
            }
        }
    };
    // Whoever sends for ever is left alone.
    let _in_time = timeout(bounds.patience, rest).await;
    Ok(())
}

/// Serves a visitor to the end.
pub(in crate::control) async fn serve<S>(mut stream: S, requests: mpsc::Sender<Request>, bounds: Bounds)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let served = match timeout(bounds.patience, request(&mut stream)).await {
        Ok(Ok(Ok(visit))) => {
            if let Reply::Metrics(metrics) = connection::ask(Command::Metrics, requests, bounds.name).await {
                send(&mut stream, &visit, metrics, bounds).await
            } else {
                put(&mut stream, &unavailable("the watch is ending"), bounds).await
            }
        }
        Ok(Ok(Err(refusal))) => refuse(&mut stream, &refusal, bounds).await,
        // It has gone.
        Ok(Err(_)) => return,
        Err(_) => {
            let why = format!("no request came within {} s", bounds.patience.as_secs_f32());
            refuse(&mut stream, &Refusal::new("408 Request Timeout", why), bounds).await
        }
    };
    if let Err(error) = served {
        debug!(%error, "a scraper did not read its page");
    }
}

/// The head of the request: what is wanted, or why it is not given.
async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Result<Visit, Refusal>> {
    let mut head = Vec::new();
    let mut piece = [0; 2048];
    loop {
        let read = stream.read(&mut piece).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(piece.get(..read).unwrap_or_default());
        if let Some(heard) = understood(&head) {
            return Ok(heard);
        }
    }
}

/// Nothing: there is more to come.
fn understood(head: &[u8]) -> Option<Result<Visit, Refusal>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => Some(visit(&request)),
        Ok(httparse::Status::Partial) if head.len() < LONGEST => None,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            Some(Err(Refusal::new("431 Request Header Fields Too Large", "the head of the request is too long")))
        }
        Err(error) => Some(Err(Refusal::new("400 Bad Request", format!("this is no request of HTTP: {error}")))),
    }
}

fn visit(request: &httparse::Request<'_, '_>) -> Result<Visit, Refusal> {
    let path = request.path.unwrap_or_default().split('?').next().unwrap_or_default();
    if path != PATH {
        return Err(Refusal::new("404 Not Found", format!("the figures are at {PATH}")));
    }
    let head_only = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err(Refusal::new("405 Method Not Allowed", "figures can only be read")),
    };
    let accept = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("accept"));
    let accept = accept.and_then(|header| str::from_utf8(header.value).ok()).unwrap_or_default();
    Ok(Visit { head_only, dialect: Dialect::wanted(accept) })
}

async fn send<S>(stream: &mut S, visit: &Visit, metrics: Box<Metrics>, bounds: Bounds) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    let Visit { head_only, dialect } = *visit;
    let kind = dialect.content_type();
    // How long it is shows when it is closed: that is not known before all is written.
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nVary: Accept\r\nConnection: close\r\n\r\n");
    put(stream, head.as_bytes(), bounds).await?;
    if head_only {
        return Ok(());
    }
    // For thousands of entries it takes some milliseconds, and whoever reads slowly makes it last.
    let (pieces, mut written) = mpsc::channel(AHEAD);
    let writer = spawn_blocking(move || {
        let mut is_wanted = true;
        let mut text = Text::new(dialect, |piece: String| is_wanted = is_wanted && pieces.blocking_send(piece).is_ok());
        page::write(&metrics, &mut text);
        text.finish();
    });
    while let Some(piece) = written.recv().await {
        put(stream, piece.as_bytes(), bounds).await?;
    }
    // It has nothing more to say.
    drop(writer);
    stream.shutdown().await
}

async fn put<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], bounds: Bounds) -> io::Result<()> {
    timeout(bounds.patience, stream.write_all(bytes))
        .await
        .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(head: &str) -> &'static str {
        understood(head.as_bytes()).unwrap().unwrap_err().status
    }

    #[test]
    fn a_scraper_is_understood_and_everybody_else_is_told_what_is_wrong() {
        let get = understood(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\naccept: application/openmetrics-text\r\n\r\n");
        assert_eq!(get, Some(Ok(Visit { head_only: false, dialect: Dialect::OpenMetrics })));
        let head = understood(b"HEAD /metrics HTTP/1.0\r\n\r\n");
        assert_eq!(head, Some(Ok(Visit { head_only: true, dialect: Dialect::Prometheus })));
        assert_eq!(understood(b"GET /metrics HTTP/1.1\r\nHost"), None);
        assert!(refused("GET / HTTP/1.1\r\n\r\n").starts_with("404"));
        assert!(refused("POST /metrics HTTP/1.1\r\n\r\n").starts_with("405"));
        assert!(refused("{\"version\":1}\r\n\r\n").starts_with("400"));
        assert!(refused(&format!("GET /metrics HTTP/1.1\r\nA: {}", "x".repeat(LONGEST))).starts_with("431"));
        assert!(refused(&format!("GET /metrics HTTP/1.1\r\n{}\r\n", "A: x\r\n".repeat(65))).starts_with("431"));
    }
}
