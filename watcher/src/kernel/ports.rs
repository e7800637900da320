//! The watched TCP ports, as the kernel programs see them: thresholds go down, counts come up, both without a system call.
//! The program that looks at every change of state on the host is attached only while there are any.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    mem::offset_of,
    sync::atomic::{AtomicU64, Ordering},
};

use aya::maps::{HashMap, MapData, MapError};
use thiserror::Error;
use tracing::debug;
use watcher_abi::{PortKey as RawKey, PortSlot, alarm, bit_of, judge, word_of};
use watcher_core::{Band, Mono, PortCounts, PortKey, SocketAlarm, SocketNews, Thresholds};

use super::{
    on_demand::{OnSockets, SocketPrograms},
    port_test::{self, Failure},
};
use crate::sys::{
    pod::Plain,
    shared_array::{SharedArray, SparseArray},
};

const WORDS: usize = size_of::<PortSlot>() / size_of::<u64>();

/// Why the sockets of a port will not be told of.
#[derive(Debug, Error)]
pub enum NotWatched {
    /// This kernel did not take the program.
    #[error("{0}")]
    NotLoaded(String),
    /// All slots are in use.
    #[error("{0} ports are watched, and there is room for no more")]
    Full(usize),
    /// The kernel's table does not take the port.
    #[error("the table of watched ports does not take it: {0}")]
    NotTaken(#[source] MapError),
    /// The program could not be attached.
    #[error("the program that tells of sockets cannot be attached: {0}")]
    NotAttached(#[source] io::Error),
}

/// The maps behind [`Ports`].
pub(super) struct PortMaps {
    pub(super) table: HashMap<MapData, Plain<RawKey>, u32>,
    pub(super) bits: SharedArray,
    pub(super) slots: SparseArray,
}

/// By how much the numbers of sockets have changed since the port is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortDeltas {
    listeners: i64,
    established: i64,
    close_wait: i64,
}

/// The accept queue of a port, as the last handshakes found it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueSeen {
    /// At the last one, with the connection that it brought; 0 before there was any.
    pub length: u64,
    /// How many fit in.
    pub limit: u64,
    /// The longest so far.
    pub highest: u64,
}

/// The watched ports.
pub struct Ports {
    maps: PortMaps,
    watched: BTreeMap<PortKey, u32>,
    /// Slots that nobody has. The one that was given back last is given out last, since a program may still write to it.
    free: VecDeque<u32>,
    programs: OnSockets,
    /// They were seen to count rightly, or that is being tried.
    is_proven: bool,
}

impl Ports {
    pub(super) fn new(maps: PortMaps, slots: u32, programs: SocketPrograms) -> Self {
        let programs = OnSockets::new(programs);
        Self { maps, watched: BTreeMap::new(), free: (0..slots).collect(), programs, is_proven: false }
    }

    /// From now on the sockets of this port are counted, and told of when a threshold is crossed. Numbers are not judged
    /// before [`Self::rebase`] has said how many sockets there were. For a port that is watched already only the thresholds
    /// change.
    ///
    /// # Errors
    /// When they will not be.
    pub fn watch(&mut self, key: PortKey, thresholds: Thresholds) -> Result<(), NotWatched> {
        if let Some(&slot) = self.watched.get(&key) {
            self.set(slot, &thresholds);
            return Ok(());
        }
        self.begin(key, thresholds)?;
        self.prove()
    }

    /// Sees on a connection of this process to itself whether sockets are counted rightly, once. If not, no port is watched from
    /// now on.
    ///
    /// # Errors
    /// When they are not, or not counted at all.
    pub fn prove(&mut self) -> Result<(), NotWatched> {
        if std::mem::replace(&mut self.is_proven, true) {
            return Ok(());
        }
        match port_test::run(self) {
            Ok(()) => Ok(()),
            Err(Failure::NotDone(error)) => {
                debug!(%error, "whether sockets are counted rightly could not be tried");
                Ok(())
            }
            Err(Failure::Wrong(what)) => {
                let reason = format!("the program loaded, but its self-test failed: {what}");
                self.watched().collect::<Vec<_>>().into_iter().for_each(|key| self.unwatch(key));
                self.programs.give_up(&reason);
                Err(NotWatched::NotLoaded(reason))
            }
        }
    }

