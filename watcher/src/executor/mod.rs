//! What is done when the core asks for it. The executor does; it never decides.

pub mod ask;
pub mod dump;
pub mod event_line;
mod folder;
pub mod hands;
pub mod harmless;
pub mod inspect;
pub mod interpreter;
pub mod journal;
pub mod lister;
pub mod log;
pub mod percent;
pub mod pidfds;
pub mod probe;
pub mod record;
pub mod replace;
pub mod rules;
pub mod rundir;
pub mod scripts;
pub mod service;
pub mod signals;
pub mod snapshot;
pub mod store;
pub mod survey;
pub mod trace;
pub mod trust;
pub mod watch;
