//! What the kernel lets through to the socket: a program for the filter that sockets had long before eBPF.
//! <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/bpf_common.h>

use std::ops::RangeInclusive;

use libc::sock_filter;

use super::{
    ranges::Ranges,
    wire::{at, what},
};

mod code {
    /// Load a word of the message, in the byte order of networks.
    pub(super) const LOAD: u16 = 0x20;
    pub(super) const LOAD_BYTE: u16 = 0x30;
    pub(super) const SHIFT: u16 = 0x64;
    /// Keep it aside; combine it with what was kept.
    pub(super) const KEEP: u16 = 0x07;
    pub(super) const OR_KEPT: u16 = 0x4c;
    /// Compare it: with a number, with what was kept, by size.
    pub(super) const IS: u16 = 0x15;
    pub(super) const IS_KEPT: u16 = 0x1d;
    pub(super) const IS_AT_LEAST: u16 = 0x35;
    pub(super) const GO: u16 = 0x05;
    pub(super) const RETURN: u16 = 0x06;
}

/// Whose ends are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Nobody's.
    Nobody,
    /// Those of the processes with these numbers.
    Of(Ranges),
    /// Everybody's.
    All,
}

/// What is to be told. Whatever else happens to processes never reaches the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Ends of leading threads.
    pub ends: Ends,
    /// Starts of programs, on the whole host.
    pub starts: bool,
}