    fn begin(&mut self, key: PortKey, thresholds: Thresholds) -> Result<(), NotWatched> {
        let slot = *self.free.front().ok_or(NotWatched::Full(self.watched.len()))?;
        // It may lie across the end of a page.
        for word in [0, WORDS - 1] {
            self.maps.slots.map(slot as usize * WORDS + word).map_err(|error| NotWatched::NotTaken(error.into()))?;
        }
        self.programs.state.attach()?;
        // Without these all else is told all the same.
        let _reason_is_known =
            if key.port == 0 { &mut self.programs.memory } else { &mut self.programs.synack }.attach();
        for word in 0..WORDS {
            self.store(slot, word, 0);
        }
        self.set(slot, &thresholds);
        if let Err(error) = self.maps.table.insert(Plain(raw(key)), slot, 0) {
            self.detach_if_idle();
            return Err(NotWatched::NotTaken(error));
        }
        self.free.pop_front();
        self.watched.insert(key, slot);
        self.set_bit(key.port, true);
        Ok(())
    }

    /// From now on they are not. What is on its way may still be told.
    pub fn unwatch(&mut self, key: PortKey) {
        let Some(slot) = self.watched.remove(&key) else { return };
        self.free.push_back(slot);
        if !self.watched.keys().any(|other| other.port == key.port) {
            self.set_bit(key.port, false);
        }
        // Only this value changes the table, so it is there.
        let _was_there = self.maps.table.remove(&Plain(raw(key)));
        self.detach_if_idle();
    }

