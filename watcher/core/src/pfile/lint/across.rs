//! What can only be told of several entries, or several files, together.

use std::collections::{BTreeMap, BTreeSet};

use super::Host;
use crate::{
    ProcId,
    pfile::{Check, Entry, EntryNumber, Pfile, Placed, Problem, Strings, select::Processes},
};

/// A file by its name.
#[derive(Clone, Copy, Debug)]
pub struct NamedPfile<'a> {
    /// How it is called.
    pub name: &'a str,
    /// What it says.
    pub pfile: &'a Pfile,
}

/// What does not go together: for each file, by its index, the problems. The host may be known or not.
#[must_use]
pub fn across(files: &[NamedPfile<'_>], host: Option<&Host>) -> Vec<(usize, Problem)> {
    let processes = host.map(|host| &host.processes);
    let mut problems = shared_params(files, host);
    let mut told = BTreeSet::new();
    for (second, first, message) in same_text(files).into_iter().chain(same_process(files, processes)) {
        if !told.insert((second.file, second.number)) {
            continue;
        }
        let place = second.entry.place;
        let problem = Problem::new(Check::OverlappingEntries, place, message).of(second.number);
        let problem = problem.hint("tell them apart by include_strings, or keep one of them");
        let problem = match first.file == second.file {
            true => problem.related(first.entry.place, "the other entry"),
            false => problem,
        };
        problems.push((second.file, problem));
    }
    problems
}

fn shared_params(files: &[NamedPfile<'_>], host: Option<&Host>) -> Vec<(usize, Problem)> {
    let mut keys = BTreeMap::new();
    let mut dumps = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, NamedPfile { name, pfile }) in files.iter().enumerate() {
        let key = &pfile.param.ipc_key;
        if let Some(first) = keys.insert(key.value.number(), name) {
            let message = format!("{first} has the same `IPCKEY`");
            let problem = Problem::new(Check::DuplicateIpckey, key.place, message);
            problems.push((index, problem.hint("each pfile of a host needs a key of its own")));
        }
        let Some(dump) = &pfile.param.dump_file else { continue };
        let real = host.and_then(|host| host.real_paths.get(&dump.value)).cloned();
        if let Some(first) = dumps.insert(real.unwrap_or_else(|| dump.value.normalized()), name) {
            let message = format!("{first} writes the same dump file");
            let problem = Problem::new(Check::DuplicateDumpFile, dump.place, message);
            problems.push((index, problem.hint("each pfile of a host needs a dump file of its own")));
        }
    }
    problems
}

#[derive(Clone, Copy)]
struct Located<'a> {
    file: usize,
    name: &'a str,
    number: EntryNumber,
    entry: &'a Placed<Entry>,
}

impl Located<'_> {
    /// Seen from another entry.
    fn shown_to(&self, other: &Self) -> String {
        match self.file == other.file {
            true => format!("entry {}", self.number),
            false => format!("entry {} of {}", self.number, self.name),
        }
    }
}

fn entries<'a>(files: &[NamedPfile<'a>]) -> impl Iterator<Item = Located<'a>> {
    files.iter().enumerate().flat_map(|(file, NamedPfile { name, pfile })| {
        pfile.numbered().map(move |(number, entry)| Located { file, name, number, entry })
    })
}

type Overlap<'a> = (Located<'a>, Located<'a>, String);

/// Entries that mean the same whatever runs: the same program, and the same strings or none at all.
fn same_text<'a>(files: &[NamedPfile<'a>]) -> Vec<Overlap<'a>> {
    let words = |strings: Option<&'a Strings>| strings.into_iter().flat_map(Strings::words).collect::<BTreeSet<_>>();
    let mut programs: BTreeMap<_, BTreeMap<_, Located<'a>>> = BTreeMap::new();
    let mut overlaps = Vec::new();
    for located in entries(files) {
        let entry: &'a Entry = &located.entry.value;
        let wanted = (words(entry.include_strings()), words(entry.exclude_strings()));
        let program = programs.entry(&entry.process.value).or_default();
        match program.get(&wanted) {
            Some(first) => {
                let message = format!("this entry means the same processes as {}", first.shown_to(&located));
                overlaps.push((located, *first, message));
            }
            None => {
                program.insert(wanted, located);
            }
        }
    }
    // The set without any string comes first, if there is one: it contains every other.
    for program in programs.into_values() {
        let mut program = program.into_iter();
        if let (Some(((include, exclude), all)), Some((_, other))) = (program.next(), program.next())
            && include.is_empty()
            && exclude.is_empty()
        {
            let other_shown = other.shown_to(&all);
            overlaps.push((all, other, format!("this entry also means the processes of {other_shown}")));
        }
    }
    overlaps
}

