//! Numbers of processes as a few ranges: exact for a few, and for many as near as it gets.

use std::ops::RangeInclusive;

/// So many ranges, at most: what a filter takes counts against `net.core.optmem_max`, 20 KiB by default, twice while it is
/// replaced.
pub(super) const MOST: usize = 128;

/// Ranges in order, apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<RangeInclusive<u32>>);

impl Ranges {
    /// Those of these numbers, which come in order. Where they are too many, the smallest gaps are closed: numbers are given
    /// out in order, so who is watched for long is near others, and strangers come far from them.
    #[must_use]
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                Some(last) if number <= last.end().saturating_add(1) => *last = *last.start()..=number,
                Some(_) | None => ranges.push(number..=number),
            }
        }
        let gap = |(before, after): (&RangeInclusive<u32>, &RangeInclusive<u32>)| after.start() - before.end();
        let mut gaps: Vec<_> = ranges.iter().zip(ranges.iter().skip(1)).map(gap).collect();
        gaps.sort_unstable_by(|one, other| other.cmp(one));
        // Gaps that are no larger than this are closed; of equal ones, all.
        let Some(&closed) = gaps.get(MOST - 1) else { return Self(ranges) };
        let mut few: Vec<RangeInclusive<u32>> = Vec::new();
        for range in ranges {
            match few.last_mut() {
                Some(last) if range.start() - last.end() <= closed => *last = *last.start()..=*range.end(),
                Some(_) | None => few.push(range),
            }
        }
        Self(few)
    }

    /// Whether a number is in one of them.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let next = self.0.partition_point(|range| *range.end() < number);
        self.0.get(next).is_some_and(|range| range.contains(&number))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &RangeInclusive<u32>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_range_and_few_are_told_exactly() {
        let ranges = Ranges::of([3, 4, 5, 9, 11]);
        assert_eq!(ranges.0, [3..=5, 9..=9, 11..=11]);
        let inside: Vec<_> = (0..20).filter(|number| ranges.contains(*number)).collect();
        assert_eq!(inside, [3, 4, 5, 9, 11]);
        assert!(!Ranges::default().contains(0));
    }

    #[test]
    fn of_many_the_smallest_gaps_are_closed() {
        // Pairs with a gap between them, and a larger one to the next pair.
        let numbers = (0..MOST as u32).flat_map(|pair| [100 * pair, 100 * pair + 3]);
        let ranges = Ranges::of(numbers);
        assert_eq!(ranges.0.len(), MOST);
        assert!(ranges.contains(101) && !ranges.contains(104));
        let alike = Ranges::of((0..1_000).map(|number| number * 2));
        assert_eq!(alike.0, [0..=1_998], "which of equal gaps to keep, nothing says");
    }
}
