//! `watcher why`: why processes died, and what came of it.

mod death;
mod line;
mod tale;

use std::{fs, io, io::Read as _, os::unix::ffi::OsStrExt as _, path::Path, process::ExitCode};

use serde::Serialize;
use watcher_core::{Wall, pfile::EntryNumber};

use self::{death::Entry, line::Line};
use super::{
    ask_args, exit,
    find::{self, Found, NotFound},
    output,
};
use crate::{
    control::{
        Command,
        client::{self, Answer},
    },
    sys::local_time,
};

/// Largest dump file that is read, in bytes.
const LARGEST: u64 = 256 << 20;

/// Runs the command.
pub(super) fn run(arguments: &ask_args::Why) -> ExitCode {
    let told = match story(arguments) {
        Ok(told) => told,
        Err(sentence) => return exit::trouble(&sentence),
    };
    match print(arguments, &told) {
        Ok(()) => ExitCode::from(exit::DONE),
        // Whoever read the lines has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::stopped(exit::BROKEN_PIPE),
        Err(error) => exit::trouble(&error.to_string()),
    }
}

/// Lines that tell of deaths, and who says so.
struct Story {
    lines: Vec<Line>,
    source: Source,
}

enum Source {
    Pcheck { pid: u32 },
    Dump { path: String, unix_time: Option<f64> },
}

fn story(arguments: &ask_args::Why) -> Result<Story, String> {
    let entry = arguments.entry.map(|number| EntryNumber::of_index(number.get() as usize - 1));
    let not_found = match find::find(&arguments.pfile, &arguments.run_dir) {
        Ok(found) => return ask(&found, entry),
        Err(not_found) => not_found,
    };
    if not_found.code != exit::padmin::NO_PCHECK {
        return Err(not_found.sentence);
    }
    let param = find::pfile(&arguments.pfile).map(|pfile| pfile.param);
    let Some(param) = param else {
        return Err(format!("{}; and which SHM_DUMP_FILE it has written cannot be read there", not_found.sentence));
    };
    let Some(path) = param.dump_file else {
        return Err(format!("{}; and the pfile names no SHM_DUMP_FILE, which would outlive it", not_found.sentence));
    };
    let path = Path::new(std::ffi::OsStr::from_bytes(path.value.as_slice()));
    let lines = dumped(path)
        .map_err(|error| format!("{}; and {} cannot be read: {error}", not_found.sentence, path.display()))?;
    let header = lines.iter().find(|line| line.kind() == Some("header"));
    let unix_time = header.and_then(|header| header.number("unix_time"));
    let source = Source::Dump { path: path.display().to_string(), unix_time };
    let wanted = |line: &Line| entry.is_none_or(|entry| line.entry() == Some(entry.number() as u64));
    Ok(Story { lines: lines.into_iter().filter(wanted).collect(), source })
}

fn ask(found: &Found, entry: Option<EntryNumber>) -> Result<Story, String> {
    let failed = |failure| NotFound::failed(&failure, found.who.pid).sentence;
    match client::ask(&found.socket, &Command::Why { entry }, found.limit).map_err(failed)? {
        Answer::Lines(lines) => Ok(Story {
            lines: lines.iter().filter_map(|line| Line::read(line)).collect(),
            source: Source::Pcheck { pid: found.who.pid },
        }),
        Answer::Done
        | Answer::Entries(_)
        | Answer::Monitor(_)
        | Answer::Param(_)
        | Answer::Process(_)
        | Answer::Status(..)
        | Answer::Who(_) => {
            Err("pcheck answers something else than was asked for: use the watcher that it belongs to".to_owned())
        }
    }
}

/// The lines of a dump file; one that is of the original holds none that are understood.
fn dumped(path: &Path) -> io::Result<Vec<Line>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    let lines: Vec<_> = String::from_utf8_lossy(&bytes).lines().filter_map(Line::read).collect();
    if lines.is_empty() { Err(io::Error::other("it holds no line that watcher has written")) } else { Ok(lines) }
}

/// `--json`. Documented in `docs/json.md`; members are added, never changed.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: u32,
    source: &'static str,
    pid: Option<u32>,
    dump_file: Option<&'a str>,
    dump_unix_time: Option<f64>,
    entries: &'a [Entry],
}

fn print(arguments: &ask_args::Why, Story { lines, source }: &Story) -> io::Result<()> {
    let entries = death::of(lines);
    if arguments.json {
        let (source, pid, dump_file, dump_unix_time) = match source {
            Source::Pcheck { pid } => ("pcheck", Some(*pid), None, None),
            Source::Dump { path, unix_time } => ("dump", None, Some(path.as_str()), *unix_time),
        };
        return output::json(&Report { schema: 1, source, pid, dump_file, dump_unix_time, entries: &entries });
    }
    if let Source::Dump { path, unix_time } = source {
        let when = unix_time.map(|time| format!(", written {}", show_time(time))).unwrap_or_default();
        output::say(&format!("no pcheck runs; this is what it has left in {path}{when}"));
    }
    if entries.is_empty() {
        output::say("no death is remembered");
    }
    for entry in &entries {
        tale::tell(entry, &show_time).iter().try_for_each(|sentence| output::line(&output::harmless(sentence)))?;
    }
    Ok(())
}

fn show_time(unix_time: f64) -> String {
    local_time::ctime(Wall { unix_ns: (unix_time.max(0.0) * 1e9) as u64 })
}
