//! Do we care about this port, and what is known of it: the filter, the slot, and what is told of it.

use core::ptr;

use watcher_abi::{KIND_SOCKET, PortKey, PortSlot, SocketRecord, bit_of, judge, word_of};

use crate::{
    emit,
    maps::{PORT_BITS, PORT_SLOTS, PORTS},
};

#[inline(always)]
pub fn bit_is_set(port: u32) -> bool {
    match PORT_BITS.get(word_of(port)) {
        Some(word) => *word & bit_of(port) != 0,
        None => false,
    }
}

/// What is known of a watched port, which stays readable and writable while the program runs.
///
/// User space may give the slot to another port at this very moment; what is then added to that one is a small error,
/// which the next correction of its base removes.
#[derive(Clone, Copy)]
pub struct Slot(*mut PortSlot);

impl Slot {
    #[inline(always)]
    pub fn of(key: &PortKey) -> Option<Self> {
        // SAFETY: the value is copied at once; nobody changes one in place.
        let index = unsafe { PORTS.get(key) }?;
        PORT_SLOTS.get_ptr_mut(*index).map(Self)
    }

    /// For the macros below only.
    #[inline(always)]
    pub fn address(self) -> *mut PortSlot {
        self.0
    }
}

/// One member of a slot, read anew: others write it all the time.
macro_rules! load {
    ($slot:expr, $member:ident) => {
        // SAFETY: a word of the map value, which stays readable while the program runs.
        unsafe { core::ptr::read_volatile(&raw const (*$slot.address()).$member) }
    };
}
pub(crate) use load;

/// Writes one member of a slot. Of two CPUs that do so at the same time one wins.
macro_rules! store {
    ($slot:expr, $member:ident, $value:expr) => {
        // SAFETY: as for `load`.
        unsafe { core::ptr::write_volatile(&raw mut (*$slot.address()).$member, $value) }
    };
}
pub(crate) use store;

/// Adds to one member of a slot.
macro_rules! add {
    ($slot:expr, $member:ident, $change:expr) => {
        // SAFETY: a word of the map value.
        unsafe { $crate::emit::add((&raw mut (*$slot.address()).$member).cast(), $change) }
    };
}
pub(crate) use add;

/// A number that has changed, and what it is measured by.
pub struct Level {
    pub alarm: u32,
    pub count: i64,
    pub raise: u64,
    pub clear: u64,
}

impl Slot {
    #[inline(always)]
    pub fn is_raised(self, alarm: u32) -> bool {
        // SAFETY: as in `load`; every alarm that the programs name has its word.
        unsafe { ptr::read_volatile(self.flag(alarm)) != 0 }
    }

    #[inline(always)]
    fn flag(self, alarm: u32) -> *mut u64 {
        // SAFETY: every alarm that the programs name has its word.
        unsafe { (&raw mut (*self.0).raised).cast::<u64>().add(alarm as usize) }
    }

    /// Tells when a number has crossed a threshold.
    #[inline(always)]
    pub fn weigh(self, key: &PortKey, level: Level) {
        let Level { alarm, count, raise, clear } = level;
        if let Some(raised) = judge(count, raise, clear, self.is_raised(alarm)) {
            let value = if count < 0 { 0 } else { count as u64 };
            self.tell(key, alarm, raised, value, raise);
        }
    }

    /// Tells, and notes that it was told: before, since whoever hears of it at once may look at the note. What could not be told
    /// is told at the next opportunity.
    #[inline(always)]
    pub fn tell(self, key: &PortKey, alarm: u32, raised: bool, value: u64, limit: u64) -> bool {
        let stamp_ns = emit::stamp_ns();
        let reserved = 0;
        let record = SocketRecord {
            kind: KIND_SOCKET,
            alarm,
            key: *key,
            stamp_ns,
            value,
            limit,
            raised: raised as u32,
            reserved,
        };
        let before = self.is_raised(alarm);
        // SAFETY: as in `is_raised`.
        unsafe { ptr::write_volatile(self.flag(alarm), u64::from(raised)) };
        let is_told = emit::socket(record);
        if !is_told {
            // SAFETY: as above.
            unsafe { ptr::write_volatile(self.flag(alarm), u64::from(before)) };
        }
        is_told
    }
}
