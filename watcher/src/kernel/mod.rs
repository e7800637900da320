//! Loads the kernel programs and hands out typed handles. Knows maps and programs, but nothing of entries and rules.

mod btf;
mod interest;
mod load;
mod object;
mod offsets;
mod on_demand;
mod port_test;
mod ports;
mod programs;
mod refusal;
mod ring;
mod self_test;
mod skips;
mod starts;

pub use interest::Interest;
pub use load::{Exactness, Handles, Sizes};
pub use object::{OBJECT, missing};
pub use ports::{NotWatched, PortDeltas, Ports, QueueSeen};
pub use programs::{Lacking, Programs};
pub use refusal::Refusal;
pub use ring::{Counters, Record, Ring};
pub use starts::{NotExpected, Starts};
