//! What has happened so far, counted for those who draw curves of it: deaths by cause, restarts, alarms, and how soon deaths
//! were known.

use std::collections::BTreeMap;

use crate::{Ending, Note, Origin, Reason, SocketAlarm, Span};

/// What was told since the watch began.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Processes of entries that died.
    downs: u64,
    /// Those of which it is known why.
    causes: BTreeMap<Fate, u64>,
    /// Scripts that were asked for, by why.
    restarts: BTreeMap<Reason, u64>,
    /// Entries whose retries were used up.
    pub gave_up: u64,
    /// Services that did not answer for too long.
    pub stalls: u64,
    /// What was told of sockets.
    alarms: BTreeMap<SocketAlarm, u64>,
    /// From the kernel's stamp on a death to knowing it.
    pub detection: Histogram,
}

/// Why a process died, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It exited with code 0.
    Success,
    /// It exited with another code.
    Failure,
    /// A signal killed it.
    Signal,
    /// The kernel killed it for want of memory.
    OutOfMemory,
    /// Nobody could tell.
    Unknown,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Success, Self::Failure, Self::Signal, Self::OutOfMemory, Self::Unknown];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Signal => "signal",
            Self::OutOfMemory => "out_of_memory",
            Self::Unknown => "unknown",
        }
    }

    const fn of(ending: Ending, origin: Option<Origin>) -> Self {
        match (ending, origin) {
            (_, Some(Origin::OutOfMemory)) => Self::OutOfMemory,
            (Ending::Exited { code: 0 }, _) => Self::Success,
            (Ending::Exited { .. }, _) => Self::Failure,
            (Ending::Killed { .. }, _) => Self::Signal,
            (Ending::Unknown, _) => Self::Unknown,
        }
    }
}

impl Tally {
    /// One more.
    pub fn count(&mut self, note: &Note) {
        let counted = match note {
            // One that was never there has not died, and nobody dies twice.
            Note::Down { pid: Some(_), again: false } => &mut self.downs,
            Note::Cause { pid: _, ending, origin, cause: _, latency } => {
                if let Some(latency) = latency {
                    self.detection.count(*latency);
                }
                self.causes.entry(Fate::of(*ending, *origin)).or_default()
            }
            Note::TryToRestart { reason, .. } => self.restarts.entry(*reason).or_default(),
            Note::RetryOver { .. } => &mut self.gave_up,
            Note::Stall { .. } => &mut self.stalls,
            Note::SocketAlarm { alarm, .. } | Note::Shortage { alarm, .. } => self.alarms.entry(*alarm).or_default(),
            Note::AnswersAgain { .. }
            | Note::CannotKill { .. }
            | Note::CertificateEnds { .. }
            | Note::CheckEnds { .. }
            | Note::CountWrong { .. }
            | Note::Down { .. }
            | Note::Fatal
            | Note::Gone { .. }
            | Note::GroupRestart { .. }
            | Note::Killed { .. }
            | Note::Lost { .. }
            | Note::MemberAsked { .. }
            | Note::MemberKilled { .. }
            | Note::NoAnswer { .. }
            | Note::NotAsked { .. }
            | Note::NotReloaded { .. }
            | Note::Paused
            | Note::Reloaded { .. }
            | Note::Resumed
            | Note::ScriptEnded { .. }
            | Note::ScriptOverdue { .. }
            | Note::ScriptSlow { .. }
            | Note::Set { .. }
            | Note::SetPidFail
            | Note::SignalCaught { .. }
            | Note::SocketClear { .. }
            | Note::SocketStall { .. }
            | Note::StallsHeld { .. }
            | Note::StallsReleased
            | Note::Stop
            | Note::Unanswered { .. }
            | Note::Up { .. } => return,
        };
        *counted = counted.saturating_add(1);
    }

