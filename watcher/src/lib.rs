//! watcher keeps services on a Linux host alive. The rooms of this crate, and which way the data flows, are drawn in
//! `ARCHITECTURE.md`; what is public here is what the tests reach.

pub mod check;
pub mod cli;
pub mod control;
pub mod doctor;
pub mod engine;
pub mod executor;
pub mod explain;
pub mod kernel;
pub mod new;
pub mod sockets;
pub mod sources;
pub mod start;
pub mod sys;
pub mod telemetry;
