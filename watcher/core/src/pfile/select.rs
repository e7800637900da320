//! Which running processes an entry means.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;

use super::{Bytes, Entry, Strings, parts::Parts};
use crate::{Pid, ProcId};

/// A running process, as far as entries ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Which.
    pub proc: ProcId,
    /// Its parent, if it has one that can be seen.
    pub parent: Option<Pid>,
    /// Its process group, by the number of its leader, who may have gone.
    pub group: Option<Pid>,
    /// First word of its command line, as it may have set it itself; of a zombie, its command name.
    pub name: Bytes,
    /// The whole command line, with blanks between the words: what `ps` shows.
    pub command_line: Bytes,
    /// The program, where this user may know it.
    pub exe: Option<Bytes>,
    /// This user may not know the program.
    pub exe_hidden: bool,
    /// It is dead and has not been reaped.
    pub zombie: bool,
    /// It is this program.
    pub watcher: bool,
}

/// Longest command name that the kernel keeps.
const COMMAND_NAME: usize = 15;

/// By what a process has the name that an entry gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// The first word of its command line.
    Argv0,
    /// The program that it runs.
    Exe,
}

/// Why a process that looks like the one that is meant is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle<'a> {
    /// Its command line contains a string that it must not.
    Contains(&'a [u8]),
    /// Its command line lacks a string that it must contain.
    Lacks(&'a [u8]),
    /// It is a program of the same name in another place.
    OtherPath(&'a [u8]),
    /// It is a zombie.
    Zombie,
}

/// What an entry says of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It is another program.
    Differs,
    /// It is one that is meant.
    Matches(NamedBy),
    /// It is not meant, but not far from it.
    Nearly(Vec<Obstacle<'a>>),
}

/// Judges a process by an entry.
#[must_use]
pub fn judge<'a>(entry: &'a Entry, process: &'a Process) -> Verdict<'a> {
    let Some(named_by) = named_by(entry, process) else {
        let wanted = entry.process.value.file_name();
        // A zombie has no command line any more; its command name is all that is left, cut short as the kernel does.
        if process.zombie && process.name.as_slice() == wanted.get(..COMMAND_NAME).unwrap_or(wanted) {
            return Verdict::Nearly(vec![Obstacle::Zombie]);
        }
        let known_as = [Some(&process.name), process.exe.as_ref()].into_iter().flatten();
        let other = known_as.map(Bytes::as_slice).find(|path| file_name(path) == wanted);
        return other.map_or(Verdict::Differs, |path| Verdict::Nearly(vec![Obstacle::OtherPath(path)]));
    };
    let line = process.command_line.as_slice();
    let contains = |word: &&[u8]| memmem::find(line, word).is_some();
    let words = |strings: Option<&'a Strings>| strings.into_iter().flat_map(Strings::words);
    let lacks = words(entry.include_strings()).filter(|word| !contains(word)).map(Obstacle::Lacks);
    let unwanted = words(entry.exclude_strings()).filter(contains).map(Obstacle::Contains);
    let zombie = process.zombie.then_some(Obstacle::Zombie);
    let obstacles: Vec<_> = lacks.chain(unwanted).chain(zombie).collect();
    if obstacles.is_empty() { Verdict::Matches(named_by) } else { Verdict::Nearly(obstacles) }
}

/// Whether an entry means a process: [`judge`] without the reasons, for many.
fn means(entry: &Entry, process: &Process) -> bool {
    let contains = |word: &[u8]| memmem::find(process.command_line.as_slice(), word).is_some();
    let words = |strings: Option<&'_ Strings>, all: bool| match strings {
        Some(strings) if all => strings.words().all(contains),
        Some(strings) => strings.words().any(contains),
        None => all,
    };
    !process.zombie
        && named_by(entry, process).is_some()
        && words(entry.include_strings(), true)
        && !words(entry.exclude_strings(), false)
}

/// `argv[0]` is asked first: where a path is a link, `ps` shows the link and not what it leads to.
fn named_by(entry: &Entry, process: &Process) -> Option<NamedBy> {
    let wanted = entry.process.value.as_slice();
    if process.name.as_slice() == wanted {
        return Some(NamedBy::Argv0);
    }
    let exe = process.exe.as_ref().is_some_and(|exe| exe.as_slice() == wanted);
    exe.then_some(NamedBy::Exe)
}

fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// All running processes, found quickly by name.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    all: Vec<Process>,
    /// How long all command lines are together.
    bytes: usize,
    by_path: BTreeMap<Bytes, Vec<usize>>,
    parents: BTreeMap<Pid, Pid>,
    parts: Parts,
}

