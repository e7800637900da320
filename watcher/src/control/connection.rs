//! One connection: a request line in, an answer out, both within a time limit.

use std::{io, time::Duration};

use serde::Serialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::{
        broadcast::{
            self,
            error::{RecvError, TryRecvError},
        },
        mpsc, oneshot, watch,
    },
    task::yield_now,
    time::timeout,
};
use tracing::debug;
use watcher_core::{Answer, Mono, fleet::EntryView};

use super::{
    Line,
    answer::{Head, Reply},
    ended::{EndLine, Ended},
    join::session,
    protocol,
    server::{Bounds, Request},
    status::{ProcessLine, StatusLine},
    view::{EntryLine, MonitorLine, ParamLine, WhoLine},
};

/// How long the engine may take. It answers at once, or when an order is done, which may be to read a large file.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// About how much is written at once. After each piece the engine has its turn.
const PIECE: usize = 16 << 10;

/// Serves a connection to its end.
pub(super) async fn serve(stream: UnixStream, requests: mpsc::Sender<Request>, bounds: Bounds) {
    let Bounds { name, connections: _, patience } = bounds;
    let mut client = Client { stream, patience };
    let reply = match timeout(patience, client.request()).await {
        Ok(Ok(line)) => match protocol::read(&line) {
            Ok(command) => ask(command, requests, name).await,
            Err(why) => Reply::refused(why),
        },
        Ok(Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => Reply::refused(error.to_string()),
        // It has gone.
        Ok(Err(_)) => return,
        Err(_) => Reply::refused(format!("no request came within {} s", patience.as_secs_f32())),
    };
    if let Reply::Session(session) = reply {
        // Who does not take the first line is soon found to have gone.
        let _taken = client.head(&Head::Joining).await;
        return session::serve(client.stream, session).await;
    }
    if let Err(error) = client.answer(reply).await {
        debug!(%error, "a client did not read its answer");
    }
}

pub(super) async fn ask(command: protocol::Command, requests: mpsc::Sender<Request>, name: &str) -> Reply {
    let (answer, answered) = oneshot::channel();
    let asked = requests.send(Request { command, answer }).await;
    // Whoever waits must not keep the channel open.
    drop(requests);
    if asked.is_err() {
        return Reply::refused(format!("this {name} is ending"));
    }
    match timeout(ANSWER_LIMIT, answered).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(_)) => Reply::refused(format!("this {name} is ending")),
        Err(_) => Reply::refused(format!("this {name} has not done it within {} s", ANSWER_LIMIT.as_secs())),
    }
}

struct Client {
    stream: UnixStream,
    patience: Duration,
}

