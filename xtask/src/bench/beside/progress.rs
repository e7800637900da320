//! How far it is: a bar on a terminal, a line a step elsewhere.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::{Duration, Instant},
};

use crate::say;

pub(super) struct Progress {
    /// Of all that is to be done, as estimated.
    total: Duration,
    /// Of what has been done.
    done: Duration,
    /// Of what is under way, since when, and what it is.
    now: Option<(Duration, Instant, String)>,
    is_terminal: bool,
}

impl Progress {
    pub(super) fn over(total: Duration) -> Self {
        Self { total, done: Duration::ZERO, now: None, is_terminal: stderr().is_terminal() }
    }

    pub(super) fn begin(&mut self, what: &str, estimate: Duration) {
        self.now = Some((estimate, Instant::now(), what.to_owned()));
        if !self.is_terminal {
            say(&format!("{what}; {} left in all", spoken(self.left())));
        }
    }

    /// Shows where it is.
    pub(super) fn show(&self, phase: &str) {
        const WIDTH: usize = 30;
        let Some((_, _, what)) = self.now.as_ref().filter(|_| self.is_terminal) else { return };
        let part = 1.0 - self.left().as_secs_f64() / self.total.as_secs_f64().max(1.0);
        let filled = (part.clamp(0.0, 1.0) * WIDTH as f64) as usize;
        let bar = format!("{}{}", "#".repeat(filled), ".".repeat(WIDTH - filled));
        // What cannot be shown is no reason to stop.
        let _shown = write!(stderr(), "\r\x1b[K[{bar}] {} left; {what}: {phase}", spoken(self.left()));
    }

    /// Says something that stays.
    pub(super) fn say(&self, what: &str) {
        if self.is_terminal {
            let _shown = write!(stderr(), "\r\x1b[K");
        }
        say(what);
    }

    pub(super) fn end(&mut self) {
        self.done += self.now.take().map_or(Duration::ZERO, |(estimate, _, _)| estimate);
        if self.is_terminal {
            let _shown = write!(stderr(), "\r\x1b[K");
        }
    }

    fn left(&self) -> Duration {
        let now = self.now.as_ref().map_or(Duration::ZERO, |(estimate, since, _)| since.elapsed().min(*estimate));
        self.total.saturating_sub(self.done + now)
    }
}

/// For people.
pub(super) fn spoken(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=89 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Progress, spoken};

    #[test]
    fn what_is_left_shrinks_with_what_is_done() {
        let mut progress = Progress::over(Duration::from_secs(300));
        progress.begin("one", Duration::from_secs(100));
        progress.end();
        assert_eq!(spoken(progress.left()), "3 min");
        progress.begin("another", Duration::from_secs(200));
        progress.end();
        assert_eq!(spoken(progress.left()), "0 s");
    }
}
