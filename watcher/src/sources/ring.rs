//! Records of the kernel programs → events.

use std::io;

use watcher_abi::{ExitRecord, NS_PER_TICK, Stats};
use watcher_core::{Comm, Ending, Event, ExitNotice, Mono, Pid, ProcId, StartTicks};

use crate::{kernel::Ring, sys::readable::Readable};

/// The ring buffer as a source of events.
#[derive(Debug)]
pub struct RingSource {
    ring: Ring,
    readable: Readable,
    /// Records taken, and losses told, since the counters began.
    settled: u64,
    lost_and_told: u64,
}

impl RingSource {
    /// # Errors
    /// When the descriptor cannot be watched.
    pub fn new(ring: Ring) -> io::Result<Self> {
        // Nothing is on its way: the ring is empty, and nobody is watched yet.
        let Stats { claimed: settled, lost: lost_and_told, stale: _ } = ring.counters();
        Ok(Self { readable: Readable::of(&ring)?, ring, settled, lost_and_told })
    }

    /// Waits until there are records.
    ///
    /// # Errors
    /// When the descriptor cannot be watched any more.
    pub async fn readable(&self) -> io::Result<()> {
        self.readable.next().await
    }

    /// Takes every record there is, then tells of those that could not be delivered.
    pub fn drain(&mut self, events: &mut Vec<Event>) {
        while let Some(record) = self.ring.take() {
            self.settled += 1;
            events.extend(exit_notice(&record).map(Event::Exit));
        }
        let lost = self.ring.counters().lost;
        if lost != self.lost_and_told {
            let records = lost.wrapping_sub(self.lost_and_told);
            events.push(Event::Lost { records });
            self.settled += records;
            self.lost_and_told = lost;
        }
    }

    /// Whether a death was claimed by the kernel side that has neither been taken nor told as lost: its record is being
    /// written, which wakes us, or it is about to be counted as lost, which does not. So look again soon.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.ring.counters().claimed != self.settled
    }
}

fn exit_notice(record: &ExitRecord) -> Option<ExitNotice> {
    let ExitRecord { kind: _, pid, stamp_ns, start_ns, generation: _, wait_status, last_tid: _, comm } = *record;
    Some(ExitNotice {
        proc: ProcId { pid: Pid::new(pid)?, start: StartTicks(start_ns / NS_PER_TICK) },
        ending: Ending::from_wait_status(wait_status),
        at: Mono(stamp_ns),
        comm: Comm::new(comm),
    })
}
