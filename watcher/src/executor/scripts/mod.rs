//! Restart scripts: each in a session of its own, with its output in a file, and always reaped. How long one may run, and
//! how many at once, the core decides. Scripts that run when this is dropped go on.

mod environment;
mod launch;
mod left;
mod output;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::{Id, JoinError, JoinSet},
    time::timeout_at,
};
use watcher_core::{Event, Level, RunEnd, RunId, ScriptOrder, pfile::AbsolutePath};

pub use self::{
    launch::check,
    left::{Left, Ran, complete},
};
use self::{
    launch::{Launched, launch},
    output::Output,
};
use crate::sys::{
    group::{self, Leader},
    own, signals,
};

/// How often outputs are to be looked at while a script runs.
pub const TEND_EVERY: Duration = Duration::from_millis(50);

/// How often the members of a group are looked for that was asked to end: that takes a look at every process.
const LOOK_FOR_MEMBERS_EVERY: Duration = Duration::from_millis(200);

/// How long a script may take to start when nobody wants to know of it any more.
const ABOUT_TO_START: Duration = Duration::from_secs(1);

/// Why a script is not started whose start hangs already.
const HANGS: &str = "it cannot be read: its file system does not answer";

/// A line for the log.
pub type Line = (Level, Vec<u8>);

/// All scripts that run.
#[derive(Debug)]
pub struct Scripts {
    children: Signal,
    starting: JoinSet<Result<Launched, String>>,
    started: Vec<Started>,
    runs: BTreeMap<RunId, Run>,
    /// Not even tried: told with the rest.
    refused: Vec<RunId>,
}

type Started = Result<(Id, Result<Launched, String>), JoinError>;

#[derive(Debug)]
struct Run {
    process: AbsolutePath,
    script: AbsolutePath,
    state: State,
    end: Option<End>,
}

#[derive(Debug)]
enum State {
    Starting(Id),
    Running { leader: Leader, output: Option<Output> },
}

/// That a run is wanted to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its group was asked to; its members were last looked for at this time.
    Asked {
        looked: Option<Instant>,
    },
    Forced,
    /// It was to be ended by force before it had begun. Its end has been told.
    Abandoned,
}

impl Scripts {
    /// # Errors
    /// When the signal that tells of the ends of children cannot be listened to.
    pub fn new() -> io::Result<Self> {
        signals::unblock_all();
        Ok(Self {
            children: signal(SignalKind::child())?,
            starting: JoinSet::new(),
            started: Vec::new(),
            runs: BTreeMap::new(),
            refused: Vec::new(),
        })
    }

    /// Starts a script; its output goes into this file, or nowhere. What comes of it is told by [`Self::collect`].
    pub fn start(&mut self, order: ScriptOrder, output: Option<PathBuf>) {
        let (run, process, script) = (order.run, order.process.clone(), order.script.clone());
        // Each start that hangs holds a thread: without an end to that, there would be none left for anything.
        if self.runs.values().any(|run| run.script == script && run.end == Some(End::Abandoned)) {
            self.refused.push(run);
            return;
        }
        let task = self.starting.spawn_blocking(move || launch(&order, output));
        self.runs.insert(run, Run { process, script, state: State::Starting(task.id()), end: None });
    }

    /// Ends a script with all of its process group: asks it to, or does it by force. Its end is told like any other.
    pub fn end(&mut self, run: RunId, force: bool, events: &mut Vec<Event>) {
        let Some(run_state) = self.runs.get_mut(&run) else { return };
        match (&run_state.state, force) {
            (State::Running { leader, .. }, false) => {
                leader.ask_to_end();
                run_state.end = Some(End::Asked { looked: None });
            }
            (State::Running { leader, .. }, true) => {
                leader.kill();
                run_state.end = Some(End::Forced);
            }
            (State::Starting(_), false) => run_state.end = Some(End::Asked { looked: None }),
            (State::Starting(_), true) if run_state.end == Some(End::Abandoned) => {}
            (State::Starting(_), true) => {
                // Nobody can be ended yet: the start hangs, most likely in a file system that does not answer.
                run_state.end = Some(End::Abandoned);
                events.push(Event::RunEnded { run, end: RunEnd::NotStarted(HANGS.to_owned()) });
            }
        }
    }

    /// Waits until there is something to collect.
    pub async fn ready(&mut self) {
        if !self.started.is_empty() || !self.refused.is_empty() {
            return;
        }
        tokio::select! {
            _ = self.children.recv() => {}
            Some(started) = self.starting.join_next_with_id() => self.started.push(started),
        }
    }