impl Client {
    /// The request line. A client that closes its side instead of ending the line has said all it wants to say.
    async fn request(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read = self.stream.read(&mut piece).await?;
            let piece = piece.get(..read).unwrap_or_default();
            let end = piece.iter().position(|byte| *byte == b'\n');
            line.extend_from_slice(piece.get(..end.unwrap_or(read)).unwrap_or_default());
            if line.len() > protocol::LONGEST {
                let longest = protocol::LONGEST;
                let sentence = format!("a request of more than {longest} bytes is none of padmin");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, sentence));
            }
            match (end, read) {
                (Some(_), _) => return Ok(line),
                (None, 0) if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                (None, 0) => return Ok(line),
                (None, _) => {}
            }
        }
    }

    async fn answer(&mut self, reply: Reply) -> io::Result<()> {
        match reply {
            Reply::Answer(Answer::Done) => self.head(&Head::Done).await,
            Reply::Answer(Answer::Refused(why)) => self.head(&Head::Refused { why }).await,
            Reply::Entries(now, entries) => self.entries(now, &entries).await,
            Reply::Events { last, live: None } => self.all_lines(&last).await,
            Reply::Making(making) => match making.make().await {
                Ok(lines) => self.all_lines(&lines).await,
                Err(why) => self.head(&Head::Refused { why }).await,
            },
            Reply::Events { last, live: Some(live) } => {
                self.head(&Head::Lines { count: None }).await?;
                self.lines(&last).await?;
                self.follow(live).await
            }
            Reply::Monitor(standing) => self.head(&Head::Monitor(MonitorLine::of(&standing))).await,
            Reply::Param(view) => self.head(&Head::Param(ParamLine::of(&view))).await,
            Reply::Process(now, process) => self.head(&Head::Process(Box::new(ProcessLine::of(&process, now)))).await,
            // Served by others: see `serve`, and `metrics::http`.
            Reply::Metrics(_) | Reply::Session(_) => Ok(()),
            Reply::Status(status) => {
                let head = Head::Status(Box::new(StatusLine::of(&status))).line()?;
                self.entries_after(head, status.now, &status.entries).await
            }
            Reply::Wait(end) => {
                self.head(&Head::Waiting).await?;
                self.wait(end).await
            }
            Reply::Who(who) => self.head(&Head::Who(WhoLine::of(&who))).await,
        }
    }

    async fn head(&mut self, head: &Head) -> io::Result<()> {
        let line = head.line()?;
        self.write(&line).await
    }

    async fn entries(&mut self, now: Mono, entries: &[EntryView]) -> io::Result<()> {
        let head = Head::Entries { count: entries.len() }.line()?;
        self.entries_after(head, now, entries).await
    }

    async fn entries_after(&mut self, mut text: Vec<u8>, now: Mono, entries: &[EntryView]) -> io::Result<()> {
        for entry in entries {
            push(&mut text, &EntryLine::of(entry, now))?;
            self.write_piece(&mut text).await?;
        }
        self.write(&text).await
    }

    async fn all_lines(&mut self, lines: &[Line]) -> io::Result<()> {
        self.head(&Head::Lines { count: Some(lines.len()) }).await?;
        self.lines(lines).await
    }

    async fn lines(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut text = Vec::new();
        for line in lines {
            push_line(&mut text, line);
            self.write_piece(&mut text).await?;
        }
        self.write(&text).await
    }

    /// Until the sender goes, or the client does. One that is too slow loses lines, and is told how many.
    async fn follow(&mut self, mut live: broadcast::Receiver<Line>) -> io::Result<()> {
        let mut text = Vec::new();
        let mut word = [0; 16];
        loop {
            let received = tokio::select! {
                received = live.recv() => received,
                // It has nothing more to say: it has gone, or it is no client of ours.
                _ = self.stream.read(&mut word) => return Ok(()),
            };
            match received {
                Ok(line) => push_line(&mut text, &line),
                Err(RecvError::Lagged(count)) => push(&mut text, &Lost::of(count))?,
                Err(RecvError::Closed) => return Ok(()),
            }
            // What has come meanwhile goes along.
            while text.len() < PIECE {
                match live.try_recv() {
                    Ok(line) => push_line(&mut text, &line),
                    Err(TryRecvError::Lagged(count)) => push(&mut text, &Lost::of(count))?,
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            self.write(&text).await?;
            text.clear();
        }
    }

    /// Until the watch ends, or the client goes.
    async fn wait(&mut self, mut end: watch::Receiver<Option<Ended>>) -> io::Result<()> {
        let mut word = [0; 16];
        let ended = tokio::select! {
            biased;
            ended = end.wait_for(Option::is_some) => ended.ok().and_then(|ended| *ended),
            _ = self.stream.read(&mut word) => None,
        };
        let Some(ended) = ended else { return Ok(()) };
        let mut text = Vec::new();
        push(&mut text, &EndLine { ended })?;
        self.write(&text).await
    }

    async fn write_piece(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        if text.len() < PIECE {
            return Ok(());
        }
        self.write(text).await?;
        text.clear();
        yield_now().await;
        Ok(())
    }

    async fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let late = |_elapsed| io::Error::from(io::ErrorKind::TimedOut);
        timeout(self.patience, self.stream.write_all(text)).await.map_err(late)?
    }
}

fn push_line(text: &mut Vec<u8>, line: &str) {
    text.extend_from_slice(line.as_bytes());
    text.push(b'\n');
}

fn push(text: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *text, value)?;
    text.push(b'\n');
    Ok(())
}

/// What a follower is told that was too slow.
#[derive(Serialize)]
struct Lost {
    event: &'static str,
    count: u64,
}

impl Lost {
    const fn of(count: u64) -> Self {
        Self { event: "events_lost", count }
    }
}
