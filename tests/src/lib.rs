//! Harness: victims that do as they are told, the program under test, and waiting with a deadline.

pub mod block;
pub mod flood;
pub mod host;
pub mod memory;
pub mod netns;
pub mod pcheck;
pub mod program;
pub mod script;
pub mod server;
pub mod story;
pub mod victim;
pub mod wait;
