//! The daemon's side of the connection, a task of its own: lines out as the engine says them, lines in as they come.

use std::{io, pin::pin};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};
use tracing::debug;

use super::{GuestId, Heard, Session, Word, wire};
use crate::control::protocol::LONGEST;

/// Serves a connection until one side has had enough. A pcheck that was stopped reads nothing for as long as it likes: only
/// this task waits for it.
pub(in crate::control) async fn serve(stream: UnixStream, session: Session) {
    let Session { guest, words, heard } = session;
    let (read, write) = stream.into_split();
    let mut listening = pin!(listen(read, guest, &heard));
    let listened = tokio::select! {
        said = speak(write, words) => match said {
            Ok(()) => Ok(()),
            // It has gone; what it has said before is still to be heard.
            Err(error) => {
                debug!(%error, ?guest, "nothing more can be said to it");
                listening.await
            }
        },
        listened = &mut listening => listened,
    };
    if let Err(error) = listened {
        debug!(%error, ?guest, "nothing more is heard of it");
    }
    // The engine may have ended first.
    let _told = heard.send((guest, Heard::Gone)).await;
}

async fn speak(mut write: OwnedWriteHalf, mut words: mpsc::Receiver<Word>) -> io::Result<()> {
    while let Some(word) = words.recv().await {
        write.write_all(&wire::word_line(&word)?).await?;
    }
    Ok(())
}

async fn listen(mut read: OwnedReadHalf, guest: GuestId, heard: &mpsc::Sender<(GuestId, Heard)>) -> io::Result<()> {
    let mut line = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = read.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        for byte in piece.get(..count).unwrap_or_default() {
            if *byte != b'\n' {
                line.push(*byte);
                continue;
            }
            let sentence = || io::Error::other("it says something that is not understood");
            let word = wire::heard(&line).ok_or_else(sentence)?;
            line.clear();
            if heard.send((guest, word)).await.is_err() {
                return Ok(());
            }
        }
        if line.len() > LONGEST {
            return Err(io::Error::other("its line has no end"));
        }
    }
}
