//! Restart scripts of the host made of numbers.

use watcher_core::{Ending, Event, Pid, ProcId, RunEnd, ScriptOrder, Span, StartTicks, pfile::select::Process};

use crate::world::{Happening, World};

/// What a restart script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Starts the process, and ends after so many milliseconds.
    Restarts(u32),
    /// The same, but it ends those that are there first.
    Replaces(u32),
    /// The same as `Restarts`, but the process appears only so many milliseconds after its end.
    RestartsLate(u32),
    /// Starts a process that dies after so many milliseconds.
    StartsWhatDies(u32),
    /// Ends at once and starts nothing.
    DoesNothing,
    /// Starts a process that goes to the background after so many milliseconds: it ends, and leaves another one.
    StartsDaemon(u32),
    /// Cannot be started.
    Missing,
    /// Hangs until it is asked to end.
    Hangs,
    /// Hangs until it is ended by force.
    HangsHard,
}

impl World {
    /// Runs a script.
    pub(crate) fn run(&mut self, order: ScriptOrder) {
        let (run, entry) = (order.run, order.number.number());
        assert!(self.at_work.values().all(|busy| *busy != order.entry), "two scripts of one entry at once");
        self.at_work.insert(run, order.entry);
        let script = self.scripts.get(&entry).copied().unwrap_or(self.default_script);
        self.ran.push((self.now, order));
        self.running.insert(run, (entry, script));
        if script != Script::Missing {
            self.next_pid += 1;
            let script = ProcId { pid: Pid::new(self.next_pid).unwrap(), start: StartTicks(self.now.0 / 10_000_000) };
            self.pending.push_back(Event::RunStarted { run, script });
        }
        let command_line = self.command_line(entry);
        let done = RunEnd::Ended(Ending::Exited { code: 0 });
        match script {
            Script::Restarts(millis) | Script::Replaces(millis) => {
                let is_old = |process: &Process| process.command_line.as_slice() == command_line.as_bytes();
                let olds: Vec<_> = self.processes.iter().filter(|(_, (process, _))| is_old(process)).collect();
                let olds: Vec<_> = olds.into_iter().map(|(proc, _)| *proc).collect();
                if matches!(script, Script::Replaces(_)) {
                    olds.into_iter().for_each(|old| self.kill(old));
                }
                self.later(Span::of_millis(millis), Happening::Appears(command_line));
                self.later(Span::of_millis(millis), Happening::ScriptEnds(run, done));
            }
            Script::RestartsLate(millis) => {
                self.later(Span::of_millis(1), Happening::ScriptEnds(run, done));
                self.later(Span::of_millis(millis + 1), Happening::Appears(command_line));
            }
            Script::StartsWhatDies(millis) => {
                let proc = self.start(&command_line);
                self.later(Span::of_millis(millis), Happening::Dies(proc));
                self.later(Span::of_millis(1), Happening::ScriptEnds(run, done));
            }
            Script::StartsDaemon(millis) => {
                let proc = self.start(&command_line);
                self.later(Span::of_millis(millis), Happening::GoesToBackground(proc, command_line));
                self.later(Span::of_millis(1), Happening::ScriptEnds(run, done));
            }
            Script::DoesNothing => self.later(Span::of_millis(1), Happening::ScriptEnds(run, done)),
            Script::Missing => {
                self.later(Span(0), Happening::ScriptEnds(run, RunEnd::NotStarted("no such file".into())))
            }
            Script::Hangs | Script::HangsHard => {}
        }
    }
}
