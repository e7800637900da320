//! A place that lines go to, and those that wait for it.

use std::{collections::VecDeque, io};

/// So many lines may wait at first. Then the oldest go.
pub(super) const MOST: usize = 1000;

/// Where lines go.
pub(super) trait Sink {
    /// Takes a whole line, or nothing of it.
    ///
    /// # Errors
    /// When it does not now.
    fn send(&mut self, line: &[u8]) -> Result<(), NotNow>;

    /// Goes on with a line that it has taken but could not pass on in full.
    ///
    /// # Errors
    /// When it still cannot.
    fn go_on(&mut self) -> Result<(), NotNow>;

    /// Whether there is such a line.
    fn is_at_it(&self) -> bool;
}

/// Why a line was not taken.
#[derive(Debug)]
pub(super) enum NotNow {
    /// Nobody takes lines there.
    Absent(io::Error),
    /// Whoever does is slow.
    Full,
}

#[derive(Debug)]
pub(super) struct Outlet<S> {
    pub(super) sink: S,
    waiting: VecDeque<Vec<u8>>,
    /// So many may.
    pub(super) most: usize,
    lost: u64,
}

impl<S: Sink> Outlet<S> {
    pub(super) const fn new(sink: S) -> Self {
        Self { sink, waiting: VecDeque::new(), most: MOST, lost: 0 }
    }

    pub(super) fn push(&mut self, line: Vec<u8>) {
        self.waiting.push_back(line);
        while self.waiting.len() > self.most {
            self.waiting.pop_front();
            self.lost += 1;
        }
    }

    pub(super) fn must_flush(&self) -> bool {
        !self.waiting.is_empty() || self.lost > 0 || self.sink.is_at_it()
    }

    #[cfg(test)]
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Passes on what waits. First of all goes a line about those that were lost: they were the oldest.
    pub(super) fn flush(&mut self, lost: impl Fn(u64) -> Vec<u8>) -> Result<(), NotNow> {
        self.sink.go_on()?;
        if self.lost > 0 {
            self.sink.send(&lost(self.lost))?;
            self.lost = 0;
        }
        while let Some(line) = self.waiting.front() {
            self.sink.send(line)?;
            self.waiting.pop_front();
        }
        // What a burst has taken is not kept.
        self.waiting.shrink_to(0);
        Ok(())
    }
}
