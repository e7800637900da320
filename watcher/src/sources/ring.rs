//! Records of the kernel programs → events.

use std::io;

use watcher_abi::{ExecRecord, ExitRecord, NS_PER_TICK, SocketRecord, Stats, alarm, origin};
use watcher_core::{
    Blame, Comm, Ending, Event, ExitNotice, Mono, NetNs, Origin, Pid, PortKey, ProcId, Sender, Signal, SocketAlarm,
    SocketNews, StartTicks,
};

use crate::{
    kernel::{Record, Ring},
    sys::readable::Readable,
};

/// The ring buffer as a source of events.
#[derive(Debug)]
pub struct RingSource {
    ring: Ring,
    readable: Readable,
    /// Records taken, and losses told, since the counters began.
    settled: u64,
    lost_and_told: u64,
    /// The same for starts, of which the sums above know nothing.
    lost_execs_and_told: u64,
    lost_sockets_and_told: u64,
    /// Why records could not be taken.
    trouble: Option<io::Error>,
}

impl RingSource {
    /// # Errors
    /// When the descriptor cannot be watched.
    pub fn new(ring: Ring) -> io::Result<Self> {
        // Nothing is on its way: the ring is empty, and nobody is watched yet.
        let Stats { claimed, lost, stale: _, lost_execs, lost_sockets, interruptible: _ } = ring.counters();
        Ok(Self {
            readable: Readable::of(&ring)?,
            ring,
            settled: claimed,
            lost_and_told: lost,
            lost_execs_and_told: lost_execs,
            lost_sockets_and_told: lost_sockets,
            trouble: None,
        })
    }

    /// Waits until there are records.
    ///
    /// # Errors
    /// When the descriptor cannot be watched any more, or what is there cannot be taken.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.trouble {
            Some(error) => Err(io::Error::new(error.kind(), format!("the kernel's records cannot be read: {error}"))),
            None => self.readable.next().await,
        }
    }

    /// Takes every record there is, then tells of those that could not be delivered.
    pub fn drain(&mut self, events: &mut Vec<Event>) {
        loop {
            match self.ring.take() {
                Ok(Some(Record::Exec(record))) => events.extend(exec(&record)),
                Ok(Some(Record::Exit(record))) => {
                    self.settled += 1;
                    events.extend(exit_notice(&record).map(Event::Exit));
                }
                Ok(Some(Record::Socket(record))) => events.extend(socket_news(&record).map(Event::Socket)),
                Ok(None) => break,
                Err(error) => {
                    self.trouble = Some(error);
                    break;
                }
            }
        }
        let Stats { lost, lost_execs, lost_sockets, claimed: _, stale: _, interruptible: _ } = self.ring.counters();
        if lost != self.lost_and_told {
            let records = lost.wrapping_sub(self.lost_and_told);
            events.push(Event::Lost { records });
            self.settled += records;
            self.lost_and_told = lost;
        }
        if lost_execs != self.lost_execs_and_told {
            events.push(Event::Lost { records: lost_execs.wrapping_sub(self.lost_execs_and_told) });
            self.lost_execs_and_told = lost_execs;
        }
        if lost_sockets != self.lost_sockets_and_told {
            events.push(Event::SocketsLost { records: lost_sockets.wrapping_sub(self.lost_sockets_and_told) });
            self.lost_sockets_and_told = lost_sockets;
        }
    }

    /// Whether a death was claimed by the kernel side that has neither been taken nor told as lost: its record is being
    /// written, which wakes us, or it is about to be counted as lost, which does not. So look again soon.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.ring.counters().claimed != self.settled
    }
}

fn exec(record: &ExecRecord) -> Option<Event> {
    let ExecRecord { kind: _, pid, stamp_ns: _, start_ns, comm: _ } = *record;
    Some(Event::Exec { proc: proc_id(pid, start_ns)? })
}

fn socket_news(record: &SocketRecord) -> Option<SocketNews> {
    let SocketRecord { kind: _, alarm, key, stamp_ns, value, limit, raised, reserved: _ } = *record;
    let alarm = match alarm {
        alarm::ACCEPT_QUEUE => SocketAlarm::AcceptQueue,
        alarm::ACCEPT_FULL => SocketAlarm::AcceptFull,
        alarm::CLOSE_WAIT => SocketAlarm::CloseWait,
        alarm::ESTABLISHED => SocketAlarm::Established,
        alarm::LISTENER_GONE => SocketAlarm::ListenerGone,
        alarm::EPHEMERAL => SocketAlarm::Ephemeral,
        alarm::MEMORY => SocketAlarm::Memory,
        alarm::HALF_OPEN => SocketAlarm::HalfOpen,
        alarm::DESCRIPTORS => SocketAlarm::Descriptors,
        _ => return None,
    };
    let key = PortKey { netns: NetNs(key.netns), port: u16::try_from(key.port).ok()? };
    Some(SocketNews { key, alarm, raised: raised != 0, value, limit, at: Mono(stamp_ns) })
}

fn proc_id(number: u32, start_ns: u64) -> Option<ProcId> {
    Some(ProcId { pid: Pid::new(number)?, start: StartTicks(start_ns / NS_PER_TICK) })
}

fn exit_notice(record: &ExitRecord) -> Option<ExitNotice> {
    let ExitRecord { kind: _, pid, stamp_ns, start_ns, generation: _, wait_status, last_tid: _, comm, blame: said } =
        *record;
    Some(ExitNotice {
        proc: proc_id(pid, start_ns)?,
        ending: Ending::from_wait_status(wait_status),
        at: Mono(stamp_ns),
        comm: Comm::new(comm),
        blame: blame(&said),
    })
}

fn blame(said: &watcher_abi::Blame) -> Option<Blame> {
    let watcher_abi::Blame { stamp_ns, signal, origin, sender_pid, sender_uid, comm } = *said;
    let origin = match origin {
        origin::USER => Origin::User,
        origin::OWN => Origin::Own,
        origin::FAULT => Origin::Fault,
        origin::KERNEL => Origin::Kernel,
        origin::OUT_OF_MEMORY => Origin::OutOfMemory,
        _ => return None,
    };
    let sender = match origin {
        Origin::User | Origin::Own => {
            Some(Sender { pid: Pid::new(sender_pid), uid: sender_uid, comm: Comm::new(comm) })
        }
        Origin::Fault | Origin::Kernel | Origin::OutOfMemory => None,
    };
    let signal = u8::try_from(signal).ok().filter(|signal| *signal != 0)?;
    Some(Blame { signal: Signal(signal), origin, sender, at: Mono(stamp_ns) })
}
