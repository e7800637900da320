//! What can only be told on the host that a file is for, by facts about that host.

use std::collections::{BTreeMap, BTreeSet};

use super::Nameless;
use crate::pfile::{
    AbsolutePath, Bytes, Check, Entry, EntryNumber, Pfile, Place, Placed, Problem,
    propose::apart,
    select::{Process, Processes},
};

/// Facts about the host. What is not among them is not judged.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Running processes.
    pub processes: Processes,
    /// What is known of the paths that the files name.
    pub paths: BTreeMap<AbsolutePath, PathFacts>,
    /// Dump files that cannot be written, and why.
    pub unwritable: BTreeMap<AbsolutePath, String>,
    /// Scripts that their interpreter cannot run, and why.
    pub interpreters: BTreeMap<AbsolutePath, String>,
    /// Where dump files really lie: without links, and without detours.
    pub real_paths: BTreeMap<AbsolutePath, Bytes>,
    /// Hosts that have no address, and why.
    pub nameless: BTreeMap<Bytes, Nameless>,
    /// Files of authorities of which no certificate can be read, and why.
    pub unusable_cas: BTreeMap<AbsolutePath, String>,
    /// TCP ports on which somebody listens, if that could be found out.
    pub listening: Option<BTreeSet<u16>>,
}

/// What there is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFacts {
    /// A file.
    File {
        /// Somebody may execute it.
        executable: bool,
        /// Others than root and this user may write it.
        writable_by_others: bool,
    },
    /// Nothing.
    Missing,
    /// Something else than a file.
    NotAFile,
}

/// What will hurt on this host.
#[must_use]
pub fn host(pfile: &Pfile, host: &Host) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(dump) = &pfile.param.dump_file
        && let Some(reason) = host.unwritable.get(&dump.value)
    {
        let message = format!("the dump file cannot be written: {reason}");
        problems
            .push(Problem::new(Check::DumpNotWritable, dump.place, message).hint("make its folder, or name another"));
    }
    for (number, Placed { value: entry, .. }) in pfile.numbered() {
        problems.extend(of_entry(number, entry, host));
    }
    problems
}

fn of_entry(number: EntryNumber, entry: &Entry, host: &Host) -> Vec<Problem> {
    let matching: Vec<_> = host.processes.matching(entry).collect();
    let mut problems = script(&entry.script, host);
    problems.extend(program(entry, &matching, host));
    problems.extend(descendants(entry, &matching, host));
    problems.extend(ports(entry, host));
    problems.into_iter().map(|problem| problem.of(number)).collect()
}

fn script(script: &Placed<AbsolutePath>, host: &Host) -> Vec<Problem> {
    let problem = |check, message: &str, hint: &str| Problem::new(check, script.place, message).hint(hint);
    match host.paths.get(&script.value) {
        None => Vec::new(),
        Some(PathFacts::Missing) => {
            vec![problem(
                Check::ScriptMissing,
                "the restart script does not exist: nothing would be restarted",
                "write it, or correct the path",
            )]
        }
        Some(PathFacts::NotAFile) => {
            vec![problem(Check::ScriptNotExecutable, "the restart script is not a file", "correct the path")]
        }
        Some(PathFacts::File { executable, writable_by_others }) => {
            let not_executable = (!executable).then(|| {
                problem(Check::ScriptNotExecutable, "the restart script cannot be executed", "chmod 755 makes it so")
            });
            let writable = writable_by_others.then(|| {
                problem(
                    Check::ScriptWritable,
                    "others than root may change the restart script, which runs as root: pcheck refuses it",
                    "chown root and chmod 755 protect it",
                )
            });
            let interpreter = host.interpreters.get(&script.value).map(|why| {
                let message = format!("the restart script cannot be run: {why}");
                problem(Check::ScriptInterpreter, &message, "correct its first line, or install the interpreter")
            });
            not_executable.into_iter().chain(writable).chain(interpreter).collect()
        }
    }
}

