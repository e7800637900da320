//! Entries for running processes: what to call them, what tells each from the others, and what to ask of them.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    AbsolutePath, Bytes, Port, RetryOver, Seconds, StallKind, StallTiming, UnknownOptions, read,
    select::{Process, Processes},
    words::{self, Telling, Word},
};
use crate::Pid;

/// How an entry can mean one process and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The program.
    pub process: AbsolutePath,
    /// Strings that tell it from the others, if any are needed.
    pub include_strings: Option<Bytes>,
}

/// Why there is no entry for a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSelection {
    /// Neither its first word nor its program is a path that can stand in an entry.
    NoPath,
    /// Nothing on its command line tells it from this one.
    SameAs(Pid),
    /// It was started by a process of the same kind, which is the one to watch.
    ChildOf(Pid),
}

/// Programs of which another one may run tomorrow: what they run tells them apart.
const INTERPRETERS: [&str; 12] =
    ["bash", "dash", "dotnet", "java", "node", "perl", "php", "python", "python3", "ruby", "sh", "uwsgi"];

/// Finds what tells a process from all others, and also from its descendants if anything does: those that outlive it must
/// not be taken for it. If nothing does, as in a fork server, the oldest is the one watched.
///
/// # Errors
/// When there is nothing that tells it from others.
pub fn selection(target: &Process, processes: &Processes) -> Result<Selection, NoSelection> {
    let path = path_of(target).ok_or(NoSelection::NoPath)?;
    let plain = Selection { process: path, include_strings: None };
    let all: Vec<_> = matching(&plain, processes).filter(|other| other.proc != target.proc).collect();
    let is_below = |other: &Process| processes.descends(other.proc.pid, target.proc.pid);
    let mut chosen = match apart(target, &all) {
        Ok(chosen) => chosen,
        Err(_) => {
            let others: Vec<_> = all.iter().copied().filter(|other| !is_below(other)).collect();
            apart(target, &others).map_err(|other| {
                if processes.descends(target.proc.pid, other.proc.pid) {
                    NoSelection::ChildOf(other.proc.pid)
                } else {
                    NoSelection::SameAs(other.proc.pid)
                }
            })?
        }
    };
    let name = plain.process.file_name();
    if chosen.is_empty() && INTERPRETERS.iter().any(|interpreter| name.starts_with(interpreter.as_bytes())) {
        chosen.extend(words::most_telling(&words::of(target.command_line.as_slice())));
    }
    let include_strings = (!chosen.is_empty()).then(|| chosen.join(&b'&').as_slice().into());
    Ok(Selection { include_strings, ..plain })
}

/// Strings of a command line that no other one has all of; as few as possible.
///
/// # Errors
/// Another one that has all of them.
pub(super) fn apart<'a, 'b>(target: &'a Process, others: &[&'b Process]) -> Result<Vec<&'a [u8]>, &'b Process> {
    let mut others = others.to_vec();
    let words = words::of(target.command_line.as_slice());
    let mut chosen: Vec<&[u8]> = Vec::new();
    // What a title says of the process's part among its own.
    if let Some(role) = words::role(target.command_line.as_slice())
        && others.iter().any(|other| !contains(other, role))
    {
        others.retain(|other| contains(other, role));
        chosen.push(role);
    }
    while let Some(other) = others.first().copied() {
        let lacking = |word: &[u8]| others.iter().filter(|other| !contains(other, word)).count();
        // Weak words are for when no other one excludes anything. Then most others excluded; telling; short.
        let rank = |word: &&Word<'_>| {
            let excluded = lacking(word.text);
            (excluded > 0, word.telling > Telling::Weak, excluded, word.telling, usize::MAX - word.text.len())
        };
        let best = words.iter().max_by_key(rank).filter(|word| lacking(word.text) > 0).ok_or(other)?;
        others.retain(|other| contains(other, best.text));
        chosen.push(best.text);
    }
    Ok(chosen)
}

/// The first word of the command line where it is a path, as `ps` shows it; else the program.
fn path_of(process: &Process) -> Option<AbsolutePath> {
    let known_as = [Some(&process.name), process.exe.as_ref()].into_iter().flatten();
    known_as.map(Bytes::as_slice).filter(|path| !path.contains(&b':')).find_map(AbsolutePath::new)
}

fn matching<'a>(selection: &Selection, processes: &'a Processes) -> impl Iterator<Item = &'a Process> {
    let Selection { process, .. } = selection;
    let is_named = move |other: &&Process| {
        let known_as = [Some(&other.name), other.exe.as_ref()];
        known_as.into_iter().flatten().any(|name| name.as_slice() == process.as_slice())
    };
    let found: Vec<_> = processes.iter().filter(is_named).collect();
    found.into_iter()
}

