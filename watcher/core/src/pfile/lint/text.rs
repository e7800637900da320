//! What can be told from the text of one file.

use std::collections::BTreeMap;

use super::asked::asked;
use crate::pfile::{
    Check, Entry, EntryNumber, Interval, Needs, Pfile, Placed, Problem, Seconds, StallCheck, StallKind,
};

/// What will hurt in one file, on whatever host.
#[must_use]
pub fn text(pfile: &Pfile) -> Vec<Problem> {
    let interval = pfile.param.monitor_interval();
    let of_entry = |(number, entry): (EntryNumber, &Placed<Entry>)| {
        let Placed { value: entry, .. } = entry;
        let problems = grace_too_short(entry, interval).into_iter();
        let problems =
            problems.chain(redundant_socket_checks(entry)).chain(unused_extensions(entry)).chain(asked(entry));
        problems.map(|problem| problem.of(number)).collect::<Vec<_>>()
    };
    pfile.numbered().flat_map(of_entry).collect()
}

/// A try takes at least one monitor interval; where a stall check is the reason, also its retry-over time, and what is to be
/// waited after the script. When all
/// tries together outlast the grace period, the count starts again before it is used up.
fn grace_too_short(entry: &Entry, interval: Interval) -> Option<Problem> {
    let Seconds(grace) = entry.grace.value;
    let retries = entry.retries.value;
    let stall = entry.stall_checks.iter().map(|check| check.value.timing().retry_over().0).max().unwrap_or(0);
    let Seconds(wait) = entry.restart_wait();
    let each = u64::from(interval.seconds()) + u64::from(stall) + u64::from(wait);
    let all = each * u64::from(retries);
    if grace == 0 || retries == 0 || u64::from(grace) > all {
        return None;
    }
    let message = format!(
        "{retries} retries take up to {all} seconds, but their count starts again after {grace}: there may never be a \
         retry-over"
    );
    let hint = format!("make it longer than {all} (86400 is usual), or 0 for a count that never starts again");
    Some(Problem::new(Check::GraceTooShort, entry.grace.place, message).hint(hint))
}

fn redundant_socket_checks(entry: &Entry) -> Vec<Problem> {
    let is_socket = |check: &&Placed<StallCheck>| check.value.kind() == StallKind::Socket;
    let webs = entry.stall_checks.iter().filter(|check| !is_socket(check));
    let webs: BTreeMap<_, _> = webs.map(|check| (check.value.target().port, check.place)).collect();
    let redundant = |socket: &Placed<StallCheck>| {
        let port = socket.value.target().port;
        let message = format!("port {} is asked for HTTP as well, which needs the connection too", port.number());
        let problem = Problem::new(Check::RedundantSocketCheck, socket.place, message);
        Some(problem.hint("take this block away").related(*webs.get(&port)?, "the block that asks more"))
    };
    entry.stall_checks.iter().filter(is_socket).filter_map(redundant).collect()
}

fn unused_extensions(entry: &Entry) -> Vec<Problem> {
    let has = |kind| entry.stall_checks.iter().any(|check| check.value.kind() == kind);
    let unused = entry.extensions.iter().filter_map(|extension| {
        let (useful, wanted) = match extension.value.needs() {
            Needs::AnyCheck => (!entry.stall_checks.is_empty(), "a block"),
            Needs::Nothing => (true, ""),
            Needs::TlsCheck => (has(StallKind::WebTls), "a `_bi_webservs` block"),
            Needs::WebCheck => {
                (has(StallKind::Web) || has(StallKind::WebTls), "a `_bi_webserv` or `_bi_webservs` block")
            }
        };
        let message = format!("`{}` does nothing here: the entry has no block that it is for", extension.value.key());
        let hint = format!("give the entry {wanted}, or take this away");
        (!useful).then(|| Problem::new(Check::UnusedExtension, extension.place, message).hint(hint))
    });
    unused.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pfile::select::tests::pfile;

    fn block(name: &str, library: &str, port: u16) -> String {
        let library = format!("DLL:/x/lib_bi_{library}.so:DIRECT:-:-");
        let exec = format!("DLL:/x/lib_bi_{}.so:DIRECT:-:60:0:2:600:{port}", &name[4..]);
        format!(
            "{name} {{\nPS_INIT {library}:-:0\nPS_EXEC {exec}\nPS_ACTION {library}:1:0\nPS_QUIT {library}:-:0\n}}\n"
        )
    }

    fn lints(entries: &str) -> Vec<&'static str> {
        text(&pfile(entries)).iter().map(|problem| problem.check.name()).collect()
    }

    #[test]
    fn a_grace_period_must_outlast_the_retries() {
        for (entry, expected) in [
            ("/a:/b:86400:3:exit", &[][..]),
            ("/a:/b:31:3:exit", &[]),
            ("/a:/b:30:3:exit", &["grace-too-short"]),
            ("/a:/b:100:3:exit:restart_waittime=20", &[]),
            ("/a:/b:100:3:exit:restart_waittime=60", &["grace-too-short"]),
            ("/a:/b:0:3:exit", &[]),
            ("/a:/b:1:0:exit", &[]),
            ("/a:/b:4294967295:4294967295:exit", &["grace-too-short"]),
        ] {
            assert_eq!(lints(entry), expected, "{entry}");
        }
        assert_eq!(lints(&format!("/a:/b:1800:3:exit\n{}", block("_bi_socket", "socket", 80))), ["grace-too-short"]);
        assert_eq!(lints(&format!("/a:/b:1831:3:exit\n{}", block("_bi_socket", "socket", 80))), [""; 0]);
    }

    #[test]
    fn a_port_need_not_be_asked_twice() {
        let socket = block("_bi_socket", "socket", 80);
        let web = |port| block("_bi_webserv", "webserv", port);
        let entry = "/a:/b:86400:3:exit\n";
        assert_eq!(lints(&format!("{entry}{socket}{}", web(80))), ["redundant-socket-check"]);
        assert_eq!(lints(&format!("{entry}{socket}{}", web(81))), [""; 0]);
        assert_eq!(lints(&format!("{entry}{socket}{entry}{}", web(80))), [""; 0]);
    }

    #[test]
    fn extensions_need_the_block_that_they_are_for() {
        let entry = "/a:/b:86400:3:exit\n#@ verify=on timeout=5 method=GET allow=no-match\n";
        assert_eq!(lints(entry), ["unused-extension"; 3]);
        assert_eq!(lints(&format!("{entry}{}", block("_bi_socket", "socket", 80))), ["unused-extension"; 2]);
        assert_eq!(lints(&format!("{entry}{}", block("_bi_webserv", "webserv", 80))), ["unused-extension"; 1]);
        assert_eq!(lints(&format!("{entry}{}", block("_bi_webservs", "webservs", 80))), [""; 0]);
    }
}
