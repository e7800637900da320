//! `watcher events`: what happens to the entries of a pfile, line by line.

use std::{io, process::ExitCode, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::UnixStream,
};
use watcher_core::{Event, Signal};

use super::{
    ask_args, exit,
    find::{self, Found, NotFound},
    output,
};
use crate::{
    control::{
        Command,
        client::{self, Failure, Stream},
    },
    sources::os_signals::OsSignals,
};

/// With how many past events following begins.
const LAST: u32 = 10;

/// Runs the command.
pub(super) fn run(arguments: &ask_args::Events) -> ExitCode {
    let follow = !arguments.no_follow;
    let last = arguments.last.or_else(|| follow.then_some(LAST));
    let command = Command::Events { follow, last };
    let (found, stream) = match begin(arguments, &command) {
        Ok(begun) => begun,
        Err(NotFound { sentence, code: _ }) => return exit::trouble(&sentence),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(copy(stream))) {
        Ok(End::Asked(signal)) => exit::stopped(signal),
        Ok(End::OfStream) if follow => ended(&found),
        Ok(End::OfStream) => ExitCode::from(exit::DONE),
        // Whoever read the lines has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::stopped(exit::BROKEN_PIPE),
        Err(error) => exit::trouble(&error.to_string()),
    }
}

fn begin(arguments: &ask_args::Events, command: &Command) -> Result<(Found, Stream), NotFound> {
    let found = find::find(&arguments.pfile, &arguments.run_dir)?;
    match client::follow(&found.socket, command, found.limit) {
        Ok(stream) => Ok((found, stream)),
        Err(failure) => Err(NotFound::failed(&failure, found.who.pid)),
    }
}

/// The lines have ended: because pcheck has, or because it did not want to wait for this reader.
fn ended(found: &Found) -> ExitCode {
    const SOON: Duration = Duration::from_secs(1);
    match client::ask(&found.socket, &Command::Ping, SOON) {
        Err(Failure::Absent | Failure::Broken(_)) => {
            output::say(&format!("pcheck (process {}) has ended", found.who.pid));
            ExitCode::from(exit::DONE)
        }
        Ok(_) | Err(Failure::Forbidden | Failure::Refused(_) | Failure::Strange(_) | Failure::TimedOut(_)) => {
            exit::trouble("pcheck has stopped sending events, though it runs: they were read too slowly; try again")
        }
    }
}

enum End {
    /// By this signal.
    Asked(Signal),
    OfStream,
}

async fn copy(Stream { begun, rest }: Stream) -> io::Result<End> {
    // From here on Ctrl-C is an event.
    let mut signals = OsSignals::listen()?;
    rest.set_nonblocking(true)?;
    let mut lines = BufReader::new(begun.as_slice().chain(UnixStream::from_std(rest)?));
    let mut line = Vec::new();
    loop {
        tokio::select! {
            biased;
            event = signals.next() => if let Event::Stop { signal } = event {
                return Ok(End::Asked(signal));
            },
            // What was read of a line when something else came first stays there.
            read = lines.read_until(b'\n', &mut line) => match read {
                Ok(0) => return Ok(End::OfStream),
                Ok(_) => {
                    // pcheck was killed in the middle of a line: half of one is of no use.
                    if line.ends_with(b"\n") {
                        output::bytes(&line)?;
                    }
                    line.clear();
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(End::OfStream),
                Err(error) => return Err(error),
            },
        }
    }
}
