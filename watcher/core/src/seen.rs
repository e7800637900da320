//! How much has been told so far, by kind.

use crate::Event;

/// What was told since the watch began, and what is known to be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Records of the kernel about processes that die.
    pub deaths: u64,
    /// Processes that were found to be gone, or dead.
    pub ends: u64,
    /// Starts of programs that somebody waited for.
    pub starts: u64,
    /// Records of the kernel about sockets.
    pub sockets: u64,
    /// Records about processes that were lost; all were looked at then.
    pub lost: u64,
    /// Records about sockets that were lost.
    pub lost_sockets: u64,
}

impl Seen {
    /// One more.
    pub fn count(&mut self, event: &Event) {
        let (counted, by) = match event {
            Event::Exit(_) => (&mut self.deaths, 1),
            Event::Gone { .. } | Event::Zombie { .. } => (&mut self.ends, 1),
            Event::Exec { .. } => (&mut self.starts, 1),
            Event::Socket(_) => (&mut self.sockets, 1),
            Event::Lost { records } => (&mut self.lost, *records),
            Event::SocketsLost { records } => (&mut self.lost_sockets, *records),
            // What was asked for, or comes from within.
            Event::Deadline
            | Event::Listed { .. }
            | Event::Order { .. }
            | Event::PortLooked { .. }
            | Event::PortWatched { .. }
            | Event::Probed { .. }
            | Event::Rules { .. }
            | Event::RunEnded { .. }
            | Event::RunStarted { .. }
            | Event::StartsUntold
            | Event::Stop { .. } => return,
        };
        *counted = counted.saturating_add(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ending, Pid, ProcId, StartTicks};

    #[test]
    fn losses_count_as_many_as_they_say() {
        let proc = ProcId { pid: Pid::new(5).unwrap(), start: StartTicks(1) };
        let mut seen = Seen::default();
        let ending = Ending::Unknown;
        for event in [
            Event::Gone { proc, ending },
            Event::Zombie { proc, ending },
            Event::Exec { proc },
            Event::Lost { records: 7 },
            Event::SocketsLost { records: u64::MAX },
            Event::SocketsLost { records: 1 },
            Event::Deadline,
        ] {
            seen.count(&event);
        }
        let lost_sockets = u64::MAX;
        assert_eq!(seen, Seen { deaths: 0, ends: 2, starts: 1, sockets: 0, lost: 7, lost_sockets });
    }
}