const fn step(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// The end of the program: whether the message is let through.
const fn verdict(passes: bool) -> sock_filter {
    step(code::RETURN, if passes { u32::MAX } else { 0 })
}

/// The next step is for those that are equal, or for the others; who it is not for passes over it.
const fn next_if(code: u16, k: u32, equal: bool) -> sock_filter {
    sock_filter { code, jt: !equal as u8, jf: equal as u8, k }
}

/// A message holds numbers in the byte order of this machine.
const fn next_if_word(word: u32, equal: bool) -> sock_filter {
    next_if(code::IS, word.to_be(), equal)
}

/// Lets through the answer to the request with this number, and nothing else.
pub(super) fn answer_to(number: u32) -> Vec<sock_filter> {
    vec![
        step(code::LOAD, at::WHAT as u32),
        next_if_word(what::ACK, false),
        verdict(false),
        step(code::LOAD, at::NUMBER as u32),
        next_if_word(number.wrapping_add(1), true),
        verdict(true),
        verdict(false),
    ]
}

/// Lets through what is wanted. No answers: everybody is told of all that anybody gets, and whoever likes may ask on and on.
pub(super) fn program(Wanted { ends, starts }: &Wanted) -> Vec<sock_filter> {
    let mut steps = vec![step(code::LOAD, at::WHAT as u32)];
    if *starts {
        steps.extend([next_if_word(what::EXEC, true), verdict(true)]);
    }
    if *ends == Ends::Nobody {
        steps.push(verdict(false));
        return steps;
    }
    steps.extend([next_if_word(what::EXIT, false), verdict(false)]);
    let load = |at: usize| step(code::LOAD, at as u32);
    let is_leader = next_if(code::IS_KEPT, 0, false);
    steps.extend([load(at::TID), step(code::KEEP, 0), load(at::PID), is_leader, verdict(false)]);
    match ends {
        Ends::Nobody => {}
        Ends::All => steps.push(verdict(true)),
        Ends::Of(ranges) => {
            steps.extend(load_pid());
            // Inside is who is at least the first of a range, and not at least the number after its last.
            let bounds = |range: &RangeInclusive<u32>| [*range.start(), range.end().saturating_add(1)];
            let bounds: Vec<_> = ranges.iter().flat_map(bounds).collect();
            steps.extend(search(&bounds, false));
        }
    }
    steps
}

/// Puts the number of the process together, byte by byte: it is to be compared by size. The highest byte is always 0.
fn load_pid() -> Vec<sock_filter> {
    let byte = |place: usize| {
        let at = if cfg!(target_endian = "little") { at::PID + place } else { at::PID + 3 - place };
        step(code::LOAD_BYTE, at as u32)
    };
    let mut steps = vec![byte(2)];
    for place in [1, 0] {
        steps.extend([step(code::SHIFT, 8), step(code::KEEP, 0), byte(place), step(code::OR_KEPT, 0)]);
    }
    steps
}

/// Looks for the last bound that the number is not below, by halves. Who is below all of these is inside, or outside; each
/// bound changes that.
fn search(bounds: &[u32], is_inside: bool) -> Vec<sock_filter> {
    let middle = bounds.len() / 2;
    let Some(&bound) = bounds.get(middle) else { return vec![verdict(is_inside)] };
    let below = search(bounds.get(..middle).unwrap_or_default(), is_inside);
    let above = search(bounds.get(middle + 1..).unwrap_or_default(), is_inside ^ middle.is_multiple_of(2));
    let mut steps = match u8::try_from(below.len()) {
        Ok(length) => vec![sock_filter { code: code::IS_AT_LEAST, jt: length, jf: 0, k: bound }],
        Err(_too_far) => vec![next_if(code::IS_AT_LEAST, bound, true), step(code::GO, below.len() as u32)],
    };
    steps.extend(below);
    steps.extend(above);
    steps
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{super::ranges::MOST, *};

    /// Runs the program as the kernel does.
    fn passes(program: &[sock_filter], message: &[u8]) -> bool {
        let (mut value, mut kept, mut next) = (0_u32, 0_u32, 0_usize);
        loop {
            let sock_filter { code, jt, jf, k } = program[next];
            let word = |at: usize| u32::from_be_bytes(*message[at..].first_chunk().unwrap());
            let go = |holds: bool| usize::from(if holds { jt } else { jf });
            next += 1;
            match code {
                code::LOAD => value = word(k as usize),
                code::LOAD_BYTE => value = message[k as usize].into(),
                code::SHIFT => value <<= k,
                code::KEEP => kept = value,
                code::OR_KEPT => value |= kept,
                code::IS => next += go(value == k),
                code::IS_KEPT => next += go(value == kept),
                code::IS_AT_LEAST => next += go(value >= k),
                code::GO => next += k as usize,
                code::RETURN => return k != 0,
                other => panic!("{other:#x}"),
            }
        }
    }

    fn message(what: u32, tid: u32, pid: u32) -> Vec<u8> {
        let mut bytes = vec![0; 76];
        for (at, word) in [(at::WHAT, what), (at::TID, tid), (at::PID, pid)] {
            bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    #[test]
    fn only_what_is_wanted_passes() {
        let of = |pids: &[u32]| Ends::Of(Ranges::of(pids.iter().copied()));
        for (ends, starts, end_passes) in [
            (Ends::Nobody, true, false),
            (Ends::Nobody, false, false),
            (Ends::All, true, true),
            (of(&[7, 70_000]), false, true),
            (of(&[6, 8, 69_999, 70_001]), true, false),
            (of(&[]), false, false),
        ] {
            let program = program(&Wanted { ends, starts });
            assert!(!passes(&program, &message(what::ACK, 0, 0)), "an answer to whomever");
            assert_eq!(passes(&program, &message(what::EXEC, 7, 7)), starts);
            for pid in [7, 70_000] {
                assert_eq!(passes(&program, &message(what::EXIT, pid, pid)), end_passes, "{program:?}");
                assert!(!passes(&program, &message(what::EXIT, 9, pid)), "another thread");
            }
            for other in [1, 4, 0x40, 0x80, 0x100, 0x200, 0x2000_0000, 0x4000_0000] {
                assert!(!passes(&program, &message(other, 7, 7)), "{other:#x}");
            }
        }
    }

    #[test]
    fn of_answers_only_that_to_the_number_passes() {
        for number in [0, 77, 0x0102_0304, u32::MAX] {
            let program = answer_to(number);
            let with = |what, number: u32| {
                let mut bytes = message(what, 0, 0);
                bytes[at::NUMBER..][..4].copy_from_slice(&number.wrapping_add(1).to_ne_bytes());
                bytes
            };
            assert!(passes(&program, &with(what::ACK, number)));
            assert!(!passes(&program, &with(what::ACK, number.wrapping_add(1))), "another's");
            assert!(!passes(&program, &with(what::EXEC, number)) && !passes(&program, &with(what::EXIT, number)));
        }
    }

    proptest! {
        #[test]
        fn of_watched_processes_all_pass_and_of_few_no_other(pids in proptest::collection::btree_set(1_u32..4_000_000, 0..600)) {
            let program = program(&Wanted { ends: Ends::Of(Ranges::of(pids.iter().copied())), starts: false });
            prop_assert!(program.len() <= 4 * MOST + 120, "{}", program.len());
            let near: BTreeSet<u32> = pids.iter().flat_map(|pid| [pid - 1, *pid, pid + 1]).chain([1, 4_194_304]).collect();
            for pid in near {
                let (is_watched, passed) = (pids.contains(&pid), passes(&program, &message(what::EXIT, pid, pid)));
                prop_assert!(passed || !is_watched);
                prop_assert!(is_watched || !passed || pids.len() > MOST);
            }
        }
    }
}