fn program(entry: &Entry, matching: &[&Process], host: &Host) -> Option<Problem> {
    let place = entry.process.place;
    let problem = |check, message: String| Some(Problem::new(check, place, message));
    if let Some(own) = matching.iter().find(|process| process.watcher) {
        let message = format!("this entry matches the watcher itself (process {})", own.proc.pid);
        return Some(
            problem(Check::MatchesWatcher, message)?.hint("a watcher cannot bring itself back; a second one can"),
        );
    }
    if matching.is_empty() {
        return match host.paths.get(&entry.process.value) {
            Some(PathFacts::Missing) => {
                let problem = problem(Check::ProcessMissing, "there is no such program".to_owned())?;
                Some(problem.hint("write the path that `ps` shows, or that /proc/PID/exe leads to"))
            }
            Some(PathFacts::File { .. } | PathFacts::NotAFile) | None => {
                let problem = problem(Check::NoMatch, "no running process matches this entry".to_owned())?;
                Some(match host.processes.hidden() {
                    0 => problem.hint("`watcher explain` shows which nearly do; the first thing would be a restart"),
                    hidden => problem.hint(format!(
                        "this user may not know which program runs in {}; as root, look again",
                        if hidden == 1 { "1 process".to_owned() } else { format!("{hidden} processes") }
                    )),
                })
            }
        };
    }
    let roots = host.processes.roots(matching);
    if roots.len() < 2 || entry.counts_processes() {
        return None;
    }
    let pids: Vec<_> = roots.iter().take(SHOWN).map(|process| process.proc.pid.to_string()).collect();
    let more = if roots.len() > SHOWN { ", …" } else { "" };
    let message = format!("{} processes match, and only one is watched: {}{more}", roots.len(), pids.join(", "));
    let place = include_strings_place(entry).unwrap_or(place);
    Some(Problem::new(Check::SeveralMatches, place, message).hint("tell them apart by include_strings"))
}

/// Workers that outlive their master must not be taken for it. Where they look the same nothing can be done.
fn descendants(entry: &Entry, matching: &[&Process], host: &Host) -> Option<Problem> {
    let watched = Processes::chosen(matching).filter(|_| !entry.counts_processes())?;
    let is_below = |other: &&Process| host.processes.descends(other.proc.pid, watched.proc.pid);
    let below: Vec<_> = matching.iter().copied().filter(is_below).collect();
    let strings = apart(watched, &below).ok().filter(|strings| !strings.is_empty())?;
    let pids: Vec<_> = below.iter().take(SHOWN).map(|process| process.proc.pid.to_string()).collect();
    let more = if below.len() > SHOWN { ", …" } else { "" };
    let message = format!(
        "the entry also matches what process {} has started: {}{more}; one that outlives it would be taken for it",
        watched.proc.pid,
        pids.join(", ")
    );
    let strings = String::from_utf8_lossy(&strings.join(&b'&')).into_owned();
    let hint = match entry.include_strings() {
        Some(given) => format!("`include_strings={}&{strings}` tells it from them", given.written()),
        None => format!("`include_strings={strings}` tells it from them"),
    };
    let place = include_strings_place(entry).unwrap_or(entry.process.place);
    Some(Problem::new(Check::DescendantsMatch, place, message).hint(hint))
}

/// How many processes are named.
const SHOWN: usize = 5;

fn include_strings_place(entry: &Entry) -> Option<Place> {
    entry.options.iter().find(|option| option.value.name() == Some("include_strings")).map(|option| option.place)
}

