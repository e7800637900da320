//! Deaths as sentences.

use watcher_core::Span;

use super::death::{Death, Entry, Restart};

/// How many deaths of one entry are told.
pub(super) const LAST: usize = 5;

/// The tale of an entry: a line for each of the last deaths. `show_time` makes text of seconds since 1970.
pub(super) fn tell(entry: &Entry, show_time: &dyn Fn(f64) -> String) -> Vec<String> {
    let name = match &entry.process {
        Some(process) => format!("entry {} ({process})", entry.entry),
        None => format!("entry {}", entry.entry),
    };
    let earlier = entry.deaths.len().saturating_sub(LAST);
    let mut lines = Vec::new();
    if entry.deaths.is_empty() {
        lines.push(format!("{name}: no death is remembered."));
    }
    if earlier > 0 {
        lines.push(format!("{name}: {earlier} earlier deaths are remembered; --json shows them."));
    }
    let told = entry.deaths.iter().skip(earlier).map(|death| format!("{name}: {}.", sentence(death, show_time)));
    lines.extend(told);
    lines
}

fn sentence(death: &Death, show_time: &dyn Fn(f64) -> String) -> String {
    let Death {
        pid,
        unix_time,
        cause,
        stall,
        exit_code,
        signal_name,
        latency_us,
        gone_after_s,
        restarts,
        back_pid,
        back_after_s,
        retry_over,
        missing,
    } = death;
    let who = pid.map_or_else(|| "the process".to_owned(), |pid| format!("process {pid}"));
    let how = match (stall.as_ref().or(cause.as_ref()), signal_name, exit_code) {
        (Some(cause), _, _) => cause.clone(),
        (None, Some(signal), _) => format!("was killed by {signal}"),
        (None, None, Some(code)) => format!("exited with code {code}"),
        (None, None, None) if *missing => "was not there".to_owned(),
        (None, None, None) => "ended, how is not known".to_owned(),
    };
    let when = unix_time.map(|time| format!(", {}", show_time(time))).unwrap_or_default();
    let mut parts = vec![format!("{who} {how}{when}")];
    let known = latency_us.map(|latency| format!("known {} later", Span((latency.max(0.0) * 1e3) as u64)));
    let gone = gone_after_s.map(|took| format!("gone after {}", span(took)));
    let timing: Vec<_> = known.into_iter().chain(gone).collect();
    if !timing.is_empty() {
        parts.push(timing.join(", "));
    }
    let last = restarts.len().saturating_sub(1);
    let brought_back = |index: usize| index == last && back_pid.is_some();
    let mut outcome: Vec<_> =
        restarts.iter().enumerate().map(|(index, restart)| restarted(restart, brought_back(index))).collect();
    match (back_pid, retry_over) {
        (Some(pid), _) => {
            let after = back_after_s.map_or_else(String::new, |after| format!(" after {}", span(after)));
            outcome.push(format!("back{after} as {pid}"));
        }
        (None, Some(action)) if action.is_empty() => outcome.push("the retries were used up".to_owned()),
        (None, Some(action)) => outcome.push(format!("the retries were used up: {action}")),
        (None, None) => outcome.push("not back yet".to_owned()),
    }
    parts.push(outcome.join(", "));
    parts.join("; ")
}

/// A try. A script that did not end well may have brought the process back all the same; one that never began has not.
fn restarted(restart: &Restart, brought_back: bool) -> String {
    let Restart { retry_count, retries, script, reason, script_failed, not_started } = restart;
    let by = script.as_ref().map(|script| format!(" by {script}")).unwrap_or_default();
    let retry = match (retry_count, retries) {
        (Some(count), Some(all)) => Some(format!("retry {count} of {all}")),
        (Some(count), None) => Some(format!("retry {count}")),
        (None, _) => None,
    };
    let why = reason.as_ref().map(|reason| format!("because of {reason}"));
    let failed = script_failed.as_ref().map(|failed| format!("the script {failed}"));
    let (done, failed) = match failed {
        Some(failed) if *not_started || !brought_back => (format!("restart{by} failed: {failed}"), None),
        failed => (format!("restarted{by}"), failed),
    };
    let notes: Vec<_> = retry.into_iter().chain(why).chain(failed).collect();
    if notes.is_empty() { done } else { format!("{done} ({})", notes.join("; ")) }
}

