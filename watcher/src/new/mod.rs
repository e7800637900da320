//! A pfile and restart scripts for processes that run now.

mod background;
mod command;
mod output;
mod script;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    io,
    net::{IpAddr, SocketAddr},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use watcher_core::{
    Pid,
    pfile::{
        AbsolutePath, RetryOver, Seconds, answer,
        propose::{self, NoSelection, ProposedCheck, ProposedEntry, ProposedFile, Selection},
        select::{Process, Processes},
    },
};

use crate::{
    executor::{ask, replace},
    sys::{proc_table, tcp},
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// For these processes.
    pub pids: Vec<Pid>,
    /// The pfile; scripts and dump go beside it.
    pub output: PathBuf,
    /// What happens when the retries are used up.
    pub action: RetryOver,
    /// How many restarts are tried.
    pub retries: u32,
    /// The period that they belong to.
    pub grace: Seconds,
    /// `IPCKEY`; one that is made of the path where none is given.
    pub ipc_key: Option<u32>,
    /// Whether to ask what listens on a port.
    pub stall_checks: bool,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Restart scripts.
    pub scripts: Vec<(PathBuf, Vec<u8>)>,
    /// The pfile.
    pub pfile: (PathBuf, Vec<u8>),
    /// What there is to say about it.
    pub remarks: Vec<String>,
}

/// Processes whose program has a name that fits a pattern with `*` and `?`, without those that descend from another.
#[must_use]
pub fn named<'a>(pattern: &str, processes: &'a Processes) -> Vec<&'a Process> {
    let file_name = |path: &[u8]| path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
    let fits = |process: &&Process| {
        let known_as = [Some(&process.name), process.exe.as_ref()].into_iter().flatten();
        !process.watcher
            && !process.zombie
            && known_as.map(|path| file_name(path.as_slice())).any(|name| matches(pattern.as_bytes(), &name))
    };
    let found: Vec<_> = processes.iter().filter(fits).collect();
    processes.roots(&found)
}

/// Makes a plan. Nothing is written.
///
/// # Errors
/// A sentence for each process that there can be no entry for.
pub fn plan(wanted: &Wanted, processes: &Processes) -> Result<Plan, Vec<String>> {
    let one = |sentence: String| vec![sentence];
    let output = absolute(&wanted.output).map_err(|error| one(format!("{}: {error}", wanted.output.display())))?;
    let listening = tcp::listeners().unwrap_or_default();
    let (mut entries, mut scripts, mut remarks, mut refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    for pid in wanted.pids.iter().collect::<BTreeSet<_>>() {
        let Some(process) = processes.iter().find(|process| process.proc.pid == *pid) else {
            refused.push(format!("there is no process {pid}, or it is one of the kernel's"));
            continue;
        };
        match propose::selection(process, processes) {
            Err(reason) => refused.push(sentence(*pid, &reason)),
            Ok(selection) => {
                let path = script_path(&output, &selection, &mut names);
                let checks =
                    if wanted.stall_checks { checks(process, processes, &listening, &mut remarks) } else { Vec::new() };
                match AbsolutePath::new(path.as_os_str().as_bytes()) {
                    None => refused.push(format!("{} cannot stand in a pfile", path.display())),
                    Some(script) => {
                        let written = script::skeleton(process, processes, &selection.process);
                        remarks.extend(written.doubt.map(|doubt| {
                            let shown = path.display();
                            format!("the command of process {pid} is not known, because {doubt}: edit {shown}")
                        }));
                        remarks.extend(written.output_lost.then(|| {
                            let shown = path.display();
                            format!("what process {pid} writes goes to no file that is known: {shown} throws it away")
                        }));
                        scripts.push((path, written.text));
                        let comment = format!("process {pid} when this was written");
                        entries.push(ProposedEntry { selection, script, checks, comment });
                    }
                }
            }
        }
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    let mut dump = output.clone().into_os_string();
    dump.push(".dump");
    let dump_file = AbsolutePath::new(dump.as_bytes());
    let dump_file = dump_file.ok_or_else(|| one(format!("{} cannot stand in a pfile", output.display())))?;
    let ipc_key = wanted.ipc_key.unwrap_or_else(|| key_of(&output));
    let Wanted { action, retries, grace, .. } = *wanted;
    let file = ProposedFile { ipc_key, dump_file, grace, retries, action, entries };
    let text = file.text().map_err(|error| one(format!("this cannot be said in a pfile: {error}")))?;
    Ok(Plan { scripts, pfile: (output, text), remarks })
}

impl Plan {
    /// Every file that will be written.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.scripts.iter().chain([&self.pfile]).map(|(path, _)| path.as_path())
    }

    /// Writes the files; scripts first, so that the pfile never names one that is not there.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self) -> io::Result<()> {
        for (path, text) in &self.scripts {
            replace::put(path, text, 0o755)?;
        }
        replace::put(&self.pfile.0, &self.pfile.1, 0o644)
    }
}

