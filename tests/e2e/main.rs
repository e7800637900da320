//! The program as a user runs it: real processes, real kernel, real refusals.

mod blame;
mod control;
mod doctor;
mod ends;
mod explained;
mod hostile;
mod loss;
mod old_kernel;
mod pcheck;
mod servers;
mod sockets;
mod watch;
