//! The answer: a first line, `{"version":1,"answer":…}`, and for what is long as many lines as that says.

use serde::{Deserialize, Serialize};
use tokio::{
    sync::{broadcast, watch},
    task::spawn_blocking,
};
use watcher_core::{
    Answer, Mono, Pid, Wall,
    fleet::{EntryView, FleetView},
    monitor::Standing,
    pfile::AbsolutePath,
};

use super::{
    Line,
    ended::Ended,
    join::Session,
    metrics::Metrics,
    protocol::VERSION,
    status::{Process, ProcessLine, Status, StatusLine},
    view::{MonitorLine, ParamLine, WhoLine},
};

/// What the engine answers.
#[derive(Debug)]
pub enum Reply {
    /// To an order.
    Answer(Answer),
    /// To `ShowEntries`: how they stand at this moment.
    Entries(Mono, Vec<EntryView>),
    /// To `Events`.
    Events {
        /// Those that are remembered.
        last: Vec<Line>,
        /// Those to come, where they are wanted; they end when the sender goes.
        live: Option<broadcast::Receiver<Line>>,
    },
    /// To `Why`: they are made when the engine has its turn again, since there may be very many.
    Making(Making),
    /// To `Metrics`.
    Metrics(Box<Metrics>),
    /// To `Monitor`.
    Monitor(Standing),
    /// To `ShowParam`.
    Param(FleetView),
    /// To `Status`, of a daemon itself: how it stands at this moment.
    Process(Mono, Box<Process>),
    /// To `Join`: what is said next is said there.
    Session(Session),
    /// To `Status`.
    Status(Box<Status>),
    /// To `Wait`: how the watch ends, when it does. It ends without a word when the sender goes.
    Wait(watch::Receiver<Option<Ended>>),
    /// To `Ping`.
    Who(Box<Who>),
}

/// Lines that are still to be made, or why there are none.
pub struct Making(Box<dyn FnOnce() -> Result<Vec<Line>, String> + Send>);

impl Making {
    /// By this.
    pub fn by(make: impl FnOnce() -> Result<Vec<Line>, String> + Send + 'static) -> Self {
        Self(Box::new(make))
    }

    /// Makes them, on another thread.
    ///
    /// # Errors
    /// Says why there are none.
    pub(super) async fn make(self) -> Result<Vec<Line>, String> {
        let Self(make) = self;
        spawn_blocking(make).await.unwrap_or_else(|error| Err(format!("it has failed: {error}")))
    }
}

impl std::fmt::Debug for Making {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Making").finish_non_exhaustive()
    }
}

impl Reply {
    /// A refusal.
    #[must_use]
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Answer(Answer::Refused(why.into()))
    }
}

/// A running pcheck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Its process.
    pub pid: Pid,
    /// Its pfile, by its full path.
    pub pfile: AbsolutePath,
    /// Since when it watches.
    pub since: Wall,
    /// What it watches.
    pub fleet: FleetView,
}

/// The first line of an answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Head {
    Done,
    /// So many lines follow, one for each entry.
    Entries {
        count: usize,
    },
    /// So many lines follow; where that is not known, until the connection is closed.
    Lines {
        count: Option<usize>,
    },
    /// More follows, until the connection is closed.
    Joining,
    Monitor(MonitorLine),
    Param(ParamLine),
    Process(Box<ProcessLine>),
    Refused {
        why: String,
    },
    /// As many lines follow as it says, one for each entry.
    Status(Box<StatusLine>),
    /// A line follows when the watch ends.
    Waiting,
    Who(WhoLine),
}

#[derive(Debug, Deserialize, Serialize)]
struct Versioned<T> {
    version: u32,
    answer: T,
}

impl Head {
    /// The line, with its line feed.
    pub(super) fn line(&self) -> serde_json::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(&Versioned { version: VERSION, answer: self })?;
        line.push(b'\n');
        Ok(line)
    }

    /// Reads a line of this version.
    pub(super) fn read(line: &str) -> serde_json::Result<Self> {
        let Versioned::<Self> { version: _, answer } = serde_json::from_str(line)?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_what_other_programs_may_rely_on() {
        let wire = |head: Head| String::from_utf8(head.line().unwrap()).unwrap();
        assert_eq!(wire(Head::Waiting), "{\"version\":1,\"answer\":\"waiting\"}\n");
        assert_eq!(wire(Head::Done), "{\"version\":1,\"answer\":\"done\"}\n");
        let refused = Head::Refused { why: "no".to_owned() };
        assert_eq!(wire(refused), "{\"version\":1,\"answer\":{\"refused\":{\"why\":\"no\"}}}\n");
        let lines = Head::Lines { count: None };
        assert_eq!(Head::read(&wire(lines.clone())).unwrap(), lines);
    }
}
