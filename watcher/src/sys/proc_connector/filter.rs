//! What the kernel lets through to the socket: a program for the filter that sockets had long before eBPF.
//! <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/bpf_common.h>

use libc::sock_filter;

use super::wire::{at, what};

/// Load a word of the message, in the byte order of networks.
const LOAD: u16 = 0x20;
/// Keep it aside.
const KEEP: u16 = 0x07;
/// Compare with a number.
const IS: u16 = 0x15;
/// Compare with what was kept.
const IS_KEPT: u16 = 0x1d;
const RETURN: u16 = 0x06;

/// What is to be told. Whatever else happens to processes never reaches the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Ends of leading threads.
    pub ends: bool,
    /// Starts of programs, on the whole host.
    pub starts: bool,
}

/// Lets through what is wanted, and answers.
pub(super) fn program(Wanted { ends, starts }: Wanted) -> Vec<sock_filter> {
    let step = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let load = |at: usize| step(LOAD, at as u32, 0, 0);
    // A message holds numbers in the byte order of this machine. Answers stand in for what is not wanted.
    let is = |what: u32, jt, jf| step(IS, what.to_be(), jt, jf);
    let or_answer = |wanted, what| if wanted { what } else { what::ACK };
    vec![
        load(at::WHAT),
        is(what::ACK, 6, 0),
        is(or_answer(starts, what::EXEC), 5, 0),
        is(or_answer(ends, what::EXIT), 0, 5),
        load(at::TID),
        step(KEEP, 0, 0, 0),
        load(at::PID),
        step(IS_KEPT, 0, 0, 1),
        step(RETURN, u32::MAX, 0, 0),
        step(RETURN, 0, 0, 0),
    ]
}