fn ports(entry: &Entry, host: &Host) -> Vec<Problem> {
    let Some(listening) = &host.listening else { return Vec::new() };
    let of_check = entry.stall_checks.iter().filter_map(|check| {
        let target = check.value.target();
        let port = target.port.number();
        let silent = target.is_local() && !listening.contains(&port);
        let message = format!("nobody listens on port {port}: this check would find a stall");
        silent.then(|| Problem::new(Check::PortNotListening, check.place, message).hint("`ss -ltn` shows who listens"))
    });
    of_check.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pfile::select::tests::{pfile, process};

    const GOOD: PathFacts = PathFacts::File { executable: true, writable_by_others: false };

    fn path(path: &str) -> AbsolutePath {
        AbsolutePath::new(path.as_bytes()).unwrap()
    }

    fn known(paths: &[(&str, PathFacts)], processes: Vec<Process>) -> Host {
        let paths = paths.iter().map(|(name, facts)| (path(name), *facts)).collect();
        Host { processes: Processes::new(processes), paths, ..Host::default() }
    }

    fn lints(entries: &str, facts: &Host) -> Vec<&'static str> {
        host(&pfile(entries), facts).iter().map(|problem| problem.check.name()).collect()
    }

    #[test]
    fn scripts_are_judged_by_what_is_there() {
        let file = |executable, writable_by_others| PathFacts::File { executable, writable_by_others };
        for (facts, expected) in [
            (GOOD, &[][..]),
            (PathFacts::Missing, &["script-missing"]),
            (PathFacts::NotAFile, &["script-not-executable"]),
            (file(false, false), &["script-not-executable"]),
            (file(true, true), &["script-writable"]),
            (file(false, true), &["script-not-executable", "script-writable"]),
        ] {
            let host = known(&[("/s", facts)], vec![process(5, 1, "/a")]);
            assert_eq!(lints("/a:/s:86400:3:exit", &host), expected, "{facts:?}");
        }
        let without = known(&[("/s", GOOD)], vec![process(5, 1, "/a")]);
        let without = Host { interpreters: [(path("/s"), "it is not there".to_owned())].into(), ..without };
        assert_eq!(lints("/a:/s:86400:3:exit", &without), ["script-interpreter"]);
    }

    #[test]
    fn programs_are_judged_by_what_runs() {
        let entry = "/a:/s:86400:3:exit:include_strings=x";
        let server = |pid, parent| process(pid, parent, "/a x");
        for (processes, facts, expected) in [
            (vec![server(5, 1)], GOOD, &[][..]),
            (vec![], GOOD, &["no-match"]),
            (vec![process(5, 1, "/a y")], GOOD, &["no-match"]),
            (vec![], PathFacts::Missing, &["process-missing"]),
            // A program that was replaced while it runs is matched by its old name.
            (vec![server(5, 1)], PathFacts::Missing, &[]),
            (vec![server(5, 1), server(6, 5), server(7, 6)], GOOD, &[]),
            (vec![server(5, 1), server(6, 1)], GOOD, &["several-matches"]),
            (vec![Process { watcher: true, ..server(5, 1) }], GOOD, &["matches-watcher"]),
        ] {
            let known = known(&[("/a", facts)], processes.clone());
            assert_eq!(lints(entry, &known), expected, "{processes:?}");
        }
        let hidden = known(&[("/a", GOOD)], vec![Process { exe: None, exe_hidden: true, ..process(9, 1, "changed") }]);
        let told = host(&pfile(entry), &hidden);
        assert!(told[0].hint.as_ref().unwrap().contains("may not know which program runs in 1 process;"), "{told:?}");
        let two = known(&[("/a", GOOD)], vec![server(5, 1), server(6, 1)]);
        assert_eq!(lints("/a:/s:86400:3:exit:min_proc_count=2", &two), [""; 0]);
    }

    #[test]
    fn workers_that_could_be_told_apart_must_be() {
        let titled = |pid, parent, title: &str| Process { exe: Some("/n".into()), ..process(pid, parent, title) };
        let nginx = || vec![titled(5, 1, "n: master process /n"), titled(6, 5, "n: worker process")];
        let told = |entry: &str| host(&pfile(entry), &known(&[("/n", GOOD)], nginx()));
        let [problem] = &told("/n:/s:86400:3:exit")[..] else { panic!("one is wanted") };
        assert_eq!(problem.check.name(), "descendants-match");
        assert!(problem.message.contains("what process 5 has started: 6;"), "{}", problem.message);
        assert_eq!(problem.hint.as_deref(), Some("`include_strings=master process` tells it from them"));
        let [problem] = &told("/n:/s:86400:3:exit:include_strings=process")[..] else { panic!("one is wanted") };
        assert_eq!(problem.hint.as_deref(), Some("`include_strings=process&master process` tells it from them"));
        assert_eq!(told("/n:/s:86400:3:exit:include_strings=master process"), []);
        assert_eq!(told("/n:/s:86400:3:exit:min_proc_count=2"), [], "the workers are meant to be counted");
        let alike = known(&[("/n", GOOD)], vec![process(5, 1, "/n -k start"), process(6, 5, "/n -k start")]);
        assert_eq!(lints("/n:/s:86400:3:exit", &alike), [""; 0], "nothing can be done");
    }

    #[test]
    fn ports_of_this_host_must_be_listened_on() {
        let block = |host: &str, count: u32| {
            let library = "DLL:/x/lib_bi_webserv.so:DIRECT:-";
            format!(
                "/a:/s:86400:3:exit\n_bi_webserv {{\nPS_INIT {library}:-:-:0\nPS_EXEC {library}:60:0:{count}:600:80{host}\n\
                 PS_ACTION {library}:-:1:0\nPS_QUIT {library}:-:-:0\n}}"
            )
        };
        let listening = |ports: &[u16]| Host {
            listening: Some(ports.iter().copied().collect()),
            ..known(&[], vec![process(5, 1, "/a")])
        };
        assert_eq!(lints(&block("", 2), &listening(&[80])), [""; 0]);
        assert_eq!(lints(&block("", 2), &listening(&[81])), ["port-not-listening"]);
        assert_eq!(lints(&block(":127.0.0.2", 3), &listening(&[])), ["port-not-listening"]);
        assert_eq!(lints(&block(":other.example", 3), &listening(&[])), [""; 0]);
        assert_eq!(lints(&block("", 2), &known(&[], vec![process(5, 1, "/a")])), [""; 0]);
    }

    #[test]
    fn a_dump_must_be_writable() {
        let facts = Host {
            unwritable: [(path("/d"), "there is no folder".to_owned())].into(),
            ..known(&[], vec![process(5, 1, "/a")])
        };
        assert_eq!(lints("SHM_DUMP_FILE /d\n/a:/s:86400:3:exit", &facts), ["dump-not-writable"]);
        assert_eq!(lints("SHM_DUMP_FILE /e\n/a:/s:86400:3:exit", &facts), [""; 0]);
    }
}
