//! What crosses the kernel fence: names, layouts and constants that the kernel programs and user space agree on.
//!
//! The only crate that both sides import. It has no dependency and no code beyond small `const fn`s; every layout is
//! asserted at compile time, so that a change of one asks for a look at both sides.
#![no_std]
#![warn(missing_docs)]

mod blame;
mod config;
mod interest;
mod port;
mod record;
mod stats;

pub use blame::{Blame, origin};
pub use config::{Config, NO_PID_NAMESPACE};
pub use interest::{BITMAP_WORDS, PID_LIMIT, Watched, bit_of, word_of};
pub use port::{
    FLOOD_EVERY_NS, FLOOD_WINDOW_NS, NAMESPACE_EVERY_NS, PORT_WORDS, PortKey, PortSlot, QUEUE_HOLD_NS, WHOLE_NAMESPACE,
    alarm, flood_from, judge, state,
};
pub use record::{COMM_LEN, ExecRecord, ExitRecord, KIND_EXEC, KIND_EXIT, KIND_SOCKET, SocketRecord};
pub use stats::Stats;

/// Names of programs, maps and globals in the object, as user space looks them up.
pub mod name {
    /// Program on `sched_process_exit`.
    pub const ON_EXIT: &str = "on_exit";
    /// The same, for what the kernel makes that one skip.
    pub const ON_EXIT_AGAIN: &str = "on_exit_again";
    /// Tracepoint that [`ON_EXIT`] is attached to.
    pub const ON_EXIT_TRACEPOINT: &str = "sched_process_exit";
    /// Program on `signal_generate`.
    pub const ON_SIGNAL: &str = "on_signal";
    /// Tracepoint that [`ON_SIGNAL`] is attached to.
    pub const ON_SIGNAL_TRACEPOINT: &str = "signal_generate";
    /// Program on `mark_victim`.
    pub const ON_OUT_OF_MEMORY: &str = "on_out_of_memory";
    /// Tracepoint that [`ON_OUT_OF_MEMORY`] is attached to.
    pub const ON_OUT_OF_MEMORY_TRACEPOINT: &str = "mark_victim";
    /// Program on `sched_process_exec`.
    pub const ON_EXEC: &str = "on_exec";
    /// Tracepoint that [`ON_EXEC`] is attached to.
    pub const ON_EXEC_TRACEPOINT: &str = "sched_process_exec";
    /// Program on `inet_sock_set_state`.
    pub const ON_STATE: &str = "on_state";
    /// Tracepoint that [`ON_STATE`] is attached to.
    pub const ON_STATE_TRACEPOINT: &str = "inet_sock_set_state";
    /// Program on `tcp_retransmit_synack`.
    pub const ON_SYNACK: &str = "on_synack";
    /// Tracepoint that [`ON_SYNACK`] is attached to.
    pub const ON_SYNACK_TRACEPOINT: &str = "tcp_retransmit_synack";
    /// Program on `sock_exceed_buf_limit`.
    pub const ON_MEMORY: &str = "on_memory";
    /// Tracepoint that [`ON_MEMORY`] is attached to.
    pub const ON_MEMORY_TRACEPOINT: &str = "sock_exceed_buf_limit";
    /// Load-time constants: one [`Config`](crate::Config).
    pub const CONFIG: &str = "CONFIG";
    /// Array of 64-bit words, one bit a pid: the first filter.
    pub const WATCH_BITS: &str = "WATCH_BITS";
    /// Hash from pid to [`Watched`](crate::Watched): the second filter.
    pub const WATCH: &str = "WATCH";
    /// Hash whose keys are the command names that are waited for; the values mean nothing.
    pub const WAITED_FOR: &str = "WAITED_FOR";
    /// Array of 64-bit words, one bit a TCP port: the first filter of state changes.
    pub const PORT_BITS: &str = "PORT_BITS";
    /// Hash from [`PortKey`](crate::PortKey) to the index of its [`PortSlot`](crate::PortSlot): the second filter.
    pub const PORTS: &str = "PORTS";
    /// Array of [`PortSlot`](crate::PortSlot)s.
    pub const PORT_SLOTS: &str = "PORT_SLOTS";
    /// Ring buffer of [`ExitRecord`](crate::ExitRecord)s, [`ExecRecord`](crate::ExecRecord)s and
    /// [`SocketRecord`](crate::SocketRecord)s.
    pub const EVENTS: &str = "EVENTS";
    /// One [`Stats`](crate::Stats).
    pub const STATS: &str = "STATS";
}

/// The kernel shows start times to user space in ticks of 1/100 s (`USER_HZ`), whatever its own clock rate.
pub const NS_PER_TICK: u64 = 10_000_000;