impl Processes {
    /// Of how many this user may not know the program.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.all.iter().filter(|process| process.exe_hidden).count()
    }

    /// These.
    #[must_use]
    pub fn new(all: Vec<Process>) -> Self {
        let mut by_path: BTreeMap<Bytes, Vec<usize>> = BTreeMap::new();
        for (index, process) in all.iter().enumerate() {
            let paths: BTreeSet<_> = [Some(&process.name), process.exe.as_ref()].into_iter().flatten().collect();
            for path in paths {
                by_path.entry(path.clone()).or_default().push(index);
            }
        }
        let parents = all.iter().filter_map(|process| Some((process.proc.pid, process.parent?))).collect();
        let bytes = all.iter().map(|process| process.command_line.as_slice().len()).sum();
        Self { all, bytes, by_path, parents, parts: Parts::default() }
    }

    /// Makes [`Self::matching`] quick for these entries, if that is worth it.
    pub fn prepare<'a>(&mut self, entries: impl Iterator<Item = &'a Entry> + Clone) {
        /// So many bytes are read in the time that it takes to judge one process by one entry.
        const BYTES: usize = 16;
        let judgements = entries.clone().map(|entry| self.named(entry).len());
        if judgements.fold(0, usize::saturating_add) > self.bytes / BYTES {
            self.parts = Parts::of(entries, &self.all);
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Process> {
        self.all.iter()
    }

    /// Those that an entry means, in no order.
    pub fn matching(&self, entry: &Entry) -> impl Iterator<Item = &Process> {
        let among = self.parts.candidates(entry).unwrap_or_else(|| self.named(entry));
        among.iter().filter_map(|index| self.all.get(*index)).filter(move |process| means(entry, process))
    }

    /// Those with the name that an entry gives.
    fn named(&self, entry: &Entry) -> &[usize] {
        self.by_path.get(&Bytes::from(entry.process.value.as_slice())).map_or(&[], Vec::as_slice)
    }

    /// The one that is watched of several: the oldest, which is the parent in a fork server. Start times are not told exactly:
    /// of several that began together it is one that has none of them for a parent, and then the one with the lowest pid
    /// (which alone would not do: numbers begin anew at their end).
    #[must_use]
    pub fn chosen<'a>(matching: &[&'a Process]) -> Option<&'a Process> {
        let oldest = matching.iter().map(|process| process.proc.start).min()?;
        let oldest = matching.iter().copied().filter(|process| process.proc.start == oldest);
        let pids: BTreeSet<_> = oldest.clone().map(|process| process.proc.pid).collect();
        let is_child = |process: &Process| process.parent.is_some_and(|parent| pids.contains(&parent));
        oldest.min_by_key(|process| (is_child(process), process.proc.pid))
    }

    /// Those that do not descend from another one of them.
    #[must_use]
    pub fn roots<'a>(&self, matching: &[&'a Process]) -> Vec<&'a Process> {
        let pids: BTreeSet<_> = matching.iter().map(|process| process.proc.pid).collect();
        let is_root = |process: &&&Process| !self.ancestors(process.proc.pid).any(|ancestor| pids.contains(&ancestor));
        matching.iter().filter(is_root).copied().collect()
    }

    /// Whether a process is below another one.
    #[must_use]
    pub fn descends(&self, process: Pid, from: Pid) -> bool {
        self.ancestors(process).any(|ancestor| ancestor == from)
    }

    fn ancestors(&self, pid: Pid) -> impl Iterator<Item = Pid> {
        // Pids may be reused while the table is read: a ring of parents must not hold anybody up.
        const DEEPEST: usize = 1_000;
        std::iter::successors(self.parents.get(&pid).copied(), |parent| self.parents.get(parent).copied()).take(DEEPEST)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        StartTicks,
        pfile::{Pfile, UnknownOptions, read},
    };

    pub(in super::super) fn pfile(entries: &str) -> Pfile {
        let reading = read(format!("IPCKEY 0x1\n{entries}\n").as_bytes(), UnknownOptions::Refuse);
        reading.pfile.unwrap_or_else(|| panic!("{:#?}", reading.problems))
    }

    pub(in super::super) fn process(pid: u32, parent: u32, command_line: &str) -> Process {
        Process {
            proc: ProcId { pid: Pid::new(pid).unwrap(), start: StartTicks(u64::from(pid)) },
            parent: Pid::new(parent),
            group: Pid::new(pid),
            name: command_line.split(' ').next().unwrap_or_default().into(),
            command_line: command_line.into(),
            exe: None,
            exe_hidden: false,
            zombie: false,
            watcher: false,
        }
    }

    #[test]
    fn verdicts_name_what_stands_in_the_way() {
        let pfile = pfile("/usr/bin/java:/s:1:1:exit:include_strings=apache&tomcat:exclude_strings=test");
        let entry = &pfile.entries[0].value;
        let wanted = process(1, 0, "/usr/bin/java -D apache.Boot tomcat");
        assert_eq!(judge(entry, &wanted), Verdict::Matches(NamedBy::Argv0));
        assert!(means(entry, &wanted));
        let other = process(1, 0, "/usr/bin/java -D apache test");
        let obstacles = vec![Obstacle::Lacks(b"tomcat"), Obstacle::Contains(b"test")];
        assert_eq!(judge(entry, &other), Verdict::Nearly(obstacles));
        let unwanted = process(1, 0, "/usr/bin/java apache tomcat test");
        assert!(![&other, &unwanted].into_iter().any(|process| means(entry, process)));
        let elsewhere = process(1, 0, "/opt/jdk/bin/java apache tomcat");
        assert_eq!(judge(entry, &elsewhere), Verdict::Nearly(vec![Obstacle::OtherPath(b"/opt/jdk/bin/java")]));
        assert_eq!(judge(entry, &process(1, 0, "/bin/sh java")), Verdict::Differs);
        let dead = Process { zombie: true, ..wanted.clone() };
        assert_eq!(judge(entry, &dead), Verdict::Nearly(vec![Obstacle::Zombie]));
        assert!(!means(entry, &dead));
        let zombie = Process { zombie: true, ..process(1, 0, "java") };
        assert_eq!(judge(entry, &zombie), Verdict::Nearly(vec![Obstacle::Zombie]));
        let renamed = Process { name: "java: tomcat".into(), exe: Some("/usr/bin/java".into()), ..wanted };
        assert_eq!(judge(entry, &renamed), Verdict::Matches(NamedBy::Exe));
    }

    #[test]
    fn the_parent_of_a_fork_server_is_its_root_and_is_chosen() {
        let pfile = pfile("/usr/sbin/httpd:/s:1:1:exit");
        let all = [(30, 20), (20, 10), (10, 1), (40, 1)].map(|(pid, parent)| process(pid, parent, "/usr/sbin/httpd"));
        let processes = Processes::new(all.to_vec());
        let matching: Vec<_> = processes.matching(&pfile.entries[0].value).collect();
        let pids = |found: &[&Process]| found.iter().map(|process| process.proc.pid.number()).collect::<Vec<_>>();
        assert_eq!(pids(&matching), [30, 20, 10, 40]);
        assert_eq!(pids(&processes.roots(&matching)), [10, 40]);
        assert_eq!(Processes::chosen(&matching).map(|process| process.proc.pid.number()), Some(10));
    }

    #[test]
    fn of_those_that_began_together_the_parent_is_chosen_whatever_their_numbers() {
        let [mut parent, mut worker, mut other] =
            [(900, 1), (5, 900), (950, 1)].map(|(pid, of)| process(pid, of, "/a"));
        let chosen = |all: &[&Process]| Processes::chosen(all).map(|process| process.proc.pid.number());
        assert_eq!(chosen(&[&worker, &parent]), Some(5), "it is older");
        for process in [&mut parent, &mut worker, &mut other] {
            process.proc.start = StartTicks(7);
        }
        assert_eq!(chosen(&[&worker, &other, &parent]), Some(900));
        assert_eq!(chosen(&[&worker, &other]), Some(5));
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn parents_in_a_ring_hold_nobody_up() {
        let processes = Processes::new(vec![process(1, 2, "/a"), process(2, 1, "/a")]);
        assert!(processes.descends(Pid::new(1).unwrap(), Pid::new(2).unwrap()));
        assert!(!processes.descends(Pid::new(1).unwrap(), Pid::new(3).unwrap()));
    }
}
