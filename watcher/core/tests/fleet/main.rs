//! The watch over a pfile, on a host made of numbers with a clock that stands still.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

mod background;
mod edges;
mod late;
mod many_stalls;
mod orders;
mod properties;
mod recovery;
mod scripts;
mod services;
mod several;
mod shared_ports;
mod shortage;
mod socket_doubts;
mod sockets;
mod stall_time;
mod stalls;
mod stories;
mod world;
