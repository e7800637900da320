//! The program as a user runs it: real processes, real kernel, real refusals.

mod blame;
mod cluster;
mod control;
mod density;
mod doctor;
mod ends;
mod explained;
mod forged;
mod hostile;
mod interrupted;
mod joined;
#[cfg(target_arch = "x86_64")]
mod ladder;
mod loss;
mod metrics;
mod old_kernel;
mod pcheck;
mod run;
mod scarce;
mod servers;
#[cfg(target_arch = "x86_64")]
mod skipped;
mod sockets;
mod starts;
mod status;
mod waiting;
mod watch;