fn contains(process: &Process, word: &[u8]) -> bool {
    memchr::memmem::find(process.command_line.as_slice(), word).is_some()
}

/// A stall check that fits what a process listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedCheck {
    kind: StallKind,
    port: Port,
    host: Option<IpAddr>,
}

/// The addresses that are asked where a block names no host, and those that stand for them.
const LOCAL: [&str; 4] = ["127.0.0.1", "0.0.0.0", "::1", "::"];

/// At which of the addresses of a port to ask what it is: where its block will ask.
#[must_use]
pub fn where_to_ask(addresses: &BTreeSet<IpAddr>) -> Option<IpAddr> {
    let rank = |address: &IpAddr| LOCAL.iter().position(|local| *local == address.to_string()).unwrap_or(LOCAL.len());
    addresses.iter().map(IpAddr::to_canonical).min_by_key(rank)
}

/// The check for a port, by what it is and the addresses on which it is listened to; `None` where a block cannot say it.
#[must_use]
pub fn stall_check(kind: StallKind, port: u16, addresses: &BTreeSet<IpAddr>) -> Option<ProposedCheck> {
    // Sockets for both families show addresses of the older one in the form of the newer one.
    let addresses: BTreeSet<_> = addresses.iter().map(IpAddr::to_canonical).collect();
    let local = addresses.iter().any(|address| LOCAL.contains(&address.to_string().as_str()));
    let host = match (local, addresses.first(), kind) {
        (true, ..) => None,
        // A `:` would end the field, and a socket block has no host.
        (false, Some(IpAddr::V4(address)), StallKind::Web | StallKind::WebTls) => Some(IpAddr::V4(*address)),
        (false, Some(_) | None, _) => return None,
    };
    Some(ProposedCheck { kind, port: Port::new(port.into())?, host })
}

/// An entry that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedEntry {
    /// What it means.
    pub selection: Selection,
    /// Its restart script.
    pub script: AbsolutePath,
    /// What is asked of it.
    pub checks: Vec<ProposedCheck>,
    /// A line for people.
    pub comment: String,
}

/// What holds for a whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedFile {
    /// `IPCKEY`.
    pub ipc_key: u32,
    /// `SHM_DUMP_FILE`.
    pub dump_file: AbsolutePath,
    /// Grace value of every entry.
    pub grace: Seconds,
    /// Retry count of every entry.
    pub retries: u32,
    /// Action of every entry.
    pub action: RetryOver,
    /// The entries.
    pub entries: Vec<ProposedEntry>,
}

impl ProposedFile {
    /// The text, which is read back before it is given away.
    ///
    /// # Errors
    /// When it cannot be read back: something in it cannot be said in a pfile.
    pub fn text(&self) -> Result<Vec<u8>, String> {
        let Self { ipc_key, dump_file, grace: Seconds(grace), retries, action, entries } = self;
        let mut text = format!(
            "##### PARAM #####\nIPCKEY              {ipc_key:#010x}\nMSG_CHECK_INTERVAL  5\nMONITOR_INTERVAL    \
             10\nSHM_DUMP_FILE       "
        )
        .into_bytes();
        text.extend([dump_file.as_slice(), b"\n##### PENT #####\n"].concat());
        for ProposedEntry { selection, script, checks, comment } in entries {
            let Selection { process, include_strings } = selection;
            let numbers = format!(":{grace}:{retries}:{}", action.name());
            text.extend(format!("# {comment}\n").bytes());
            text.extend([process.as_slice(), b":", script.as_slice(), numbers.as_bytes()].concat());
            if let Some(strings) = include_strings {
                text.extend([b":include_strings=", strings.as_slice()].concat());
            }
            text.push(b'\n');
            text.extend(checks.iter().flat_map(|check| block(check).into_bytes()));
        }
        let reading = read(&text, UnknownOptions::Refuse);
        match (reading.problems.first(), reading.pfile) {
            (None, Some(pfile)) if pfile.entries.len() == entries.len() => Ok(text),
            (Some(problem), _) => Err(problem.message.clone()),
            (None, _) => Err("it would not say what is meant".to_owned()),
        }
    }
}

