//! What holds for every text. The tests and the fuzz target both ask it.

use watcher_core::pfile::{Pfile, Reading, Severity, UnknownOptions, fix, print, read};

const LARGE: usize = 100_000;

/// Reads, and asserts what always holds.
pub(crate) fn read_and_print(text: &[u8]) -> Option<Pfile> {
    for unknown in [UnknownOptions::Keep, UnknownOptions::Refuse] {
        let Reading { pfile, problems, .. } = read(text, unknown);
        let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
        assert_eq!(pfile.is_none(), failed);
        for problem in &problems {
            assert!(problem.place.start <= problem.place.end && problem.place.end <= text.len(), "{problem:?}");
            assert!(problem.message.len() < 1_000, "{problem:?}");
        }
        // Several times as much work: not for large texts.
        if text.len() < LARGE {
            repair_whatever_can_be(text, unknown);
        }
        let Some(pfile) = pfile else { continue };
        let printed = print(&pfile);
        let again = read(&printed, unknown);
        assert_eq!(again.pfile.as_ref(), Some(&pfile), "{}", String::from_utf8_lossy(&printed));
        if unknown == UnknownOptions::Refuse {
            return Some(pfile);
        }
    }
    None
}

/// Repairs lead to a text that needs none, and (which `repair` sees to itself) says the same.
fn repair_whatever_can_be(text: &[u8], unknown: UnknownOptions) {
    let repairable = |text: &[u8]| read(text, unknown).problems.iter().any(|problem| !problem.edits.is_empty());
    match fix::repair(text, unknown) {
        Some(repaired) => assert!(!repairable(&repaired.text), "{}", String::from_utf8_lossy(&repaired.text)),
        None => assert!(!repairable(text), "{}", String::from_utf8_lossy(text)),
    }
}
