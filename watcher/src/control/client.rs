//! Asking a running pcheck: one request, and its answer within a time limit.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    answer::Head,
    ended::{EndLine, Ended},
    is_absent,
    join::Join,
    protocol::{self, Command, VERSION, Version},
    status::{ProcessLine, StatusLine},
    view::{EntryLine, MonitorLine, ParamLine, WhoLine},
};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
    sockopt::{Timeout, set_socket_timeout, socket_peercred},
};

/// The longest line that is taken: whoever sits behind a socket may send anything.
const LONGEST: u64 = 64 << 20;

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The order is done.
    Done,
    /// To `ShowEntries`.
    Entries(Vec<EntryLine>),
    /// To `Events` and `Why`.
    Lines(Vec<String>),
    /// To `Monitor`.
    Monitor(MonitorLine),
    /// To `ShowParam`.
    Param(ParamLine),
    /// To `Status`, by a daemon of itself.
    Process(Box<ProcessLine>),
    /// To `Status`.
    Status(Box<StatusLine>, Vec<EntryLine>),
    /// To `Ping`.
    Who(WhoLine),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No pcheck listens there.
    #[error("no pcheck listens there")]
    Absent,
    /// The connection broke.
    #[error("the connection to pcheck broke: {0}")]
    Broken(io::Error),
    /// This user may not ask.
    #[error("this user may not ask this pcheck: ask as root, or as the user that it runs as")]
    Forbidden,
    /// It says no.
    #[error("{0}")]
    Refused(String),
    /// The answer is not to be understood.
    #[error("the answer is not understood: {0}")]
    Strange(String),
    /// It took too long.
    #[error("pcheck has not answered within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
}

/// Asks, and waits for the whole answer.
///
/// # Errors
/// When there is none within `limit`, or it is a refusal.
pub fn ask(socket: &Path, command: &Command, limit: Duration) -> Result<Answer, Failure> {
    let (head, mut connection) = begin(socket, command, limit)?;
    Ok(match head {
        Head::Done => Answer::Done,
        Head::Entries { count } => Answer::Entries(connection.entries(count)?),
        Head::Lines { count: Some(count) } => Answer::Lines(connection.lines(count)?),
        Head::Lines { count: None } | Head::Joining | Head::Waiting => {
            return Err(Failure::Strange("it has no end, and none was asked for that has not".to_owned()));
        }
        Head::Monitor(standing) => Answer::Monitor(standing),
        Head::Param(param) => Answer::Param(param),
        Head::Process(process) => Answer::Process(process),
        Head::Refused { why } => return Err(Failure::Refused(why)),
        Head::Status(status) => {
            let entries = connection.entries(status.count)?;
            Answer::Status(status, entries)
        }
        Head::Who(who) => Answer::Who(who),
    })
}

/// An answer that has no end of its own.
#[derive(Debug)]
pub struct Stream {
    /// What has come already.
    pub begun: Vec<u8>,
    /// What comes.
    pub rest: UnixStream,
}

/// Asks for events, and waits until they begin to come.
///
/// # Errors
/// When that takes longer than `limit`, or is refused.
pub fn follow(socket: &Path, command: &Command, limit: Duration) -> Result<Stream, Failure> {
    match begin(socket, command, limit)? {
        (Head::Lines { count: _ }, connection) => Ok(connection.into_stream()),
        (head, _) => Err(other(head, "it holds no events")),
    }
}

/// Somebody who will be told how a watch ends.
#[derive(Debug)]
pub struct Waiting(Connection);

/// Wants to know how the watch ends, and waits until it is certain that this will be told.
///
/// # Errors
/// When that takes longer than `limit`, or is refused.
pub fn wait(socket: &Path, limit: Duration) -> Result<Waiting, Failure> {
    match begin(socket, &Command::Wait, limit)? {
        (Head::Waiting, connection) => Ok(Waiting(connection)),
        (head, _) => Err(other(head, "it does not say that it will tell")),
    }
}

impl Waiting {
    /// Waits for the end: for so long, or for as long as it takes.
    ///
    /// # Errors
    /// When it has not come by then; or when the connection breaks, since whoever watches has vanished.
    pub fn end(self, limit: Option<Duration>) -> Result<Ended, Failure> {
        let Self(mut connection) = self;
        let timed = connection.reader.get_mut();
        // What no clock can tell any more never comes.
        timed.until = limit.and_then(|limit| Instant::now().checked_add(limit));
        timed.limit = limit.unwrap_or(timed.limit);
        let line = connection.line()?;
        let EndLine { ended } = serde_json::from_str(&line).map_err(|error| Failure::Strange(error.to_string()))?;
        Ok(ended)
    }
}