fn span(seconds: f64) -> Span {
    Span((seconds.max(0.0) * 1e9).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::{super::line::Line, *};
    use crate::cli::why::death;

    fn tale(lines: &[&str]) -> Vec<String> {
        let lines: Vec<_> = lines.iter().filter_map(|line| Line::read(line)).collect();
        let clock = |time: f64| format!("at {time}");
        death::of(&lines).iter().flat_map(|entry| tell(entry, &clock)).collect()
    }

    const ENTRY: &str = r#"{"line":"entry","entry":1,"process":"/usr/bin/java","script":"/opt/start.sh","retries":3}"#;
    const DOWN: &str = r#"{"event":"down","entry":1,"process":"/usr/bin/java","pid":4711,"unix_time":100.0}"#;
    const CAUSE: &str = r#"{"event":"cause","entry":1,"pid":4711,"unix_time":100.0,
        "cause":"was killed by SIGKILL sent by bash (pid 99, uid 0)","signal_name":"SIGKILL","latency_us":100.0}"#;
    const GONE: &str = r#"{"event":"gone","entry":1,"pid":4711,"unix_time":100.03}"#;
    const TRY: &str = r#"{"event":"try_to_restart","entry":1,"retry_count":1,"reason":"down","unix_time":100.04}"#;
    const UP: &str = r#"{"event":"up","entry":1,"pid":4750,"unix_time":105.02}"#;

    #[test]
    fn a_death_is_told_from_its_cause_to_what_came_of_it() {
        assert_eq!(
            tale(&[ENTRY, r#"{"event":"up","entry":1,"pid":4711}"#, DOWN, CAUSE, GONE, TRY, UP]),
            [
                "entry 1 (/usr/bin/java): process 4711 was killed by SIGKILL sent by bash (pid 99, uid 0), at 100; known \
                 100.0 us later, gone after 30.0 ms; restarted by /opt/start.sh (retry 1 of 3), back after 5.02 s as 4750."
            ]
        );
    }

    #[test]
    fn who_was_ended_for_a_stall_is_told_so() {
        let stall = r#"{"event":"unanswered","entry":1,"pid":4711,"port":8080,"why":"does not answer in time","failures":3,
            "after_s":30.01}"#;
        let told = tale(&[stall, DOWN, CAUSE]).remove(0);
        let expected = "process 4711 ended by pcheck, since the service on port 8080 does not answer in time; 3 checks failed \
                        within 30.01 s, at 100; ";
        assert!(told.contains(expected), "{told}");
        let another = DOWN.replace("4711", "4712");
        assert!(!tale(&[stall, &another]).remove(0).contains("port"), "that was another process");
    }

    #[test]
    fn who_was_ended_for_its_sockets_is_told_so() {
        let stall = r#"{"event":"socket_stall","entry":1,"pid":4711,"port":8080,"alarm":"accept_full","after_s":15.0}"#;
        let told = tale(&[stall, DOWN, CAUSE]).remove(0);
        let expected = "process 4711 ended by pcheck, since its port 8080 was of no use: Socket Backlog Full for 15.00 s, at \
                        100; known";
        assert!(told.contains(expected), "{told}");
        let of_another_version = stall.replace("accept_full", "accept_nothing");
        let told = tale(&[&of_another_version, DOWN, CAUSE]).remove(0);
        assert!(told.contains(" was of no use: accept_nothing for 15.00 s, at 100; "), "{told}");
        let another = DOWN.replace("4711", "4712");
        assert!(!tale(&[stall, &another]).remove(0).contains("port"), "that was another process");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        assert_eq!(
            tale(&[DOWN]),
            ["entry 1 (/usr/bin/java): process 4711 ended, how is not known, at 100; not back yet."]
        );
        assert_eq!(tale(&[CAUSE, UP]).len(), 1);
        assert_eq!(tale(&[ENTRY]), ["entry 1 (/usr/bin/java): no death is remembered."]);
        assert_eq!(tale(&[]), [""; 0]);
        let missing = r#"{"event":"set_pid_fail","entry":2}"#;
        let tried = r#"{"event":"try_to_restart","entry":2,"retry_count":1}"#;
        assert_eq!(tale(&[missing, tried]), ["entry 2: the process was not there; restarted (retry 1), not back yet."]);
    }

    #[test]
    fn every_try_is_told_until_the_retries_are_used_up() {
        let ended = r#"{"event":"script_ended","entry":1,"script":"/opt/start.sh","exit_code":3}"#;
        let overdue = r#"{"event":"script_overdue","entry":1,"script":"/opt/start.sh"}"#;
        let again = r#"{"event":"try_to_restart","entry":1,"retry_count":2,"reason":"stall"}"#;
        let over = r#"{"event":"retry_over","entry":1,"action":"exit"}"#;
        let tale = tale(&[ENTRY, DOWN, TRY, ended, DOWN, again, overdue, DOWN, over]);
        assert_eq!(
            tale,
            [
                "entry 1 (/usr/bin/java): process 4711 ended, how is not known, at 100; restart by /opt/start.sh failed: the \
             script exited with code 3 (retry 1 of 3), restart by /opt/start.sh failed: the script took too long (retry 2 of \
             3; because of stall), the retries were used up: exit."
            ]
        );
    }

    #[test]
    fn nothing_is_said_to_be_restarted_by_a_script_that_never_began() {
        let missing = r#"{"event":"script_ended","entry":1,"script":"/opt/start.sh","why":"it does not exist"}"#;
        let failed = "restart by /opt/start.sh failed: the script was not started: it does not exist (retry 1 of 3)";
        assert!(tale(&[ENTRY, DOWN, TRY, missing])[0].ends_with(&format!("; {failed}, not back yet.")));
        let somebody_else = tale(&[ENTRY, DOWN, TRY, missing, UP]);
        assert!(somebody_else[0].ends_with(&format!("; {failed}, back after 5.02 s as 4750.")), "{somebody_else:?}");
        // What is there in the end was brought back, whatever the script says.
        let ended = r#"{"event":"script_ended","entry":1,"script":"/opt/start.sh","exit_code":3}"#;
        let back = tale(&[ENTRY, DOWN, TRY, ended, UP]);
        assert!(back[0].contains("restarted by /opt/start.sh (retry 1 of 3; the script exited with code 3), back"));
    }

    #[test]
    fn strange_lines_are_passed_over() {
        let strange = [
            "",
            "no JSON",
            "[1]",
            r#"{"event":"sing","entry":1}"#,
            r#"{"event":7,"entry":1}"#,
            r#"{"event":"down"}"#,
            r#"{"event":"gone","entry":1,"pid":5}"#,
            r#"{"event":"script_ended","entry":1}"#,
            r#"{"event":"retry_over","entry":1}"#,
            r#"{"line":"snapshot","entry":1}"#,
            r#"{"line":"header","unix_time":"noon"}"#,
            r#"{"event":"events_lost","count":3}"#,
        ];
        assert_eq!(tale(&strange), ["entry 1: no death is remembered."]);
        let back_in_time = r#"{"event":"up","entry":1,"pid":4750,"unix_time":-1e300}"#;
        assert!(tale(&[DOWN, back_in_time])[0].ends_with("back after 0.0 us as 4750."));
    }

    #[test]
    fn only_the_last_deaths_are_told() {
        let story: Vec<_> = std::iter::repeat_n([DOWN, UP], 7).flatten().collect();
        let tale = tale(&story);
        assert_eq!(tale.len(), LAST + 1);
        assert!(tale[0].contains("2 earlier deaths"), "{}", tale[0]);
    }
}
