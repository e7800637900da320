//! Whether the programs do on this kernel what they are meant to do, seen on one child that dies for it.
//!
//! Versions prove nothing (vendors move features back and forth), and a wrong offset would be silent. So before the
//! tier is used, one death must be reported with the right pid, start time, name and wait status.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use watcher_abi::{ExitRecord, NS_PER_TICK};
use watcher_core::{Ending, StartTicks};

use super::{Interest, Refusal, Ring};
use crate::sys::{child::WaitingChild, proc};

/// Exit code of the child: one that nothing else would give by chance.
const CODE: u8 = 87;

/// How long a report may take; it takes microseconds on a healthy host.
const LIMIT: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

pub(super) fn run(ring: &mut Ring, interest: &mut Interest) -> Result<(), Refusal> {
    let child = WaitingChild::fork(CODE).map_err(Refusal::SelfTestChild)?;
    let facts = proc::facts(child.pid()).map_err(Refusal::Proc)?.ok_or_else(|| failed("its child is not in /proc"))?;
    interest.watch(facts.proc, 0)?;
    child.release().map_err(Refusal::SelfTestChild)?;
    let record = await_record(ring);
    interest.unwatch(facts.proc);
    let record = record.ok_or_else(|| failed("the death of a watched child was not reported"))?;
    compare(&record, &facts)
}

fn await_record(ring: &mut Ring) -> Option<ExitRecord> {
    if let Some(record) = ring.take() {
        return Some(record);
    }
    let mut polled = [PollFd::new(&*ring, PollFlags::IN)];
    let _awaited = poll(&mut polled, Some(&LIMIT));
    ring.take()
}

fn compare(record: &ExitRecord, facts: &proc::Facts) -> Result<(), Refusal> {
    let comm = record.comm.split(|byte| *byte == 0).next().unwrap_or_default();
    let checks = [
        ("pid", record.pid == facts.proc.pid.number()),
        ("start time", StartTicks(record.start_ns / NS_PER_TICK) == facts.proc.start),
        ("exit code", Ending::from_wait_status(record.wait_status) == Ending::Exited { code: CODE }),
        ("command name", String::from_utf8_lossy(comm) == facts.comm),
    ];
    match checks.into_iter().find(|(_, right)| !right) {
        None => Ok(()),
        Some((what, _)) => Err(failed(&format!("the death of a child was reported with a wrong {what}"))),
    }
}

fn failed(what: &str) -> Refusal {
    Refusal::SelfTest { what: what.to_owned() }
}