    /// The watched ports.
    pub fn watched(&self) -> impl ExactSizeIterator<Item = PortKey> + '_ {
        self.watched.keys().copied()
    }

    /// How many sockets there are; `None` when the port is not watched, or nobody has said yet how many there were.
    #[must_use]
    pub fn counts(&self, key: PortKey) -> Option<PortCounts> {
        let slot = *self.watched.get(&key)?;
        if self.load(slot, offset_of!(PortSlot, is_based)) == 0 {
            return None;
        }
        let sum = |base, delta| u64::try_from(self.signed(slot, base) + self.signed(slot, delta)).unwrap_or(0);
        Some(PortCounts {
            listeners: sum(offset_of!(PortSlot, listeners_base), offset_of!(PortSlot, listeners)),
            established: sum(offset_of!(PortSlot, established_base), offset_of!(PortSlot, established)),
            close_wait: sum(offset_of!(PortSlot, close_wait_base), offset_of!(PortSlot, close_wait)),
        })
    }

    /// The accept queue of a watched port. Nothing is known of it between handshakes.
    #[must_use]
    pub fn queue(&self, key: PortKey) -> Option<QueueSeen> {
        let slot = *self.watched.get(&key)?;
        Some(QueueSeen {
            length: self.load(slot, offset_of!(PortSlot, queue)),
            limit: self.load(slot, offset_of!(PortSlot, queue_limit)),
            highest: self.load(slot, offset_of!(PortSlot, queue_highest)),
        })
    }

    /// Connections of a watched namespace that found no local port, and how often TCP was refused memory there.
    #[must_use]
    pub fn shortages(&self, key: PortKey) -> Option<(u64, u64)> {
        let slot = *self.watched.get(&key)?;
        let without_port = self.load(slot, offset_of!(PortSlot, without_port));
        Some((without_port, self.load(slot, offset_of!(PortSlot, without_memory))))
    }

    /// How often an answer to a client that did not go on with its handshake had to be sent again; `None`: that is not told.
    #[must_use]
    pub fn sent_again(&self, key: PortKey) -> Option<u64> {
        let slot = *self.watched.get(&key).filter(|_| self.programs.synack.is_attached())?;
        Some(self.load(slot, offset_of!(PortSlot, synacks)))
    }

    /// [`SocketAlarm::Descriptors`] is told, once, when there are so many connections more than now; `None`: never.
    pub fn expect(&self, key: PortKey, more: Option<u64>) {
        let (Some(&slot), Some(counts)) = (self.watched.get(&key), self.counts(key)) else { return };
        let raise = more.map_or(0, |more| (counts.established + counts.close_wait).saturating_add(more));
        self.store(slot, offset_of!(PortSlot, held_raise) / 8, raise);
        self.store(slot, flag(alarm::DESCRIPTORS) / 8, 0);
    }

    /// How many changes of state the program could not look at, on any port, because it was at one already when an interrupt
    /// brought the next: numbers have drifted since, if those were of a watched port.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.programs.state.missed()
    }

    /// What has changed so far: to be asked before the sockets are counted for [`Self::rebase`].
    #[must_use]
    pub fn deltas(&self, key: PortKey) -> Option<PortDeltas> {
        let slot = *self.watched.get(&key)?;
        Some(PortDeltas {
            listeners: self.signed(slot, offset_of!(PortSlot, listeners)),
            established: self.signed(slot, offset_of!(PortSlot, established)),
            close_wait: self.signed(slot, offset_of!(PortSlot, close_wait)),
        })
    }

    /// Corrects the numbers: so many sockets were counted, after these deltas had been asked for. Returns what that
    /// changes, `at` now, and whether the numbers are exact. They are not when sockets came and went meanwhile; then count again,
    /// or take them as they are.
    pub fn rebase(
        &mut self,
        key: PortKey,
        before: PortDeltas,
        counted: PortCounts,
        at: Mono,
    ) -> (Vec<SocketNews>, bool) {
        let (Some(&slot), Some(after)) = (self.watched.get(&key), self.deltas(key)) else { return (Vec::new(), true) };
        let base = |count: u64, delta: i64| i64::try_from(count).unwrap_or(i64::MAX).saturating_sub(delta) as u64;
        let PortCounts { listeners, established, close_wait } = counted;
        self.store(slot, offset_of!(PortSlot, listeners_base) / 8, base(listeners, before.listeners));
        self.store(slot, offset_of!(PortSlot, established_base) / 8, base(established, before.established));
        self.store(slot, offset_of!(PortSlot, close_wait_base) / 8, base(close_wait, before.close_wait));
        self.store(slot, offset_of!(PortSlot, is_based) / 8, 1);
        (self.judge(key, slot, at), before == after)
    }

    /// The alarms that are raised, and not those that are only ever raised for a moment.
    #[must_use]
    pub fn alarms(&self, key: PortKey) -> Vec<SocketAlarm> {
        let Some(&slot) = self.watched.get(&key) else { return Vec::new() };
        let is_raised = |alarm: &SocketAlarm| level(*alarm).is_some_and(|word| self.load(slot, flag(word)) != 0);
        SocketAlarm::ALL.into_iter().filter(is_raised).collect()
    }

    /// An alarm that was raised is over, as somebody has found out by asking: it may be raised anew. (A queue that has
    /// drained without another handshake is not noticed by the kernel side.)
    pub fn settle(&mut self, key: PortKey, alarm: SocketAlarm) {
        if let (Some(&slot), Some(word)) = (self.watched.get(&key), level(alarm)) {
            self.store(slot, flag(word) / 8, 0);
        }
    }

    /// What the kernel side would say of these numbers at the next change.
    fn judge(&self, key: PortKey, slot: u32, at: Mono) -> Vec<SocketNews> {
        let Some(PortCounts { listeners, established, close_wait }) = self.counts(key) else { return Vec::new() };
        let word = |offset| self.load(slot, offset);
        let bands = [
            (
                SocketAlarm::CloseWait,
                close_wait,
                word(offset_of!(PortSlot, close_wait_raise)),
                word(offset_of!(PortSlot, close_wait_clear)),
            ),
            (
                SocketAlarm::Established,
                established,
                word(offset_of!(PortSlot, established_raise)),
                word(offset_of!(PortSlot, established_clear)),
            ),
        ];
        let mut news = Vec::new();
        let mut tell = |alarm, raised, value, limit| {
            if let Some(word) = level(alarm) {
                self.store(slot, flag(word) / 8, u64::from(raised));
                news.push(SocketNews { key, alarm, raised, value, limit, at });
            }
        };
        for (alarm, value, raise, clear) in bands {
            let is_raised = level(alarm).is_some_and(|word| self.load(slot, flag(word)) != 0);
            if let Some(raised) = judge(i64::try_from(value).unwrap_or(i64::MAX), raise, clear, is_raised) {
                tell(alarm, raised, value, raise);
            }
        }
        let was_gone = self.load(slot, flag(alarm::LISTENER_GONE)) != 0;
        if key.port != 0 && was_gone != (listeners == 0) {
            tell(SocketAlarm::ListenerGone, listeners == 0, listeners, 1);
        }
        news
    }

    fn set(&self, slot: u32, thresholds: &Thresholds) {
        let Thresholds { queue_percent, close_wait, established, close_wait_age: _, descriptors: _ } = thresholds;
        let band = |band: &Option<Band>| band.map_or((0, 0), |Band { raise, clear }| (raise.into(), clear.into()));
        for (band, raise, clear) in [
            (band(queue_percent), offset_of!(PortSlot, queue_raise_percent), offset_of!(PortSlot, queue_clear_percent)),
            (band(close_wait), offset_of!(PortSlot, close_wait_raise), offset_of!(PortSlot, close_wait_clear)),
            (band(established), offset_of!(PortSlot, established_raise), offset_of!(PortSlot, established_clear)),
        ] {
            self.store(slot, raise / 8, band.0);
            self.store(slot, clear / 8, band.1);
        }
    }

    fn detach_if_idle(&mut self) {
        if self.watched.is_empty() {
            self.programs.state.detach();
        }
        if !self.watched.keys().any(|key| key.port != 0) {
            self.programs.synack.detach();
        }
        if !self.watched.keys().any(|key| key.port == 0) {
            self.programs.memory.detach();
        }
    }

    fn set_bit(&self, port: u16, watched: bool) {
        let Some(word) = self.maps.bits.word(word_of(port.into()) as usize) else { return };
        let bit = bit_of(port.into());
        if watched {
            word.fetch_or(bit, Ordering::SeqCst);
        } else {
            word.fetch_and(!bit, Ordering::SeqCst);
        }
    }

    fn word(&self, slot: u32, index: usize) -> Option<&AtomicU64> {
        self.maps.slots.word(slot as usize * WORDS + index)
    }

    /// The member at this offset of a slot.
    fn load(&self, slot: u32, offset: usize) -> u64 {
        self.word(slot, offset / 8).map_or(0, |word| word.load(Ordering::Acquire))
    }

    fn signed(&self, slot: u32, offset: usize) -> i64 {
        self.load(slot, offset).cast_signed()
    }

    fn store(&self, slot: u32, index: usize, value: u64) {
        if let Some(word) = self.word(slot, index) {
            word.store(value, Ordering::Release);
        }
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").field("watched", &self.watched).finish_non_exhaustive()
    }
}

fn raw(PortKey { netns, port }: PortKey) -> RawKey {
    RawKey { netns: netns.0, port: port.into() }
}

/// The number of an alarm that stands for as long as something is so.
const fn level(alarm: SocketAlarm) -> Option<u32> {
    match alarm {
        SocketAlarm::AcceptFull => Some(alarm::ACCEPT_FULL),
        SocketAlarm::AcceptQueue => Some(alarm::ACCEPT_QUEUE),
        SocketAlarm::CloseWait => Some(alarm::CLOSE_WAIT),
        SocketAlarm::Established => Some(alarm::ESTABLISHED),
        SocketAlarm::Descriptors => Some(alarm::DESCRIPTORS),
        SocketAlarm::HalfOpen => Some(alarm::HALF_OPEN),
        SocketAlarm::ListenerGone => Some(alarm::LISTENER_GONE),
        SocketAlarm::Drops | SocketAlarm::Ephemeral | SocketAlarm::Memory => None,
    }
}

/// Where its flag lies in a slot.
const fn flag(alarm: u32) -> usize {
    offset_of!(PortSlot, raised) + alarm as usize * size_of::<u64>()
}
