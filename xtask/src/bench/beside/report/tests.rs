//! A report of made-up figures.

use std::time::Duration;

use super::{FULL, Report, is_full};
use crate::bench::beside::{
    Wish,
    facts::Facts,
    figures::{Deaths, Half, Measured, Memory, Outcome, Window},
    plan::{Cell, Plan},
    sections::Section,
};

fn half(cpu_ns: u64, began_ns: Vec<u64>, missed: usize) -> Half {
    Half {
        idle: Window { seconds: 10.0, cpu_ns, wake_ups: 20, kernel_ns: 0 },
        memory: Memory { rss_mib: 12.0, pss_mib: 9.0, processes: 1 },
        deaths: Deaths { kills: began_ns.len() + missed, known_ns: Vec::new(), began_ns, missed, needless: 0 },
        strangers_a_second: None,
    }
}

fn measured(noisy: Option<Half>) -> Outcome {
    let quiet = half(1_000_000_000, vec![3_000_000, 1_000_000, 2_000_000], 1);
    Outcome::Done(Box::new(Measured { ready_s: 0.25, quiet, noisy, living: 10 }))
}

fn with_report<T>(quick: bool, action: impl FnOnce(&Report<'_>) -> T) -> T {
    let tools = ["monit".to_owned(), "restartd".to_owned()];
    let plan = Plan::make(&Wish { quick, tools: &tools, sizes: &[10], fresh: false }).unwrap();
    let facts = Facts::made_up();
    let noisy = Half { strangers_a_second: Some(998.0), ..half(2_000_000_000, vec![9_000_000], 0) };
    let cells = plan.cells();
    let outcomes = [measured(Some(noisy)), Outcome::Cannot { cannot: "its table is full".to_owned() }];
    let cells: Vec<(Cell, Outcome)> = cells.into_iter().zip(outcomes).collect();
    let section =
        Section { title: "restarts", program: "bench_restart", words: &["--quick"], estimate: Duration::ZERO };
    let sections = [(section, "## Restarts\n\n| bare | 1 |\n".to_owned())];
    action(&Report { plan: &plan, facts: &facts, cells: &cells, sections: &sections, failed: &[] })
}

#[test]
fn a_row_has_what_was_measured() {
    let text = with_report(false, |report| report.text());
    let row = "| monit (1 s) | 10.0 | 2.00 | 12.0 | 9.00 | – | – | – | – | 2.00 | 3.00 | 3.00 | 1 of 4 | 0.250 |";
    assert!(text.contains(row), "{text}");
    assert!(text.contains("## 10 watched processes, 998 strangers a second"), "{text}");
    assert!(text.contains("| monit (1 s) | 20.0 |"), "{text}");
}

#[test]
fn what_a_tool_cannot_do_is_said_with_its_reason() {
    let text = with_report(false, |report| report.text());
    assert!(text.contains("| restartd (1 s) | cannot, see below |"), "{text}");
    assert!(text.contains("- restartd (1 s), 10 processes: its table is full"), "{text}");
}

#[test]
fn all_rows_of_a_table_have_as_many_cells() {
    let text = with_report(false, |report| report.text());
    let tables = text.split("\n\n").filter(|part| part.starts_with("| | CPU"));
    for table in tables {
        let widths: Vec<_> = table.lines().map(|line| line.matches('|').count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{widths:?}\n{table}");
    }
}

#[test]
fn a_partial_run_says_so_first() {
    for quick in [true, false] {
        let text = with_report(quick, |report| report.text());
        assert!(text.starts_with("# Figures of a partial run"), "{text}");
        assert!(!is_full(&text));
    }
    assert!(is_full(&format!("{FULL}\n\nMade by")));
}

#[test]
fn every_picture_is_named_in_the_text() {
    with_report(false, |report| {
        let text = report.text();
        for (path, svg) in report.plots() {
            assert!(text.contains(&path) && svg.starts_with("<svg"), "{path}");
        }
    });
}

#[test]
fn a_goal_without_figures_is_not_reached() {
    let text = with_report(false, |report| report.text());
    let goals: Vec<_> = text.lines().filter(|line| line.contains("not measured in this run")).collect();
    assert!(goals.len() >= 9, "{text}");
    assert!(!text.contains("| reached |"), "{text}");
}
