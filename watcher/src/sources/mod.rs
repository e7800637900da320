//! What happens unasked, translated into events of the core. Sources translate; they never decide.

pub mod os_signals;
pub mod ring;
