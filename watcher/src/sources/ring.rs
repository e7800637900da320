//! Records of the kernel programs → events.

use std::io;

use watcher_abi::{ExitRecord, NS_PER_TICK};
use watcher_core::{Comm, Ending, Event, ExitNotice, Mono, Pid, ProcId, StartTicks};

use crate::{kernel::Ring, sys::readable::Readable};

/// The ring buffer as a source of events.
#[derive(Debug)]
pub struct RingSource {
    ring: Ring,
    readable: Readable,
    lost_and_told: u64,
}

impl RingSource {
    /// # Errors
    /// When the descriptor cannot be watched.
    pub fn new(ring: Ring) -> io::Result<Self> {
        let lost_and_told = ring.counters().lost;
        Ok(Self { readable: Readable::of(&ring)?, ring, lost_and_told })
    }

    /// Waits until there are records.
    ///
    /// # Errors
    /// When the descriptor cannot be watched any more.
    pub async fn readable(&self) -> io::Result<()> {
        self.readable.next().await
    }

    /// Takes every record there is, then looks whether some could not be delivered: they are lost only while the ring
    /// is full, and a full ring is drained here.
    pub fn drain(&mut self, events: &mut Vec<Event>) {
        while let Some(record) = self.ring.take() {
            events.extend(exit_notice(&record).map(Event::Exit));
        }
        let lost = self.ring.counters().lost;
        if lost != self.lost_and_told {
            events.push(Event::Lost { records: lost.wrapping_sub(self.lost_and_told) });
            self.lost_and_told = lost;
        }
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
