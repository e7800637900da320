//! Whether the programs do on this kernel what they are meant to do, seen on one child that dies for it.
//!
//! Versions prove nothing (vendors move features back and forth), and a wrong offset would be silent. So before the
//! tier is used, one death must be reported with the right pid, start time, name and wait status; and before deaths are
//! explained, one must be explained rightly.

use std::{thread, time::Duration};

use watcher_abi::{ExitRecord, NS_PER_TICK, origin};
use watcher_core::{Ending, Pid, Span, StartTicks};

use super::{Interest, Record, Refusal, Ring};
use crate::sys::{child::WaitingChild, clock, own, proc, readable};

/// Exit code of the child: one that nothing else would give by chance.
const CODE: u8 = 87;

/// How long a report may take once the child is dead; it takes microseconds on a healthy host.
const LIMIT: Span = Span(5_000_000_000);

/// How long the child has for dying: a host may have other things to do for some seconds.
const PATIENCE: Span = Span(60_000_000_000);

/// How often it is looked whether the child is dead.
const SLICE: Duration = Duration::from_millis(100);

/// A pause while a record is being written.
const BEING_WRITTEN: Duration = Duration::from_millis(1);

/// One child exits: is that told?
pub(super) fn run(ring: &mut Ring, interest: &mut Interest) -> Result<(), Refusal> {
    let (record, facts) = death(ring, interest, WaitingChild::release)?;
    compare(&record, &facts)
}

/// One child is killed by this process: is that told?
pub(super) fn explains(ring: &mut Ring, interest: &mut Interest) -> Result<(), Refusal> {
    let (record, _) = death(ring, interest, WaitingChild::kill)?;
    let this = proc::facts(own::pid()).map_err(Refusal::Proc)?.ok_or_else(|| failed("this process is not in /proc"))?;
    let ExitRecord { blame, .. } = record;
    let checks = [
        ("signal", blame.signal == libc::SIGKILL as u32),
        ("origin", blame.origin == origin::USER),
        ("sender", blame.sender_pid == this.proc.pid.number()),
        ("name of the sender", name(&blame.comm) == this.comm),
        ("time", blame.stamp_ns != 0 && blame.stamp_ns <= record.stamp_ns),
    ];
    all_right(&checks, "the death of a killed child was explained with a wrong")
}

fn death(
    ring: &mut Ring,
    interest: &mut Interest,
    end: fn(&WaitingChild) -> std::io::Result<()>,
) -> Result<(ExitRecord, proc::Facts), Refusal> {
    let child = WaitingChild::fork(CODE).map_err(Refusal::SelfTestChild)?;
    let facts = proc::facts(child.pid()).map_err(Refusal::Proc)?.ok_or_else(|| failed("its child is not in /proc"))?;
    interest.watch(facts.proc, 0)?;
    end(&child).map_err(Refusal::SelfTestChild)?;
    let record = await_record(ring, child.pid());
    interest.unwatch(facts.proc);
    let record = record.ok_or_else(|| failed("the death of a watched child was not reported"))?;
    Ok((record, facts))
}

/// Waits for the record of this child. The kernel makes room for a record and writes it then: meanwhile the ring is readable, and
/// nothing can be taken from it, for long where a virtual processor is not given time.
fn await_record(ring: &mut Ring, child: Pid) -> Option<ExitRecord> {
    let (begin, mut dead) = (clock::now(), None);
    loop {
        let is_readable = readable::wait(&*ring, SLICE).is_ok_and(|is_readable| is_readable);
        // Nobody is expected to start anything yet, and no port is watched: every record is of a death.
        match ring.take() {
            Ok(Some(Record::Exit(record))) => return Some(record),
            Ok(Some(Record::Exec(_) | Record::Socket(_))) => {}
            Ok(None) | Err(_) if is_readable => thread::sleep(BEING_WRITTEN),
            Ok(None) | Err(_) => {}
        }
        if dead.is_none() && proc::facts(child).is_ok_and(|facts| facts.is_none_or(|facts| facts.leader_zombie)) {
            dead = Some(clock::now());
        }
        let (since, limit) = dead.map_or((begin, PATIENCE), |dead| (dead, LIMIT));
        if clock::now().since(since) > limit {
            return None;
        }
    }
}

fn compare(record: &ExitRecord, facts: &proc::Facts) -> Result<(), Refusal> {
    let checks = [
        ("pid", record.pid == facts.proc.pid.number()),
        ("start time", StartTicks(record.start_ns / NS_PER_TICK) == facts.proc.start),
        ("exit code", Ending::from_wait_status(record.wait_status) == Ending::Exited { code: CODE }),
        ("command name", name(&record.comm) == facts.comm),
    ];
    all_right(&checks, "the death of a child was reported with a wrong")
}

fn all_right(checks: &[(&str, bool)], sentence: &str) -> Result<(), Refusal> {
    match checks.iter().find(|(_, right)| !right) {
        None => Ok(()),
        Some((what, _)) => Err(failed(&format!("{sentence} {what}"))),
    }
}

fn name(comm: &[u8]) -> String {
    String::from_utf8_lossy(comm.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

fn failed(what: &str) -> Refusal {
    Refusal::SelfTest { what: what.to_owned() }
}