/// Asks to join, if whoever listens there runs as the same user.
pub(super) fn join(socket: &Path, join: &Join, limit: Duration) -> Result<Stream, Failure> {
    let connection = Connection::open(socket, limit)?;
    let peer = socket_peercred(&connection.reader.get_ref().stream).map_err(|errno| Failure::Broken(errno.into()))?;
    // Root would run scripts by order of somebody else.
    if peer.uid != rustix::process::geteuid() {
        return Err(Failure::Refused(format!("it runs as another user ({})", peer.uid.as_raw())));
    }
    match ask_on(connection, &Command::Join(Box::new(join.clone())))? {
        (Head::Joining, connection) => Ok(connection.into_stream()),
        (head, _) => Err(other(head, "it does not say that it can be joined")),
    }
}

/// Why there is no answer of the kind that was asked for; of what is none of those this is said.
fn other(head: Head, strange: &str) -> Failure {
    if let Head::Refused { why } = head { Failure::Refused(why) } else { Failure::Strange(strange.to_owned()) }
}

fn begin(socket: &Path, command: &Command, limit: Duration) -> Result<(Head, Connection), Failure> {
    ask_on(Connection::open(socket, limit)?, command)
}

fn ask_on(mut connection: Connection, command: &Command) -> Result<(Head, Connection), Failure> {
    connection.send(command)?;
    let line = connection.line()?;
    let strange = |error: serde_json::Error| Failure::Strange(error.to_string());
    let Version { version } = serde_json::from_str(&line).map_err(strange)?;
    // A refusal is understood in any version: it tells what to do about that.
    match Head::read(&line) {
        Ok(head @ Head::Refused { .. }) => Ok((head, connection)),
        Ok(_) | Err(_) if version != VERSION => Err(Failure::Strange(format!(
            "pcheck speaks version {version} of the control protocol, and this program version {VERSION}: use the padmin \
             that came with it"
        ))),
        Ok(head) => Ok((head, connection)),
        Err(error) => Err(strange(error)),
    }
}

#[derive(Debug)]
struct Connection {
    reader: BufReader<Timed>,
}

impl Connection {
    fn open(path: &Path, limit: Duration) -> Result<Self, Failure> {
        let until = Instant::now() + limit;
        let failure = |error: io::Error| failure(error, limit);
        let address = SocketAddrUnix::new(path).map_err(|errno| failure(errno.into()))?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(|errno| failure(errno.into()))?;
        // A pcheck that was stopped accepts nobody: its queue may be full, and connecting waits for room, too.
        set_socket_timeout(&socket, Timeout::Send, Some(limit)).map_err(|errno| failure(errno.into()))?;
        connect(&socket, &address).map_err(|errno| failure(errno.into()))?;
        Ok(Self { reader: BufReader::with_capacity(PIECE, Timed { stream: socket.into(), until: Some(until), limit }) })
    }

    fn into_stream(self) -> Stream {
        let begun = self.reader.buffer().to_vec();
        Stream { begun, rest: self.reader.into_inner().stream }
    }

    fn send(&mut self, command: &Command) -> Result<(), Failure> {
        let line = protocol::line(command).map_err(|error| Failure::Strange(error.to_string()))?;
        let Timed { stream, until: _, limit } = self.reader.get_mut();
        match stream.write_all(&line) {
            // Who is turned away is told so before he has asked: the sentence is there to be read.
            Err(error) if !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                Err(failure(error, *limit))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn line(&mut self) -> Result<String, Failure> {
        let limit = self.reader.get_ref().limit;
        let mut line = String::new();
        let mut bounded = (&mut self.reader).take(LONGEST);
        bounded.read_line(&mut line).map_err(|error| failure(error, limit))?;
        match line.strip_suffix('\n') {
            Some(line) => Ok(line.to_owned()),
            None => Err(Failure::Broken(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn entries(&mut self, count: usize) -> Result<Vec<EntryLine>, Failure> {
        let strange = |error: serde_json::Error| Failure::Strange(error.to_string());
        let mut entry = || serde_json::from_str(&self.line()?).map_err(strange);
        (0..count).map(|_| entry()).collect()
    }

    fn lines(&mut self, count: usize) -> Result<Vec<String>, Failure> {
        (0..count).map(|_| self.line()).collect()
    }
}

/// A stream on which all reading together has a time limit.
#[derive(Debug)]
struct Timed {
    stream: UnixStream,
    until: Option<Instant>,
    limit: Duration,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(left)?;
        self.stream.read(buffer)
    }
}

fn failure(error: io::Error, limit: Duration) -> Failure {
    let is = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
    if is(&[io::ErrorKind::ConnectionRefused]) || is_absent(&error) {
        Failure::Absent
    } else if is(&[io::ErrorKind::PermissionDenied]) {
        Failure::Forbidden
    } else if is(&[io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock]) {
        Failure::TimedOut(limit)
    } else {
        Failure::Broken(error)
    }
}
