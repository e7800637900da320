//! System calls and everything `unsafe`: thin, typed, without policy.
#![expect(unsafe_code, reason = "the one room of user space where `unsafe` lives; each block says why it holds")]

pub mod capabilities;
pub mod child;
pub mod clock;
pub mod cost;
pub mod descriptors;
pub mod group;
pub mod heap;
pub mod host;
pub mod limits;
pub mod local_time;
pub mod netns;
pub mod own;
pub mod pidfd;
pub mod pod;
pub mod proc;
pub mod proc_connector;
pub mod proc_table;
pub mod raw_tracepoint;
pub mod readable;
pub mod resolver;
pub mod ring_buffer;
pub mod shared_array;
pub mod signals;
pub mod sock_diag;
pub mod spawn;
pub mod tcp;
pub mod tcp_limits;
pub mod ward;
