//! What crosses the kernel fence: names, layouts and constants that the kernel programs and user space agree on.
//!
//! The only crate that both sides import. It has no dependency and no code beyond small `const fn`s; every layout is
//! asserted at compile time, so that a change of one asks for a look at both sides.
#![no_std]
#![warn(missing_docs)]

mod config;
mod interest;
mod record;
mod stats;

pub use config::{Config, NO_PID_NAMESPACE};
pub use interest::{BITMAP_WORDS, PID_LIMIT, Watched, bit_of, word_of};
pub use record::{COMM_LEN, ExitRecord, KIND_EXIT};
pub use stats::Stats;

/// Names of programs, maps and globals in the object, as user space looks them up.
pub mod name {
    /// Program on `sched_process_exit`.
    pub const ON_EXIT: &str = "on_exit";
    /// Tracepoint that [`ON_EXIT`] is attached to.
    pub const ON_EXIT_TRACEPOINT: &str = "sched_process_exit";
    /// Load-time constants: one [`Config`](crate::Config).
    pub const CONFIG: &str = "CONFIG";
    /// Array of 64-bit words, one bit a pid: the first filter.
    pub const WATCH_BITS: &str = "WATCH_BITS";
    /// Hash from pid to [`Watched`](crate::Watched): the second filter.
    pub const WATCH: &str = "WATCH";
    /// Ring buffer of [`ExitRecord`](crate::ExitRecord)s.
    pub const EVENTS: &str = "EVENTS";
    /// One [`Stats`](crate::Stats).
    pub const STATS: &str = "STATS";
}

/// The kernel shows start times to user space in ticks of 1/100 s (`USER_HZ`), whatever its own clock rate.
pub const NS_PER_TICK: u64 = 10_000_000;
