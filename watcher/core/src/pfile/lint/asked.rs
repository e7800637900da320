//! What an entry says of how it is asked, and what does not go together in it.

use crate::pfile::{Check, Entry, Extension, Method, Placed, Problem, Seconds, StallCheck, StallKind};

/// What will hurt.
pub(super) fn asked(entry: &Entry) -> Vec<Problem> {
    let late = entry.stall_checks.iter().filter_map(|check| late(entry, check));
    unchecked(entry).into_iter().chain(head_for_a_body(entry)).chain(late).collect()
}

/// `ca=` without `verify=on`: a certificate that is not checked looks as if it were.
fn unchecked(entry: &Entry) -> Option<Problem> {
    let extensions = &entry.extensions;
    let ca = extensions.iter().find(|extension| matches!(extension.value, Extension::Ca(_)))?;
    let verified = extensions.iter().any(|extension| extension.value == Extension::Verify(true));
    // Without a block of TLS that is said already.
    let spoken = entry.stall_checks.iter().any(|check| check.value.kind() == StallKind::WebTls);
    let message = "`ca` does nothing here: without `verify=on` the certificate is not checked";
    (spoken && !verified)
        .then(|| Problem::new(Check::UnusedExtension, ca.place, message).hint("add `verify=on`, or take this away"))
}

/// An answer to `HEAD` has no body in which something could be found.
fn head_for_a_body(entry: &Entry) -> Option<Problem> {
    let extensions = &entry.extensions;
    let head = extensions.iter().find(|extension| extension.value == Extension::Method(Method::Head))?;
    let body = extensions.iter().find(|extension| matches!(extension.value, Extension::Match(_)))?;
    let message = "`method=HEAD` does nothing here: `match` wants the body, so `GET` is asked";
    let problem =
        Problem::new(Check::UnusedExtension, head.place, message).hint("write `method=GET`, or take this away");
    Some(problem.related(body.place, "the body is wanted here"))
}

/// A time limit that makes verdicts late.
fn late(entry: &Entry, check: &Placed<StallCheck>) -> Option<Problem> {
    let of_entry = entry.extensions.iter().find_map(|extension| {
        if let Extension::Timeout(limit) = extension.value { Some((limit, extension.place)) } else { None }
    });
    let of_block = check.value.target().timeout.map(|limit| (limit, check.place));
    let (limit, place) = of_entry.or(of_block)?;
    let timing = check.value.timing();
    let (Seconds(limit), Seconds(interval), Seconds(retry_over)) = (limit, timing.interval(), timing.retry_over());
    let two = u64::from(interval) + u64::from(limit);
    let message = if limit > interval {
        format!(
            "a check may take {limit} seconds, longer than the interval of {interval}: a service that is silent is \
             asked less often, and its stall found late"
        )
    } else if two > u64::from(retry_over) && limit > LITTLE.min(interval) {
        format!(
            "a stall takes two checks, and they may take {two} seconds, longer than the retry-over time of \
             {retry_over}: it is found late"
        )
    } else {
        return None;
    };
    let most = interval.min(retry_over.saturating_sub(interval)).max(LITTLE.min(interval));
    let hint = format!("a time limit of {most} seconds or less fits");
    let problem = Problem::new(Check::TimeoutAboveInterval, place, message).hint(hint);
    Some(if place == check.place { problem } else { problem.related(check.place, "the block with these times") })
}

/// As long as a check takes where nothing is said, nobody has chosen it.
const LITTLE: u32 = 10;

#[cfg(test)]
mod tests {
    use crate::pfile::{lint::text, select::tests::pfile};

    fn told(extensions: &str, block: &str, times: &str) -> Vec<String> {
        let library = format!("DLL:/x/lib{block}.so:DIRECT:-");
        let text_of = format!(
            "/a:/b:0:3:exit\n{extensions}\n{block} {{\nPS_INIT {library}:-:-:0\nPS_EXEC {library}:{times}\n\
             PS_ACTION {library}:-:1:0\nPS_QUIT {library}:-:-:0\n}}\n"
        );
        text(&pfile(&text_of)).iter().map(|problem| format!("{} {}", problem.check, problem.message)).collect()
    }

    #[test]
    fn what_is_not_checked_and_what_has_no_body_is_told() {
        let tls = |extensions: &str| told(extensions, "_bi_webservs", "60:0:2:600:80");
        for extensions in ["#@ ca=/x", "#@ ca=/x verify=off"] {
            let [one] = &tls(extensions)[..] else { panic!("{extensions}") };
            assert!(one.starts_with("unused-extension `ca` does nothing here: without `verify=on`"), "{one}");
        }
        let [one] = &tls("#@ method=HEAD match=x")[..] else { panic!("one is wanted") };
        assert!(one.starts_with("unused-extension `method=HEAD` does nothing here"), "{one}");
        for good in ["#@ ca=/x verify=on", "#@ method=GET match=x", "#@ match=x", "#@ method=HEAD match_header=x"] {
            assert_eq!(tls(good), [""; 0], "{good}");
        }
    }

    #[test]
    fn a_time_limit_that_makes_verdicts_late_is_told() {
        for (extensions, times, late) in [
            ("#@ timeout=30", "30:0:2:600:80", false),
            ("#@ timeout=31", "30:0:2:600:80", true),
            ("", "30:0:4:600:80:-:31", true),
            ("#@ timeout=30", "30:0:4:600:80:-:31", false),
            ("#@ timeout=50", "60:0:2:100:80", true),
            ("#@ timeout=40", "60:0:2:100:80", false),
            ("#@ timeout=5", "60:0:2:60:80", false),
            ("", "60:0:2:60:80", false),
            ("#@ timeout=4294967295", "4294967295:0:2:4294967295:80", true),
        ] {
            let told = told(extensions, "_bi_webservs", times);
            assert_eq!(told.iter().any(|one| one.starts_with("timeout-above-interval")), late, "{told:?} {times}");
            assert_eq!(told.len(), usize::from(late), "{told:?} {times}");
        }
    }
}
