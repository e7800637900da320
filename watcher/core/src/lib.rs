//! What watcher decides.
//!
//! # Theory of operation
//!
//! The core is told what happened ([`Event`]) and at what time ([`Mono`]), and answers with what is to be done
//! ([`Action`], in order). It does nothing by itself: it has no clock, file, socket, thread or randomness, so the same
//! events give the same actions, in a test, in a replay and in service.
//!
//! ```text
//! machine.step(now, event, &mut outbox)      outbox.drain() → actions
//! ```
//!
//! A record from the kernel is a *hint* with a cause: it tells that a process is dying and why. That it is *gone* is a
//! fact, which comes from a pidfd or from `/proc`. A hint may hasten or explain; where hints get lost the facts decide,
//! only later.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod action;
mod blame;
mod ending;
mod event;
pub mod fleet;
pub mod fleets;
pub mod health;
mod id;
pub mod monitor;
mod note;
mod order;
pub mod pfile;
pub mod probe;
pub mod reboot;
mod saved;
mod script;
mod seen;
mod signal;
mod socket;
mod socket_bands;
pub mod tally;
mod tier;
mod time;
pub mod vigil;

pub use action::{Action, Finish, Outbox};
pub use blame::{Blame, Origin, Sender, explain};
pub use ending::Ending;
pub use event::{Death, Event, ExitNotice};
pub use id::{Comm, EntryId, FleetId, Pid, PortWatchId, ProbeId, ProcId, RequestId, RunId, StartTicks, Uptime};
pub use note::{Level, Note, Subject, Told};
pub use order::{Answer, Order, Setting, no_such_entry};
pub use saved::{Rare, RarelySaved, SavedEntry};
pub use script::{Reason, RunEnd, ScriptOrder};
pub use seen::Seen;
pub use signal::Signal;
pub use socket::{
    Band, ListenerFacts, NetNs, PortCounts, PortFacts, PortKey, PortReport, SocketAlarm, SocketNews, StateCounts,
    Thresholds,
};
pub use socket_bands::{PortUse, Weighed};
pub use tier::{Choice, PassedOver, Tier, choose};
pub use time::{Mono, Now, Span, Wall};
pub use vigil::Vigil;