    /// How many processes died so. A cause is told right after its death: whose was not told is not known.
    #[must_use]
    pub fn deaths(&self, fate: Fate) -> u64 {
        let of = |fate| self.causes.get(&fate).copied().unwrap_or(0);
        match fate {
            Fate::Unknown => of(fate) + self.downs.saturating_sub(self.causes.values().sum()),
            Fate::Success | Fate::Failure | Fate::Signal | Fate::OutOfMemory => of(fate),
        }
    }

    /// How many scripts were asked for, for this reason.
    #[must_use]
    pub fn restarts(&self, reason: Reason) -> u64 {
        self.restarts.get(&reason).copied().unwrap_or(0)
    }

    /// How often this was told of sockets.
    #[must_use]
    pub fn alarms(&self, alarm: SocketAlarm) -> u64 {
        self.alarms.get(&alarm).copied().unwrap_or(0)
    }
}

/// How long something took, each time.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: [u64; Self::BOUNDS.len()],
    all: u64,
    sum: Span,
}

impl Histogram {
    /// Up to which spans are counted together, in microseconds: from what a good tier takes to what a poor one does.
    const BOUNDS: [u64; 12] = [25, 50, 100, 250, 500, 1_000, 5_000, 25_000, 100_000, 1_000_000, 10_000_000, 60_000_000];

    /// One more.
    pub fn count(&mut self, span: Span) {
        if let Some((_, counted)) = Self::BOUNDS.iter().zip(&mut self.counts).find(|(most, _)| span.0 <= **most * 1_000)
        {
            *counted = counted.saturating_add(1);
        }
        self.all = self.all.saturating_add(1);
        self.sum = Span(self.sum.0.saturating_add(span.0));
    }

    /// How many took at most so long, for each bound from the lowest on.
    pub fn up_to(&self) -> impl Iterator<Item = (Span, u64)> {
        let mut below = 0_u64;
        Self::BOUNDS.iter().zip(&self.counts).map(move |(most, count)| {
            below = below.saturating_add(*count);
            (Span(most * 1_000), below)
        })
    }

    /// How many there were.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.all
    }

    /// How long all of them took together.
    #[must_use]
    pub const fn sum(&self) -> Span {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pid, Signal};

    fn died(ending: Ending, origin: Option<Origin>) -> [Note; 2] {
        let pid = Pid::new(5).unwrap();
        let cause = Note::Cause { pid, ending, origin, cause: String::new(), latency: Some(Span(30_000)) };
        [Note::Down { pid: Some(pid), again: false }, cause]
    }

    #[test]
    fn each_death_counts_once_by_its_cause_and_by_none_where_it_is_not_known() {
        let mut tally = Tally::default();
        let killed = Ending::Killed { signal: Signal(9), core_dumped: false };
        let told = [
            died(Ending::Exited { code: 0 }, None),
            died(Ending::Exited { code: 1 }, Some(Origin::User)),
            died(killed, Some(Origin::User)),
            died(killed, Some(Origin::OutOfMemory)),
            died(Ending::Unknown, None),
        ];
        told.iter().flatten().for_each(|note| tally.count(note));
        tally.count(&Note::Down { pid: Pid::new(6), again: false });
        tally.count(&Note::Down { pid: Pid::new(6), again: true });
        tally.count(&Note::Down { pid: None, again: false });
        let deaths = Fate::ALL.map(|fate| tally.deaths(fate));
        assert_eq!(deaths, [1, 1, 1, 1, 2]);
        assert_eq!(tally.detection.all(), 5);
    }

    #[test]
    fn a_histogram_says_how_many_took_at_most_so_long() {
        let mut histogram = Histogram::default();
        [25_000, 25_001, 90_000_000_000].into_iter().for_each(|nanos| histogram.count(Span(nanos)));
        let up_to: Vec<_> = histogram.up_to().map(|(most, count)| (most.0 / 1_000, count)).collect();
        assert_eq!(up_to[..2], [(25, 1), (50, 2)]);
        assert_eq!(up_to.last(), Some(&(60_000_000, 2)));
        assert_eq!((histogram.all(), histogram.sum()), (3, Span(90_000_050_001)));
    }
}
