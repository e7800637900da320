//! The watch over one pfile: all its entries, and what becomes of them.

mod view;

pub use view::{Doing, EntryView, FleetView, ProcStatus, StallStatus};