fn block(ProposedCheck { kind, port, host }: &ProposedCheck) -> String {
    const LIBRARIES: &str = "/opt/HA/PSWE/lib";
    let library = format!("DLL:{LIBRARIES}/{}:DIRECT:-", kind.library());
    let (Seconds(interval), Seconds(retry_over)) = (StallTiming::DEFAULT_INTERVAL, StallTiming::DEFAULT_RETRY_OVER);
    let (count, host) = host.map_or((2, String::new()), |host| (3, format!(":{host}")));
    let error = if *kind == StallKind::WebTls { "-" } else { "0" };
    let port = port.number();
    format!(
        "{} {{\n    PS_INIT    {library}:-:-:0\n    PS_EXEC    \
         {library}:{interval}:{error}:{count}:{retry_over}:{port}{host}\n    PS_ACTION  {library}:-:1:0\n    PS_QUIT    \
         {library}:-:-:0\n}}\n",
        kind.block()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pfile::select::{NamedBy, Verdict, judge, tests::process};

    fn proposed(target: u32, all: &[(u32, u32, &str)]) -> Result<Option<String>, NoSelection> {
        let all: Vec<_> = all.iter().map(|(pid, parent, line)| process(*pid, *parent, line)).collect();
        let target = all.iter().find(|process| process.proc.pid.number() == target).unwrap().clone();
        let found = selection(&target, &Processes::new(all));
        found.map(|selection| selection.include_strings.map(|strings| strings.to_string()))
    }

    #[test]
    fn what_tells_a_process_from_the_others_is_found() {
        let pid = |number| Pid::new(number).unwrap();
        assert_eq!(proposed(1, &[(1, 0, "/a x")]), Ok(None));
        assert_eq!(proposed(1, &[(1, 0, "/a one"), (2, 0, "/a two")]), Ok(Some("one".to_owned())));
        assert_eq!(proposed(1, &[(1, 0, "/a -x one"), (2, 0, "/a -x two")]), Ok(Some("one".to_owned())));
        // No single word does: two together.
        let three = [(1, 0, "/a aa bb"), (2, 0, "/a aa cc"), (3, 0, "/a bb dd")];
        assert_eq!(proposed(1, &three).map(|found| found.map(|strings| strings.len())), Ok(Some(5)));
        assert_eq!(proposed(1, &[(1, 0, "/a aa"), (2, 0, "/a aa bb")]), Err(NoSelection::SameAs(pid(2))));
        // Children of a fork server look the same and are none of our concern; the parent is.
        let server = [(1, 0, "/a aa"), (2, 1, "/a aa"), (3, 2, "/a aa")];
        assert_eq!(proposed(1, &server), Ok(None));
        assert_eq!(proposed(2, &server), Err(NoSelection::ChildOf(pid(1))));
        assert_eq!(proposed(1, &[(1, 0, "relative")]), Err(NoSelection::NoPath));
    }

    #[test]
    fn weak_words_are_for_when_nothing_else_helps() {
        let nginx = "nginx: master process nginx -c";
        let (one, two) = (format!("/n {nginx} /srv/a.conf -g off;"), format!("/n {nginx} /srv/b.conf"));
        assert_eq!(proposed(1, &[(1, 0, &one), (2, 0, &two)]), Ok(Some("/srv/a.conf".to_owned())));
        let all = [(1, 0, "/a --bind 127.0.0.1 8000 worker"), (2, 0, "/a --bind 127.0.0.2 8001 other")];
        assert_eq!(proposed(1, &all), Ok(Some("worker".to_owned())));
        assert_eq!(proposed(1, &[(1, 0, "/a 10.0.0.1 -x"), (2, 0, "/a 10.0.0.2 -x")]), Ok(Some("10.0.0.1".to_owned())));
        // A telling word that helps a little comes before a weak one that helps more.
        let three = [(1, 0, "/a 8000 first"), (2, 0, "/a 8001 first"), (3, 0, "/a 8002 other")];
        assert_eq!(proposed(1, &three), Ok(Some("first&8000".to_owned())));
    }

    #[test]
    fn descendants_are_told_apart_where_anything_does() {
        let titled = |pid, parent, title: &str| {
            let exe = Some("/usr/sbin/nginx".into());
            Process { exe, name: title.into(), ..process(pid, parent, title) }
        };
        let (one, two) = ("nginx: master process nginx -c /srv/a.conf", "nginx: master process nginx -c /srv/b.conf");
        let of = |target: &Process, all: &[Process]| {
            let selection = selection(target, &Processes::new(all.to_vec())).unwrap();
            (selection.process.to_string(), selection.include_strings.map(|strings| strings.to_string()))
        };
        let master = titled(1, 0, one);
        let told = |strings: &str| ("/usr/sbin/nginx".to_owned(), Some(strings.to_owned()));
        let workers =
            [master.clone(), titled(2, 1, "nginx: worker process"), titled(3, 1, "nginx: cache manager process")];
        assert_eq!(of(&master, &workers), told("master process"));
        // An orphan of another one is told apart by the same.
        assert_eq!(of(&master, &[master.clone(), titled(9, 0, "nginx: worker process")]), told("master process"));
        let both = [workers.as_slice(), &[titled(7, 0, two), titled(8, 7, "nginx: worker process")]].concat();
        assert_eq!(of(&master, &both), told("master process&/srv/a.conf"));
        // Children with a title of their own: the words of the parent tell.
        assert_eq!(proposed(1, &[(1, 0, "/a -D /srv/db"), (2, 1, "/a writer")]), Ok(Some("/srv/db".to_owned())));
        // One child that looks the same is enough: nothing helps then.
        assert_eq!(proposed(1, &[(1, 0, "/a -D /srv/db"), (2, 1, "/a writer"), (3, 1, "/a -D /srv/db")]), Ok(None));
    }

    #[test]
    fn interpreters_are_told_by_what_they_run() {
        assert_eq!(
            proposed(1, &[(1, 0, "/usr/bin/java -Xmx1g -cp /opt/lib org.example.Main start")]),
            Ok(Some("org.example.Main".to_owned()))
        );
        assert_eq!(proposed(1, &[(1, 0, "/usr/bin/python3 -u /srv/app.py")]), Ok(Some("/srv/app.py".to_owned())));
        assert_eq!(
            proposed(1, &[(1, 0, "/usr/bin/python3 -m http.server 8000 --bind 127.0.0.1")]),
            Ok(Some("http.server".to_owned()))
        );
    }

    #[test]
    fn checks_fit_port_and_address() {
        use StallKind::{Socket, Web, WebTls};
        let check = |kind, address: &str| {
            let addresses = [address.parse().unwrap()].into();
            stall_check(kind, 80, &addresses).map(|check| (check.kind, check.host.map(|host| host.to_string())))
        };
        assert_eq!(check(Web, "0.0.0.0"), Some((Web, None)));
        assert_eq!(check(WebTls, "::"), Some((WebTls, None)));
        assert_eq!(check(Socket, "127.0.0.1"), Some((Socket, None)));
        assert_eq!(check(Web, "192.0.2.7"), Some((Web, Some("192.0.2.7".to_owned()))));
        assert_eq!(check(Socket, "192.0.2.7"), None);
        assert_eq!(check(Socket, "::ffff:127.0.0.1"), Some((Socket, None)));
        assert_eq!(check(Web, "::ffff:192.0.2.7"), Some((Web, Some("192.0.2.7".to_owned()))));
        assert_eq!(check(Web, "2001:db8::7"), None);
        let ask = |all: &[&str]| {
            let all = all.iter().map(|address| address.parse().unwrap()).collect();
            where_to_ask(&all).map(|address| address.to_string())
        };
        assert_eq!(ask(&["::", "192.0.2.7"]).as_deref(), Some("::"));
        assert_eq!(ask(&["::ffff:127.0.0.1"]).as_deref(), Some("127.0.0.1"));
        assert_eq!(ask(&["192.0.2.7"]).as_deref(), Some("192.0.2.7"));
        assert_eq!(ask(&[]), None);
    }

    #[test]
    fn a_proposed_file_loads_without_a_warning() {
        let path = |path: &str| AbsolutePath::new(path.as_bytes()).unwrap();
        let selection = Selection { process: path("/a"), include_strings: Some("one&two".into()) };
        let all = [(StallKind::Web, 80), (StallKind::WebTls, 443), (StallKind::Socket, 25)];
        let checks =
            all.into_iter().filter_map(|(kind, port)| stall_check(kind, port, &["::".parse().unwrap()].into()));
        let comment = "process 1".to_owned();
        let entry = ProposedEntry { selection, script: path("/s"), checks: checks.collect(), comment };
        let file = ProposedFile {
            ipc_key: 0x1f,
            dump_file: path("/d"),
            grace: Seconds(86_400),
            retries: 3,
            action: RetryOver::Exit,
            entries: vec![entry.clone()],
        };
        let text = file.text().unwrap();
        let pfile = read(&text, UnknownOptions::Refuse).pfile.unwrap();
        assert_eq!(judge(&pfile.entries[0].value, &process(1, 0, "/a one two")), Verdict::Matches(NamedBy::Argv0));
        assert!(String::from_utf8(text).unwrap().contains("IPCKEY              0x0000001f\n"));
        let broken = ProposedEntry { script: path("/with:colon"), ..entry };
        assert!(ProposedFile { entries: vec![broken], ..file }.text().is_err());
    }
}