/// Entries that mean the same process now.
fn same_process<'a>(files: &[NamedPfile<'a>], processes: Option<&Processes>) -> Vec<Overlap<'a>> {
    let Some(processes) = processes else { return Vec::new() };
    let mut taken: BTreeMap<ProcId, Located<'a>> = BTreeMap::new();
    let mut overlaps = Vec::new();
    for located in entries(files) {
        let mut first = None;
        for process in processes.matching(&located.entry.value) {
            match taken.get(&process.proc) {
                Some(other) => first = first.or(Some((*other, process.proc.pid))),
                None => {
                    taken.insert(process.proc, located);
                }
            }
        }
        if let Some((other, pid)) = first {
            let message = format!("process {pid} matches this entry as well as {}", other.shown_to(&located));
            overlaps.push((located, other, message));
        }
    }
    overlaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pfile::{
        AbsolutePath, Bytes, UnknownOptions, read,
        select::tests::{pfile, process},
    };

    fn overlaps(entries: &str, processes: Option<&Processes>) -> Vec<(usize, String)> {
        let pfile = pfile(entries);
        let host = processes.map(|processes| Host { processes: processes.clone(), ..Host::default() });
        let found = across(&[NamedPfile { name: "a", pfile: &pfile }], host.as_ref());
        found.into_iter().map(|(_, problem)| (problem.entry.unwrap().number(), problem.message)).collect()
    }

    #[test]
    fn entries_of_the_same_text_overlap() {
        let java = "/usr/bin/java:/s:86400:3:exit";
        assert_eq!(
            overlaps(&format!("{java}:include_strings=a&b\n{java}:include_strings=b&a"), None),
            [(2, "this entry means the same processes as entry 1".to_owned())]
        );
        assert_eq!(
            overlaps(&format!("{java}:include_strings=a\n{java}"), None),
            [(2, "this entry also means the processes of entry 1".to_owned())]
        );
        assert_eq!(overlaps(&format!("{java}:include_strings=a\n{java}:include_strings=b"), None), []);
    }

    #[test]
    fn entries_overlap_when_a_process_matches_both() {
        let java = "/usr/bin/java:/s:86400:3:exit";
        let entries = format!("{java}:include_strings=a1\n{java}:include_strings=b2");
        let one = Processes::new(vec![process(7, 1, "/usr/bin/java a1"), process(8, 1, "/usr/bin/java b2")]);
        assert_eq!(overlaps(&entries, Some(&one)), []);
        let both = Processes::new(vec![process(7, 1, "/usr/bin/java a1 b2")]);
        assert_eq!(
            overlaps(&entries, Some(&both)),
            [(2, "process 7 matches this entry as well as entry 1".to_owned())]
        );
    }

    #[test]
    fn files_need_keys_and_dumps_of_their_own() {
        let file = |key: &str, dump: &str, process: &str| {
            let text = format!("IPCKEY {key}\nSHM_DUMP_FILE {dump}\n{process}:/s:86400:3:exit\n");
            read(text.as_bytes(), UnknownOptions::Refuse).pfile.unwrap()
        };
        let [a, b, c] = [file("0x1", "/d1", "/a"), file("0x00000001", "/d2", "/b"), file("0x2", "/d2", "/a")];
        let named = |name, pfile| NamedPfile { name, pfile };
        let found = across(&[named("a", &a), named("b", &b), named("c", &c)], None);
        let found: Vec<_> = found.iter().map(|(file, problem)| (*file, problem.message.as_str())).collect();
        assert_eq!(
            found,
            [
                (1, "a has the same `IPCKEY`"),
                (2, "b writes the same dump file"),
                (2, "this entry means the same processes as entry 1 of a"),
            ]
        );
    }

    #[test]
    fn a_dump_file_is_the_same_however_its_path_is_written() {
        let file = |key: &str, dump: &str| {
            let text = format!("IPCKEY {key}\nSHM_DUMP_FILE {dump}\n/{key}:/s:86400:3:exit\n");
            read(text.as_bytes(), UnknownOptions::Refuse).pfile.unwrap()
        };
        let found = |second: &str, host: Option<&Host>| {
            let (a, b) = (file("0x1", "/var/x.dump"), file("0x2", second));
            let named = [NamedPfile { name: "a", pfile: &a }, NamedPfile { name: "b", pfile: &b }];
            across(&named, host).into_iter().map(|(file, problem)| (file, problem.check.name())).collect::<Vec<_>>()
        };
        let twice = [(1, "duplicate-dump-file")];
        assert_eq!(found("/var//l/../x.dump", None), twice);
        assert_eq!(found("/var/./y.dump", None), []);
        let path = |text: &str| AbsolutePath::new(text.as_bytes()).unwrap();
        let linked: Bytes = b"/srv/x.dump".as_slice().into();
        let real_paths = [(path("/var/x.dump"), linked.clone()), (path("/link/x.dump"), linked)].into();
        let host = Host { real_paths, ..Host::default() };
        assert_eq!(found("/link/x.dump", Some(&host)), twice);
    }
}
