//! Whether a program goes to the background by itself: its restart script then waits for that, and ends when it is up.

use watcher_core::pfile::select::Process;

use crate::sys::proc;

/// Programs that go to the background unless they are told not to: by one of these letters in an option, or by these words.
const DAEMONS: [(&str, &str, &[&str]); 9] = [
    ("apache2", "X", &["FOREGROUND", "NO_DETACH"]),
    ("cron", "f", &[]),
    ("crond", "fnx", &[]),
    ("dnsmasq", "dk", &["--keep-in-foreground", "--no-daemon"]),
    ("httpd", "X", &["FOREGROUND", "NO_DETACH"]),
    ("keepalived", "n", &["--dont-fork"]),
    ("nginx", "", &["daemon off"]),
    ("rsyslogd", "n", &[]),
    ("sshd", "Ddti", &[]),
];

/// Whether this one has done so, as far as it shows, and would do so again. A program that was put there by somebody else
/// looks the same, so only those are taken for it that are known.
pub(super) fn by_itself(process: &Process, words: &[String]) -> bool {
    let leads_session = |facts: proc::Facts| facts.session == facts.proc.pid.number();
    proc::facts(process.proc.pid).ok().flatten().is_some_and(leads_session)
        && process.parent.is_some_and(|parent| parent.number() == 1)
        && is_daemon(words)
}

fn is_daemon(words: &[String]) -> bool {
    let Some((program, options)) = words.split_first() else { return false };
    let name = program.rsplit('/').next().unwrap_or_default();
    let Some((_, letters, stays)) = DAEMONS.iter().find(|(daemon, ..)| *daemon == name) else { return false };
    let is_told = |word: &String| {
        let short = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        short.is_some_and(|short| short.contains(|letter| letters.contains(letter)))
            || stays.iter().any(|stay| word.contains(stay))
    };
    !options.iter().any(is_told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_are_known_unless_they_are_told_to_stay() {
        for (words, daemon) in [
            (&["/usr/sbin/nginx"][..], true),
            (&["nginx", "-c", "/srv/n.conf", "-g", "daemon on; master_process on;"], true),
            (&["nginx", "-g", "daemon off;"], false),
            (&["/usr/sbin/apache2", "-k", "start"], true),
            (&["/usr/sbin/apache2", "-D", "FOREGROUND"], false),
            (&["httpd", "-DFOREGROUND"], false),
            (&["httpd", "-X"], false),
            (&["/usr/sbin/sshd"], true),
            (&["/usr/sbin/sshd", "-D"], false),
            (&["/usr/sbin/rsyslogd", "-iNONE"], true),
            (&["/usr/sbin/rsyslogd", "-n", "-iNONE"], false),
            (&["dnsmasq", "--no-daemon"], false),
            (&["/usr/bin/java", "-jar", "a.jar"], false),
            (&[], false),
        ] {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(is_daemon(&words), daemon, "{words:?}");
        }
    }
}
