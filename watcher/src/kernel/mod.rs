//! Loads the kernel programs and hands out typed handles. Knows maps and programs, but nothing of entries and rules.

mod btf;
mod interest;
mod load;
mod object;
mod offsets;
mod refusal;
mod ring;
mod self_test;

pub use interest::Interest;
pub use load::{Exactness, Handles, Programs, Sizes};
pub use object::{OBJECT, missing};
pub use refusal::Refusal;
pub use ring::{Counters, Ring};
