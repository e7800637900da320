//! The table at the end, and what came of everything.

use anyhow::bail;

use super::{report::Outcome, rows::IMPOSSIBLE};
use crate::say;

/// Prints a row for each kernel, group and tier, what was said before each failure, and the sums. Fails when something did.
pub(super) fn print(outcomes: &[Outcome], absent: &[(String, String)]) -> anyhow::Result<()> {
    let row = |kernel: &str, group: &str, tier: &str, result: &str| {
        // A group that goes from tier to tier names them all.
        let tier = if tier.contains(',') { "all" } else { tier };
        say(&format!("{kernel:<16} {group:<11} {tier:<10} {result}"));
    };
    for Outcome { guest, group, tier, result, tail } in outcomes.iter().filter(|outcome| outcome.result.is_err()) {
        let reason = result.as_ref().err().map(String::as_str).unwrap_or_default();
        say(&format!("\n-- {guest}, {group}, {tier}: {reason}"));
        tail.iter().for_each(|line| say(&format!("   {line}")));
    }
    say("");
    row("kernel", "group", "tier", "result");
    for Outcome { guest, group, tier, result, tail: _ } in outcomes {
        match result {
            Ok(text) => row(guest, group, tier, text),
            Err(text) => row(guest, group, tier, &format!("FAILED: {text}")),
        }
    }
    for (kernel, reason) in absent {
        row(kernel, "all", "-", &format!("skipped: {reason}"));
    }
    for (kernel, group, tier, reason) in IMPOSSIBLE {
        row(kernel, group, tier, &format!("skipped: {reason}"));
    }
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    let skipped = absent.len() + IMPOSSIBLE.len();
    say(&format!("{} passed, {failed} failed, {skipped} skipped", outcomes.len() - failed));
    if failed > 0 {
        bail!("{failed} rows of the table are not as they should be");
    }
    Ok(())
}
