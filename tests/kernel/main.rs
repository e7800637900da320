//! The kernel programs on the running kernel, seen from the handles that user space gets.

mod blame;
mod churn;
mod exit;
mod floods;
mod identity;
mod looks;
mod net;
mod ports;
mod probe;
mod shared;
mod sockets;
mod starts;