    /// Tells which scripts have started or ended, and what those that have ended said, as lines for the log.
    pub fn collect(&mut self, events: &mut Vec<Event>, lines: &mut Vec<Line>) {
        let refused = self.refused.drain(..);
        events.extend(refused.map(|run| Event::RunEnded { run, end: RunEnd::NotStarted(HANGS.to_owned()) }));
        while let Some(started) = self.starting.try_join_next_with_id() {
            self.started.push(started);
        }
        for started in std::mem::take(&mut self.started) {
            self.take_started(started, events, lines);
        }
        // The end of a child may have been signalled before its start was known here, so everyone is asked.
        let ended: Vec<_> = self.runs.iter_mut().filter_map(|(id, run)| run.is_over().then_some(*id)).collect();
        for id in ended {
            let Some(Run { process, script: _, state: State::Running { leader, output }, end }) = self.runs.remove(&id)
            else {
                continue;
            };
            if end.is_some() {
                // While the leader is not reaped, the number of its group belongs to nobody else.
                leader.kill();
            }
            let ending = leader.reap();
            if end != Some(End::Abandoned) {
                let said = output.map_or_else(Vec::new, |output| output.first_lines(&process));
                lines.extend(said.into_iter().map(|line| (Level::Notice, line)));
                events.push(Event::RunEnded { run: id, end: RunEnd::Ended(ending) });
            }
        }
    }

    /// Nobody wants to know of them any more: they run on, and leave is taken of them when they end. Those that are about to
    /// start have a moment for it; one whose start hangs will not run. The last news of all.
    pub async fn disown(&mut self, events: &mut Vec<Event>, lines: &mut Vec<Line>) {
        let until = tokio::time::Instant::now() + ABOUT_TO_START;
        while self.runs.values().any(|run| matches!(run.state, State::Starting(_)))
            && timeout_at(until, self.ready()).await.is_ok()
        {
            self.collect(events, lines);
        }
        let all: Vec<_> = self.runs.iter().map(|(id, run)| (*id, matches!(run.state, State::Starting(_)))).collect();
        for (id, _) in all.into_iter().filter(|(_, is_starting)| *is_starting) {
            self.end(id, true, events);
        }
        // Names that none will ever have who is told.
        let runs = std::mem::take(&mut self.runs);
        self.runs = runs.into_values().zip(0..).map(|(run, number)| (RunId(u64::MAX - number), run)).collect();
    }

    /// Whether a script runs: its output is then to be looked at every [`TEND_EVERY`].
    #[must_use]
    pub fn must_tend(&self) -> bool {
        !self.runs.is_empty()
    }

    /// Keeps the outputs of running scripts small, and looks after groups that were asked to end.
    pub fn tend(&mut self, events: &mut Vec<Event>, lines: &mut Vec<Line>) {
        for run in self.runs.values_mut() {
            if let State::Running { output: Some(output), .. } = &mut run.state {
                output.tend();
            }
        }
        self.collect(events, lines);
    }

    /// Takes leave of what scripts have left in the background and has ended: it is ours where we are the first process.
    pub fn reap_orphans(&self) {
        let leader = |run: &Run| match &run.state {
            State::Running { leader, .. } => Some(leader.pid()),
            // Its process may be there already, and is not known yet: another time.
            State::Starting(_) => None,
        };
        if own::pid().number() == 1
            && let Some(leaders) = self.runs.values().map(leader).collect::<Option<BTreeSet<_>>>()
        {
            group::reap_orphans(&leaders);
        }
    }

    /// Keeps all outputs in this folder small: services that were left in the background may still write to them.
    pub fn tend_folder(folder: &Path) {
        output::cut_all(folder);
    }

    fn take_started(&mut self, started: Started, events: &mut Vec<Event>, lines: &mut Vec<Line>) {
        let (id, launched) = match started {
            Ok(started) => started,
            Err(error) => (error.id(), Err(format!("its start has failed: {error}"))),
        };
        let is_it = |run: &Run| matches!(run.state, State::Starting(starting) if starting == id);
        let Some((&id, run)) = self.runs.iter_mut().find(|(_, run)| is_it(run)) else { return };
        match launched {
            Ok(Launched { leader, proc, output, no_output }) => {
                match run.end {
                    None => {}
                    Some(End::Asked { .. }) => leader.ask_to_end(),
                    Some(End::Forced | End::Abandoned) => leader.kill(),
                }
                if run.end != Some(End::Abandoned) {
                    lines.extend(no_output.map(|sentence| (Level::Warning, sentence.into_bytes())));
                    events.extend(proc.map(|script| Event::RunStarted { run: id, script }));
                }
                run.state = State::Running { leader, output };
            }
            Err(why) => {
                if run.end != Some(End::Abandoned) {
                    events.push(Event::RunEnded { run: id, end: RunEnd::NotStarted(why) });
                }
                self.runs.remove(&id);
            }
        }
    }
}

impl Run {
    /// Whether its script has ended and, if that was asked for, its group, too. The core does not wait for ever for that.
    fn is_over(&mut self) -> bool {
        let State::Running { leader, .. } = &self.state else { return false };
        if !leader.has_ended() {
            return false;
        }
        let Some(End::Asked { looked }) = &mut self.end else { return true };
        if looked.is_some_and(|looked| looked.elapsed() < LOOK_FOR_MEMBERS_EVERY) {
            return false;
        }
        *looked = Some(Instant::now());
        !leader.has_living_members()
    }
}
