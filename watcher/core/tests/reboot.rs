//! Whether the host is rebooted: tables, and what holds whatever the clock says.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::num::NonZeroU32;

use proptest::prelude::*;
use watcher_core::reboot::{Date, Limits, Reboot, Verdict, decide, recent, without_the_last};

const DAY: u64 = 86_400;
/// A day in 2026.
const NOW: u64 = 1_790_000_000;
/// What a clock says that has lost the date.
const LOST: u64 = 300;

fn limits(threshold: u32) -> Limits {
    Limits { threshold: NonZeroU32::new(threshold).unwrap(), window: DAY }
}

fn at(seconds: u64) -> Reboot {
    Reboot { at: Some(Date(seconds)), dry_run: false, pfile: None }
}

fn undated() -> Reboot {
    Reboot { at: None, ..at(0) }
}

fn only_said(seconds: u64) -> Reboot {
    Reboot { dry_run: true, ..at(seconds) }
}

fn number(history: &[Reboot], now: u64, dry_run: bool) -> Option<u32> {
    match decide(history, (Date(now), dry_run), "/a.pfile".into(), limits(3)) {
        Verdict::Enough { count } => {
            assert!(count >= 3);
            None
        }
        Verdict::Reboot { number, history } => {
            let last = history.last().unwrap();
            assert_eq!((last.at, last.dry_run), (Some(Date(now)), dry_run));
            Some(number)
        }
    }
}

#[test]
fn a_reboot_counts_for_as_long_as_it_may_be_recent() {
    let table: &[(&str, &[Reboot], u64, Option<u32>)] = &[
        ("none before", &[], NOW, Some(1)),
        ("one a moment ago", &[at(NOW)], NOW, Some(2)),
        ("the window's last second", &[at(NOW - DAY)], NOW, Some(2)),
        ("a second later", &[at(NOW - DAY - 1)], NOW, Some(1)),
        ("two, and old ones", &[at(NOW - 9 * DAY), at(NOW - 5), at(NOW - 4)], NOW, Some(3)),
        ("three", &[at(NOW - 5), at(NOW - 4), at(NOW - 3)], NOW, None),
        ("more than are allowed", &[at(NOW), at(NOW), at(NOW), at(NOW)], NOW, None),
        ("the clock was set back since", &[at(NOW + 30 * DAY), at(NOW + 30 * DAY)], NOW, Some(3)),
        ("the same, once more", &[at(NOW + DAY), at(NOW + DAY), at(NOW + DAY)], NOW, None),
        ("when cannot be read", &[undated(), undated(), undated()], NOW, None),
        ("the clock had lost the date then", &[at(LOST), at(LOST)], NOW, Some(3)),
        ("the clock has lost it now", &[at(NOW - 9 * DAY), at(NOW - 8 * DAY)], LOST, Some(3)),
        ("it loses it at each boot", &[at(LOST), at(LOST), at(LOST)], LOST + 9 * DAY, None),
        ("they were only said", &[only_said(NOW), only_said(NOW), only_said(NOW)], NOW, Some(1)),
    ];
    for (story, history, now, expected) in table {
        assert_eq!(number(history, *now, false), *expected, "{story}");
    }
}

#[test]
fn those_who_only_say_it_count_both() {
    assert_eq!(number(&[only_said(NOW), at(NOW)], NOW, true), Some(3));
    assert_eq!(number(&[only_said(NOW), at(NOW), only_said(NOW)], NOW, true), None);
}

#[test]
fn what_had_no_date_gets_one_by_which_it_can_grow_old() {
    let history = [undated(), at(LOST), at(NOW + DAY), at(NOW - 9 * DAY), at(NOW - 7)];
    let Verdict::Reboot { number, history } = decide(&history, (Date(NOW), false), "/a".into(), limits(9)) else {
        panic!("it is allowed")
    };
    assert_eq!(number, 5);
    let dates: Vec<_> = history.iter().map(|reboot| reboot.at.unwrap().0).collect();
    assert_eq!(dates, [NOW, NOW, NOW, NOW - 7, NOW]);
    assert_eq!(recent(&history, (Date(NOW + DAY + 1), false), limits(9)), 0, "all are old by then");
    let before = history.len();
    assert_eq!(without_the_last(history).len(), before - 1);

    // But not by a clock that is wrong.
    let Verdict::Reboot { history, .. } = decide(&[undated(), at(NOW)], (Date(LOST), false), "/a".into(), limits(9))
    else {
        panic!("it is allowed")
    };
    let dates: Vec<_> = history.iter().map(|reboot| reboot.at).collect();
    assert_eq!(dates, [None, Some(Date(NOW)), Some(Date(LOST))]);
}

/// Dates as clocks have them: right, lost, and anything.
fn dates() -> impl Strategy<Value = u64> {
    prop_oneof![NOW - 3 * DAY..NOW + 3 * DAY, 0..10 * DAY, any::<u64>()]
}

fn reboots() -> impl Strategy<Value = Reboot> {
    (proptest::option::weighted(0.9, dates()), proptest::bool::weighted(0.2)).prop_map(|(at, dry_run)| Reboot {
        at: at.map(Date),
        dry_run,
        pfile: None,
    })
}

proptest! {
    /// Whatever the clock does between two boots: if no window passes by it, there is an end to reboots.
    #[test]
    fn a_clock_that_jumps_among_recent_dates_and_lost_ones_allows_no_endless_loop(
        clock in proptest::collection::vec(prop_oneof![NOW..NOW + DAY, 0..10 * DAY], 50),
        threshold in 1_u32..6,
    ) {
        let (mut history, mut reboots) = (Vec::new(), 0);
        for now in clock {
            if let Verdict::Reboot { history: written, .. } =
                decide(&history, (Date(now), false), "/a".into(), limits(threshold))
            {
                history = written;
                reboots += 1;
            }
        }
        prop_assert_eq!(reboots, threshold);
    }

    #[test]
    fn the_history_does_not_grow_beyond_what_counts(
        history in proptest::collection::vec(reboots(), 0..20),
        now in dates(),
        dry_run: bool,
        threshold in 1_u32..6,
    ) {
        let limits = limits(threshold);
        let now = (Date(now), dry_run);
        match decide(&history, now, "/a".into(), limits) {
            Verdict::Enough { count } => {
                prop_assert!(count >= threshold);
                prop_assert_eq!(count, recent(&history, now, limits));
            }
            Verdict::Reboot { number, history: written } => {
                prop_assert!((1..=threshold).contains(&number));
                prop_assert_eq!(recent(&written, now, limits), number, "it counts itself from now on");
                prop_assert!(written.len() <= history.len() + 1);
                // A real one is never forgotten for one that is only said.
                let real = |history: &[Reboot]| recent(history, (now.0, false), limits);
                prop_assert_eq!(real(&written), real(&history) + u32::from(!dry_run));
            }
        }
    }
}
