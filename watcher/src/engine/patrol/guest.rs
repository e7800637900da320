//! A pcheck that has joined, as its post sees it: where what concerns its pfile is said. It is never waited for.

use std::path::PathBuf;

use tokio::sync::mpsc;
use watcher_core::{Level, Pid, RunId, ScriptOrder, pfile::AbsolutePath};

use crate::control::{
    Ended,
    join::{GuestId, Word},
};

/// So many words wait for one that is slow, or was stopped.
pub(super) const WORDS: usize = 2048;

/// So many of them are not for lines of the log: what is ordered must not be lost.
const FOR_ORDERS: usize = 1024;

/// The pcheck.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) id: GuestId,
    pub(super) pid: Pid,
    words: mpsc::Sender<Word>,
    /// Lines that were not sent.
    lost: u64,
    /// It was told that all is up.
    pub(super) is_up: bool,
}

impl Guest {
    pub(super) const fn new(id: GuestId, pid: Pid, words: mpsc::Sender<Word>) -> Self {
        Self { id, pid, words, lost: 0, is_up: false }
    }

    /// Says something that is no line of the log. There is room for it, but for one that takes nothing any more. One place is
    /// left for the last word.
    pub(super) fn say(&self, word: Word) -> bool {
        self.words.capacity() > 1 && self.words.try_send(word).is_ok()
    }

    /// A line for its log. What it does not take in time is counted.
    pub(super) fn log(&mut self, level: Level, line: Vec<u8>) {
        if self.words.capacity() <= FOR_ORDERS {
            self.lost += 1;
            return;
        }
        if self.lost > 0 && self.say(Word::Lost(self.lost)) {
            self.lost = 0;
        }
        let _sent_unless_gone = self.say(Word::Log(level, line));
    }

    /// Has a script run.
    pub(super) fn run(&self, order: Box<ScriptOrder>, output: PathBuf) -> Result<(), String> {
        // Its working directory is another one.
        let output = std::path::absolute(&output).unwrap_or(output);
        if self.say(Word::Run(order, output)) {
            return Ok(());
        }
        Err(format!("pcheck (process {}) takes no orders: is it stopped?", self.pid))
    }

    pub(super) fn end_run(&self, run: RunId, force: bool) {
        let _sent_unless_gone = self.say(Word::EndRun { run, force });
    }

    /// The last word.
    pub(super) fn end(self, how: Ended) {
        let _sent_unless_gone = self.words.try_send(Word::Ended(how));
    }

    /// How the daemon's own log names it.
    pub(super) fn name(&self, pfile: &AbsolutePath) -> String {
        format!("pcheck[{}], which has joined for {pfile}", self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_takes_nothing_loses_lines_and_gets_the_last_word() {
        let (words, mut taken) = mpsc::channel(WORDS);
        let mut guest = Guest::new(GuestId(1), Pid::new(1).unwrap(), words);
        for _ in 0..10 * WORDS {
            guest.log(Level::Notice, b"line".to_vec());
        }
        let lines = WORDS - FOR_ORDERS;
        assert_eq!(guest.lost as usize, 10 * WORDS - lines);
        for run in 0..10 * WORDS as u64 {
            guest.end_run(RunId(run), true);
            guest.say(Word::Reloading);
        }
        guest.end(Ended::Exit);
        let mut all = Vec::new();
        while let Some(word) = taken.blocking_recv() {
            all.push(word);
        }
        assert_eq!(all.len(), WORDS);
        assert_eq!(all.iter().filter(|word| matches!(word, Word::Log(..))).count(), lines);
        assert_eq!(all.last(), Some(&Word::Ended(Ended::Exit)));
    }

    #[test]
    fn one_that_takes_again_is_told_how_much_it_has_lost() {
        let (words, mut taken) = mpsc::channel(WORDS);
        let mut guest = Guest::new(GuestId(1), Pid::new(1).unwrap(), words);
        for _ in 0..WORDS {
            guest.log(Level::Notice, b"early".to_vec());
        }
        while taken.try_recv().is_ok() {}
        guest.log(Level::Notice, b"late".to_vec());
        assert_eq!(taken.try_recv().unwrap(), Word::Lost(FOR_ORDERS as u64));
        assert_eq!(taken.try_recv().unwrap(), Word::Log(Level::Notice, b"late".to_vec()));
    }
}
