//! Repairs of the text that change nothing of what it means, and keep every comment.

use std::collections::BTreeSet;

use super::{Check, Edit, Problem, Reading, Severity, UnknownOptions, read};

/// A text after its repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The text.
    pub text: Vec<u8>,
    /// How many problems were repaired.
    pub problems: usize,
}

/// Repairs what can be repaired; `None` when there is nothing. Lints that the file allows are left alone.
#[must_use]
pub fn repair(text: &[u8], unknown_options: UnknownOptions) -> Option<Repaired> {
    // A repair may bring the next one to light, or two of them may meet in one place. None makes work for itself, so a
    // few rounds do.
    const ROUNDS: usize = 5;
    let before = read(text, unknown_options);
    let mut repaired = Repaired { text: text.to_vec(), problems: 0 };
    let mut reading = before.clone();
    for _round in 0..ROUNDS {
        let (text, problems) = apply(&repaired.text, &reading.problems);
        if problems == 0 {
            break;
        }
        repaired = Repaired { text, problems: repaired.problems + problems };
        reading = read(&repaired.text, unknown_options);
    }
    // Whatever went wrong, a text that says something else is no repair.
    (repaired.problems > 0 && means_the_same(&before, &reading)).then_some(repaired)
}

fn means_the_same(one: &Reading, other: &Reading) -> bool {
    let errors = |reading: &Reading| -> Vec<Check> {
        let errors = reading.problems.iter().filter(|problem| problem.severity == Severity::Error);
        let mut errors: Vec<_> = errors.map(|problem| problem.check).collect();
        // Two in one place may change theirs.
        errors.sort_unstable();
        errors
    };
    one.pfile == other.pfile && errors(one) == errors(other)
}

/// The text with all edits that do not touch each other, and how many problems that repairs.
fn apply(text: &[u8], problems: &[Problem]) -> (Vec<u8>, usize) {
    let of_problem = |(index, problem): (usize, &'_ Problem)| (index, problem.edits.clone());
    let edits = problems.iter().enumerate().map(of_problem);
    let mut edits: Vec<_> = edits.flat_map(|(index, edits)| edits.into_iter().map(move |edit| (index, edit))).collect();
    edits.sort_by_key(|(_, edit)| edit.place);
    let mut touched = BTreeSet::new();
    let mut result = Vec::with_capacity(text.len());
    let mut from = 0;
    for (index, Edit { place, replacement }) in edits {
        // What another edit has changed already is left for the next round.
        let Some(between) = text.get(from..place.start) else { continue };
        result.extend_from_slice(between);
        result.extend_from_slice(&replacement);
        from = place.end;
        touched.insert(index);
    }
    result.extend_from_slice(text.get(from..).unwrap_or_default());
    (result, touched.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repaired(text: &[u8]) -> Option<Vec<u8>> {
        repair(text, UnknownOptions::Refuse).map(|repaired| repaired.text)
    }

    #[test]
    fn damaged_samples_come_out_as_they_were_meant() {
        let text = include_bytes!("../../tests/data/sample_web.pfile");
        let repaired = String::from_utf8(repaired(text).unwrap()).unwrap();
        let head: String = String::from_utf8_lossy(text).lines().take(10).map(|line| format!("{line}\n")).collect();
        let library = "DLL:/opt/HA/PSWE/lib/lib_bi_webserv.so:DIRECT:-";
        assert_eq!(
            repaired,
            format!(
                "{head}_bi_webserv {{\n    PS_INIT          {library}:-:-:0\n    PS_EXEC          {library}:60:0:2:600:8080\n    \
                 PS_ACTION        {library}:-:1:0\n    PS_QUIT          {library}:-:-:0\n}}\n"
            )
        );
    }

    #[test]
    fn every_sample_is_clean_after_its_repair_and_says_the_same() {
        let samples = [
            &include_bytes!("../../tests/data/sample_web.pfile")[..],
            include_bytes!("../../tests/data/sample_https.pfile"),
            include_bytes!("../../tests/data/sample_socket.pfile"),
            include_bytes!("../../tests/data/misspelt.pfile"),
            include_bytes!("../../tests/data/windows.pfile"),
        ];
        for sample in samples {
            let repaired = repaired(sample).unwrap();
            let (before, after) = (read(sample, UnknownOptions::Refuse), read(&repaired, UnknownOptions::Refuse));
            assert_eq!((before.pfile, Vec::new()), (after.pfile, after.problems));
            let comments = |text: &[u8]| {
                let lines = String::from_utf8_lossy(text).into_owned();
                lines
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(|line| line.trim_end().to_owned())
                    .collect::<Vec<_>>()
            };
            assert!(comments(&repaired).len() >= comments(sample).len(), "a comment got lost");
        }
    }

    #[test]
    fn what_is_in_order_or_allowed_is_left_alone() {
        assert_eq!(repaired(include_bytes!("../../tests/data/tomcat.pfile")), None);
        assert_eq!(repaired(b"#@ allow=crlf\r\nIPCKEY 0x1\r\n/a:/b:86400:3:exit\r\n"), None);
    }

    #[test]
    fn no_repair_brings_another_mistake_to_light() {
        let entry = "IPCKEY 0x1\n/a:/b:86400:3:exit\n";
        for text in [
            format!("\u{feff}\u{feff}{entry}"),
            entry.replace('\n', "\r\r\r\r\r\r\r\r\n"),
            format!("{entry}# a:\n  <b>:\n  <c>:\n"),
            format!("{entry}# a:\r\n  <b>:\r\n  <c>\r\n"),
        ] {
            let repaired = repaired(text.as_bytes()).unwrap();
            let Reading { problems, .. } = read(&repaired, UnknownOptions::Refuse);
            assert_eq!(problems, [], "{text}");
        }
        assert_eq!(repaired(b"\xef\xbb\xbf\xff\xfea").unwrap(), b"\xff\xfea");
    }

    #[test]
    fn errors_stay_and_are_not_made_worse() {
        let text = b"IPCKEY 0x1\r\n/a:/b:86400:3:stop\r\n";
        assert_eq!(repaired(text).unwrap(), b"IPCKEY 0x1\n/a:/b:86400:3:stop\n");
        assert_eq!(repaired("\u{feff}:/b:86400:3:exit\n".as_bytes()).unwrap(), b":/b:86400:3:exit\n");
        // What cannot be read is not joined over, or the repair would take it away.
        let broken = read(b"_bi_socket {\nPS_INIT DLL:\n\0\nDIRECT:0\n}\n", UnknownOptions::Refuse);
        assert!(broken.problems.iter().all(|problem| problem.edits.is_empty()), "{broken:#?}");
    }
}
