//! The processes that many entries mean, found by one reading of all command lines: of each entry a part of its search strings
//! is looked for that few others have, and only processes with that part are judged.

use std::collections::BTreeMap;

use super::{Entry, Strings, select::Process};

/// A few bytes that follow each other: how many, and which.
type Part = (usize, u64);

/// The longest of them.
const LONGEST: usize = size_of::<u64>();

/// A filter before the table: bits for parts that are looked for.
const BITS: usize = 1 << 16;

/// Parts that entries ask for, and the processes on whose command lines they stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts(BTreeMap<Part, Vec<usize>>);

impl Parts {
    /// For these entries.
    pub(super) fn of<'a>(entries: impl Iterator<Item = &'a Entry> + Clone, processes: &[Process]) -> Self {
        let mut asked = BTreeMap::<Part, u32>::new();
        for part in entries.clone().flat_map(parts) {
            *asked.entry(part).or_default() += 1;
        }
        let rarest = |entry| parts(entry).min_by_key(|part| asked.get(part));
        let mut found = Self(entries.filter_map(rarest).map(|part| (part, Vec::new())).collect());
        found.read(processes);
        found
    }

    /// Among which processes those are that an entry means, if that is known.
    pub(super) fn candidates(&self, entry: &Entry) -> Option<&[usize]> {
        let known = parts(entry).filter_map(|part| self.0.get(&part));
        known.min_by_key(|found| found.len()).map(Vec::as_slice)
    }

    fn read(&mut self, processes: &[Process]) {
        let mut filter = vec![false; BITS];
        let mut lengths = [false; LONGEST + 1];
        for part @ (length, _) in self.0.keys() {
            if let (Some(bit), Some(used)) = (filter.get_mut(bit(*part)), lengths.get_mut(*length)) {
                (*bit, *used) = (true, true);
            }
        }
        let lengths: Vec<_> = (1..=LONGEST).filter(|length| lengths.get(*length) == Some(&true)).collect();
        for (index, process) in processes.iter().enumerate() {
            let line = process.command_line.as_slice();
            for part in lengths.iter().flat_map(|length| parts_of(line, *length)) {
                if filter.get(bit(part)) == Some(&true)
                    && let Some(found) = self.0.get_mut(&part)
                    && found.last() != Some(&index)
                {
                    found.push(index);
                }
            }
        }
    }
}

/// What a command line contains that contains all strings of an entry.
fn parts(entry: &Entry) -> impl Iterator<Item = Part> {
    let words = entry.include_strings().into_iter().flat_map(Strings::words);
    words.flat_map(|word| parts_of(word, word.len().min(LONGEST)))
}

/// Parts of one length, from first to last; none of an empty text.
fn parts_of(text: &[u8], length: usize) -> impl Iterator<Item = Part> {
    let unused = u64::BITS.saturating_sub(u8::BITS.saturating_mul(u32::try_from(length).unwrap_or(u32::MAX)));
    let mask = u64::MAX.checked_shr(unused).unwrap_or(0);
    let last = text.iter().scan(0_u64, |last, byte| {
        *last = *last << u8::BITS | u64::from(*byte);
        Some(*last)
    });
    last.skip(length.saturating_sub(1))
        .take(if length == 0 { 0 } else { usize::MAX })
        .map(move |last| (length, last & mask))
}

fn bit((length, bytes): Part) -> usize {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let spread = (bytes ^ (length as u64).rotate_right(8)).wrapping_mul(SPREAD);
    usize::try_from(spread >> (u64::BITS - BITS.ilog2())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pfile::select::{
        Processes,
        tests::{pfile, process},
    };

    #[test]
    fn parts_slide_over_the_text() {
        assert_eq!(parts_of(b"abc", 2).collect::<Vec<_>>(), [(2, 0x6162), (2, 0x6263)]);
        assert_eq!(parts_of(b"\xff12345678", 8).last(), Some((8, 0x3132_3334_3536_3738)));
        assert_eq!((parts_of(b"ab", 3).count(), parts_of(b"ab", 0).count()), (0, 0));
    }

    #[test]
    fn an_entry_is_asked_of_few() {
        let entries: String = (0..100).map(|n| format!("/a:/s:1:1:exit:include_strings=common&name={n}.\n")).collect();
        let pfile = pfile(&entries);
        let all: Vec<_> = (0..100).map(|n| process(n + 1, 0, &format!("/a common name={n}."))).collect();
        let parts = Parts::of(pfile.entries.iter().map(|entry| &entry.value), &all);
        for (n, entry) in pfile.entries.iter().enumerate() {
            let candidates = parts.candidates(&entry.value).unwrap();
            assert!(candidates.contains(&n) && candidates.len() <= 10, "{n}: {candidates:?}");
        }
    }

    proptest! {
        #[test]
        fn who_is_meant_is_the_same_with_parts_as_without(
            strings in prop::collection::vec(prop::collection::vec("[ab]{1,10}", 0..3), 1..8),
            lines in prop::collection::vec("[ab ]{0,24}", 0..12),
        ) {
            let option = |strings: &Vec<String>| {
                if strings.is_empty() { String::new() } else { format!(":include_strings={}", strings.join("&")) }
            };
            let entries: String = strings.iter().map(|strings| format!("/a:/s:1:1:exit{}\n", option(strings))).collect();
            let pfile = pfile(&entries);
            let all: Vec<_> = (1..).zip(&lines).map(|(pid, line)| process(pid, 0, &format!("/a {line}"))).collect();
            let entries = pfile.entries.iter().map(|entry| &entry.value);
            let parts = Parts::of(entries.clone(), &all);
            let processes = Processes::new(all.clone());
            for entry in entries {
                let meant: Vec<_> = processes.matching(entry).map(|process| process.proc).collect();
                let among = parts.candidates(entry);
                let among: Vec<_> = among.map_or_else(|| all.iter().collect(), |among| among.iter().map(|index| &all[*index]).collect());
                prop_assert!(meant.iter().all(|proc| among.iter().any(|process| process.proc == *proc)));
            }
        }
    }
}
