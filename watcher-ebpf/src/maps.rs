//! Every map and load-time constant, once.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, RingBuf},
};
use watcher_abi::{BITMAP_WORDS, COMM_LEN, Config, PORT_WORDS, PortKey, PortSlot, Stats, Watched};

/// User space reads and writes these arrays through shared pages, without a system call.
const MMAPABLE: u32 = 1 << 10;

/// Zero in the object; user space overrides it before loading, then the kernel freezes it.
#[unsafe(no_mangle)]
pub static CONFIG: Config = Config::UNKNOWN;

/// One member of [`CONFIG`], read so that the compiler cannot use the zeros of the object instead.
macro_rules! config {
    ($member:ident) => {
        // SAFETY: a read of an initialised, aligned static.
        unsafe { core::ptr::read_volatile(&raw const $crate::maps::CONFIG.$member) }
    };
}
pub(crate) use config;

#[map]
pub static WATCH_BITS: Array<u64> = Array::with_max_entries(BITMAP_WORDS, MMAPABLE);

/// Preallocated, since tracing programs may not allocate on every kernel; user space sets the size when it loads.
#[map]
pub static WATCH: HashMap<u32, Watched> = HashMap::with_max_entries(1024, 0);

/// Command names whose starts are told. Small: only what does not run is waited for.
#[map]
pub static WAITED_FOR: HashMap<[u8; COMM_LEN], u32> = HashMap::with_max_entries(1024, 0);

#[map]
pub static PORT_BITS: Array<u64> = Array::with_max_entries(PORT_WORDS, MMAPABLE);

/// The values are indices of [`PORT_SLOTS`]. User space sets the size of both when it loads.
#[map]
pub static PORTS: HashMap<PortKey, u32> = HashMap::with_max_entries(1024, 0);

#[map]
pub static PORT_SLOTS: Array<PortSlot> = Array::with_max_entries(1024, MMAPABLE);

/// User space sets the size when it loads.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(64 * 1024, 0);

#[map]
pub static STATS: Array<Stats> = Array::with_max_entries(1, MMAPABLE);
