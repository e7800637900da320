//! Bytes out, bytes in, and what may go wrong with them.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::Instant,
};
use watcher_core::probe::{Fault, Step};

use super::{attempt::Progress, connect::errno, tls};

/// What is read at once. Many attempts may be under way.
const PART: usize = 1024;

/// What a peer said, as far as somebody who listens has understood it.
pub(super) enum Heard {
    /// It may go on.
    More,
    /// Say this, and listen.
    Say(&'static [u8]),
    /// That was all.
    Done(Result<(), Fault>),
}

/// Somebody who listens to a peer, and knows no sockets.
pub(super) trait Listener {
    /// The next bytes.
    fn hear(&mut self, bytes: &[u8]) -> Heard;
    /// There is nothing more to come.
    fn end(&mut self) -> Result<(), Fault>;
}

/// Sends something, if there is anything to send, and then hands what comes to a listener, until that has heard enough.
pub(super) async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    first: &[u8],
    listener: &mut impl Listener,
    at: &mut Progress,
) -> Result<(), Fault> {
    let begun = Instant::now();
    let mut sent = send(stream, first, at).await;
    let mut part = vec![0; PART];
    loop {
        at.step = Step::Answer;
        let count = match stream.read(&mut part).await {
            // Without a farewell in TLS, but that is common.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            // What could not be sent comes first: this is what came of it.
            Err(error) => return Err(sent.err().unwrap_or_else(|| receive_fault(&error))),
            Ok(count) => count,
        };
        if count == 0 {
            return listener.end().map_err(|fault| sent.err().unwrap_or(fault));
        }
        at.timings.first_byte.get_or_insert_with(|| begun.elapsed());
        at.got += count;
        match listener.hear(part.get(..count).unwrap_or_default()) {
            Heard::More => {}
            // A server may say all that it has to say, and be gone before it is asked. It is for the listener to judge.
            Heard::Say(words) => sent = sent.and(send(stream, words, at).await),
            Heard::Done(result) => return result,
        }
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], at: &mut Progress) -> Result<(), Fault> {
    at.step = Step::Send;
    stream.write_all(bytes).await.map_err(|error| send_fault(&error))?;
    stream.flush().await.map_err(|error| send_fault(&error))
}

fn send_fault(error: &io::Error) -> Fault {
    tls::fault_within(error).unwrap_or_else(|| Fault::Send { errno: errno(error) })
}

fn receive_fault(error: &io::Error) -> Fault {
    tls::fault_within(error).unwrap_or_else(|| Fault::Receive { errno: errno(error) })
}

/// Says farewell, without waiting for anything: the verdict is known, and whoever does not listen misses nothing.
pub(super) async fn leave<S: AsyncWrite + Unpin>(stream: &mut S, words: &[u8]) {
    poll_fn(|context| {
        let mut stream = Pin::new(stream as &mut S);
        if words.is_empty() || stream.as_mut().poll_write(context, words).is_ready() {
            let _left = stream.poll_shutdown(context);
        }
        Poll::Ready(())
    })
    .await;
}

/// A connection that remembers how the other side began.
#[derive(Debug)]
pub(super) struct Tap {
    stream: TcpStream,
    first: Vec<u8>,
}

impl Tap {
    const MOST: usize = 64;

    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, first: Vec::new() }
    }

    /// The first bytes that came.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let wanted = Self::MOST.saturating_sub(self.first.len());
        if wanted > 0 {
            self.first.extend(buffer.filled().iter().skip(before).take(wanted));
        }
        read
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
