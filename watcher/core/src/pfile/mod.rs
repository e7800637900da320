//! The pfile language: the rule files of NEC ProcessSaver, and what this project adds to them.
//!
//! [`read()`] makes values of text and tells everything that is wrong with it; [`print()`] makes text of values. What a
//! file means on the host that it is for is judged in [`lint`] and [`select`], by facts that somebody else has gathered.

pub mod answer;
mod bytes;
mod check;
mod entry;
mod extension;
pub mod fix;
pub mod lint;
mod parts;
mod place;
mod print;
mod problem;
pub mod propose;
mod read;
mod rule;
pub mod select;
mod stall;
mod words;

pub use bytes::Bytes;
pub use check::{Check, Severity};
pub use entry::{Entry, EntryOption, RetryOver, Strings, WrittenRetryOver};
use extension::BelongsTo;
pub use extension::{Extension, Method, Needs, StatusRange};
pub use place::{Lines, Place, Placed, Position};
pub use print::{print, print_block, print_entry};
pub use problem::{Allowed, Edit, Problem, Related};
pub use read::{Reading, UnknownOptions, read};
pub use rule::{AbsolutePath, EntryNumber, Interval, IpcKey, Param, Pfile, Seconds};
pub use stall::{AfterFailedKill, AfterStall, Port, StallCheck, StallKind, StallTarget, StallTiming};