fn sentence(pid: Pid, reason: &NoSelection) -> String {
    match reason {
        NoSelection::NoPath => {
            format!("process {pid} has no path that can stand in a pfile; perhaps this user may not know its program")
        }
        NoSelection::SameAs(other) => {
            format!("process {pid} cannot be told from process {other}: all its words stand on that command line too")
        }
        NoSelection::ChildOf(parent) => {
            format!("process {pid} was started by process {parent} of the same kind; that is the one to watch")
        }
    }
}

/// How long a port may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is listened on by a process or below it. Each port is asked once what it is.
fn checks(
    process: &Process,
    processes: &Processes,
    listening: &[tcp::Listener],
    remarks: &mut Vec<String>,
) -> Vec<ProposedCheck> {
    let pid = process.proc.pid;
    let below = processes.iter().map(|other| other.proc.pid).filter(|other| processes.descends(*other, pid));
    let sockets: BTreeSet<_> = below.chain([pid]).flat_map(tcp::sockets).collect();
    let mut ports: BTreeMap<u16, BTreeSet<IpAddr>> = BTreeMap::new();
    for listener in listening.iter().filter(|listener| sockets.contains(&listener.inode)) {
        ports.entry(listener.address.port()).or_default().insert(listener.address.ip());
    }
    let mut checks = Vec::new();
    for (port, addresses) in ports {
        let at = propose::where_to_ask(&addresses).map(|address| SocketAddr::new(address, port));
        let answer = at.and_then(|at| ask::http(at, answer::ENOUGH, PATIENCE).ok()).unwrap_or_default();
        match propose::stall_check(answer::kind_of(&answer), port, &addresses) {
            Some(check) => checks.push(check),
            None => remarks.push(format!("port {port} of process {pid} is not asked: no block can name its address")),
        }
    }
    checks
}

fn absolute(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    Ok(folder.canonicalize()?.join(name))
}

/// Beside the pfile, after the program; with a number where there are several of it.
fn script_path(output: &Path, selection: &Selection, names: &mut BTreeSet<OsString>) -> PathBuf {
    let stem = output.file_stem().unwrap_or_default();
    let candidates = (1_u32..).map(|number| {
        let mut name = stem.to_owned();
        let program = OsStr::from_bytes(selection.process.file_name());
        if program != stem {
            name.push("_");
            name.push(program);
        }
        let number = if number == 1 { String::new() } else { format!("_{number}") };
        name.push(format!("{number}_restart.sh"));
        // A `:` would end the field.
        OsString::from_vec(name.into_vec().into_iter().map(|byte| if byte == b':' { b'_' } else { byte }).collect())
    });
    let free = candidates.into_iter().find(|name| names.insert(name.clone())).unwrap_or_default();
    output.with_file_name(free)
}

/// A key that other files of the host will hardly have: it is made of the path. `watcher check` tells when two meet.
fn key_of(path: &Path) -> u32 {
    const OFFSET: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    // FNV-1a: short, and the same on every host.
    let hash =
        path.as_os_str().as_bytes().iter().fold(OFFSET, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(PRIME));
    hash.max(1)
}

/// Whether a name is of this form, where `*` stands for anything, and `?` for one byte.
#[must_use]
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], name) => name.is_empty(),
        ([b'*', rest @ ..], _) if matches(rest, name) => true,
        ([b'*', ..], [_, name @ ..]) => matches(pattern, name),
        ([b'?', pattern @ ..], [_, name @ ..]) => matches(pattern, name),
        ([one, pattern @ ..], [other, name @ ..]) => one == other && matches(pattern, name),
        ([_, ..], []) => false,
    }
}

/// All running processes.
///
/// # Errors
/// When they cannot be listed.
pub fn processes() -> io::Result<Processes> {
    proc_table::processes().map(Processes::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, fits) in [
            ("nginx", "nginx", true),
            ("nginx", "nginx2", false),
            ("ngin*", "nginx", true),
            ("*", "", true),
            ("post?res", "postgres", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }
}
