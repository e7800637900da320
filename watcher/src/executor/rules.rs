//! Rules from files.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs, io,
    io::Read as _,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use tokio::task::JoinSet;
use watcher_core::{
    Event, RequestId,
    pfile::{
        Bytes, Lines, Pfile, Problem, Reading, Severity, UnknownOptions,
        lint::{self, Nameless},
        read,
    },
};

use super::{aside::Aside, hosts, survey};

/// Largest file that is taken for a pfile, in bytes.
const LARGEST: u64 = 256 << 20;

/// Reads a file whole.
///
/// # Errors
/// When it cannot be read, or cannot be a pfile.
pub fn load(path: &Path) -> io::Result<Vec<u8>> {
    let data = fs::metadata(path)?;
    if data.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if data.file_type().is_block_device() || data.file_type().is_char_device() {
        return Err(io::Error::other("it is a device, not a file"));
    }
    // A pipe does not say beforehand how much will come.
    let mut text = Vec::new();
    fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}

/// So many warnings of a file are told in the log.
const WARNINGS: usize = 5;

/// What a file says.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The rules.
    pub pfile: Pfile,
    /// Lines for the log: what will hurt although it loads.
    pub warnings: Vec<String>,
}

/// A file that was read. Whether the hosts have addresses that it names is left to be found out: that may take long.
#[derive(Clone, Debug)]
pub struct Draft {
    path: PathBuf,
    reading: Reading,
    lines: Lines,
    /// What is wrong with files of authorities that it names.
    ca: Vec<Problem>,
}

impl Draft {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, as a sentence.
    pub fn read(path: &Path, unknown_options: UnknownOptions) -> Result<Self, String> {
        let text = load(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let reading = read(&text, unknown_options);
        let of_authorities = |pfile: &Pfile| lint::ca(pfile, &survey::unusable_cas(&lint::ca_files(pfile)));
        let ca = reading.pfile.as_ref().map(of_authorities).unwrap_or_default();
        Ok(Self { path: path.to_owned(), lines: Lines::of(&text), reading, ca })
    }

    /// The same, but of nothing that is no file. A pipe would keep the reader waiting, and has given all it had at the start.
    ///
    /// # Errors
    /// As above, and when it is not a file.
    pub fn read_file(path: &Path, unknown_options: UnknownOptions) -> Result<Self, String> {
        match fs::metadata(path) {
            Ok(data) if !data.is_file() => Err(format!("{} cannot be read: it is not a file", path.display())),
            Ok(_) | Err(_) => Self::read(path, unknown_options),
        }
    }

    /// The path by which it was read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The hosts that it names.
    #[must_use]
    pub fn hosts(&self) -> BTreeSet<Bytes> {
        self.reading.pfile.as_ref().map(lint::hosts).unwrap_or_default()
    }

    /// Its rules, once it is known which of the hosts have no address.
    ///
    /// # Errors
    /// When it does not load: the first mistake, with its place, as a sentence.
    pub fn rules(self, nameless: &BTreeMap<Bytes, Nameless>) -> Result<Rules, String> {
        let Self { path, reading: Reading { pfile, mut problems, allowed }, lines, ca } = self;
        let name = path.display();
        let told = |problem: &Problem| {
            let at = lines.position(problem.place.start);
            let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
            format!("{name}:{}:{}: {}{hint}", at.line, at.column, problem.message)
        };
        if let Some(pfile) = &pfile {
            problems.extend(lint::names(pfile, nameless));
        }
        let is_error = |problem: &Problem| problem.severity == Severity::Error;
        let Some(pfile) = pfile.filter(|_| !problems.iter().any(is_error)) else {
            let mut errors = problems.iter().filter(|problem| is_error(problem));
            let first = errors.next().map_or_else(String::new, told);
            let more = match errors.count() {
                0 => String::new(),
                more => format!(" (and {more} more; `watcher check` shows all)"),
            };
            return Err(format!("{first}{more}"));
        };
        problems.extend(lint::text(&pfile));
        problems.extend(ca);
        problems.retain(|problem| allowed.tells(problem));
        problems.sort_by_key(|problem| problem.place);
        let mut warnings: Vec<_> = problems.iter().take(WARNINGS).map(told).collect();
        if let Some(more) = problems.len().checked_sub(WARNINGS).filter(|more| *more > 0) {
            warnings.push(format!("and {more} more; `watcher check {name}` shows all"));
        }
        Ok(Rules { pfile, warnings })
    }
}

/// The rules of a file.
///
/// # Errors
/// When it cannot be read, or does not load: the first mistake, with its place, as a sentence.
pub fn rules(path: &Path, unknown_options: UnknownOptions) -> Result<Rules, String> {
    let draft = Draft::read(path, unknown_options)?;
    let nameless = hosts::nameless(&draft.hosts());
    draft.rules(&nameless)
}

/// Rules that are read again: from a file. Hosts that were looked up when they were read last are not looked up once more: the
/// checks of them that are in force would not be better for it, and a resolver may be silent for all pfiles of a host at once.
fn rules_again(path: &Path, unknown_options: UnknownOptions, known: &BTreeSet<Bytes>) -> Result<Rules, String> {
    let draft = Draft::read_file(path, unknown_options)?;
    let mut hosts = draft.hosts();
    hosts.retain(|host| !known.contains(host));
    draft.rules(&hosts::nameless(&hosts))
}

/// Reads rules aside: a file system may take its time. Once at a time: one that hangs would take a thread each.
#[derive(Debug)]
pub struct RulesReader {
    aside: Aside,
    path: PathBuf,
    unknown_options: UnknownOptions,
    /// Hosts that were looked up.
    known: BTreeSet<Bytes>,
    asked: VecDeque<Option<RequestId>>,
    reading: JoinSet<(Option<RequestId>, Result<Rules, String>)>,
    warnings: Vec<String>,
}

impl RulesReader {
    /// Of this file. These hosts of it were looked up.
    #[must_use]
    pub fn new(aside: Aside, path: PathBuf, unknown_options: UnknownOptions, known: BTreeSet<Bytes>) -> Self {
        let (asked, reading) = (VecDeque::new(), JoinSet::new());
        Self { aside, path, unknown_options, known, asked, reading, warnings: Vec::new() }
    }

    /// Begins to read; [`Self::next`] brings what came of it.
    pub fn start(&mut self, request: Option<RequestId>) {
        // Where nobody waits for an answer, one more look is as good as many.
        if request.is_some() || !self.asked.contains(&None) {
            self.asked.push_back(request);
        }
        self.read();
    }

    fn read(&mut self) {
        if self.reading.is_empty()
            && let Some(request) = self.asked.pop_front()
        {
            let (path, unknown_options, known) = (self.path.clone(), self.unknown_options, self.known.clone());
            let read = self.aside.run(move || rules_again(&path, unknown_options, &known));
            let failed = |error| Err(format!("reading has failed: {error}"));
            self.reading.spawn(async move { (request, read.await.unwrap_or_else(failed)) });
        }
    }

    /// Whether rules are being read.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.reading.is_empty()
    }

    /// Waits for rules that were asked for.
    pub async fn next(&mut self) -> Event {
        let read = self.reading.join_next().await;
        self.read();
        match read {
            Some(Ok((request, Ok(Rules { pfile, warnings })))) => {
                self.known = lint::hosts(&pfile);
                self.warnings.extend(warnings);
                Event::Rules { request, rules: Ok(Box::new(pfile)) }
            }
            Some(Ok((request, Err(why)))) => Event::Rules { request, rules: Err(why) },
            Some(Err(error)) => Event::Rules { request: None, rules: Err(format!("reading has failed: {error}")) },
            None => std::future::pending().await,
        }
    }

    /// Lines for the log: what will hurt of what was read.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<String>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let without_name = |line: String| line.replace(file.path().to_str().unwrap(), "PFILE");
        let rules = rules(file.path(), UnknownOptions::Refuse).map_err(without_name)?;
        Ok(rules.warnings.into_iter().map(without_name).collect())
    }

    #[test]
    fn warnings_are_told_with_their_places_and_not_more_than_anybody_reads() {
        assert_eq!(of("IPCKEY 0x1\n/a:/b:86400:3:exit\n").unwrap(), [""; 0]);
        let one = of("IPCKEY 0x1\nNOPE 1\n/a:/b:30:3:exit\n").unwrap();
        assert_eq!(one.len(), 2, "{one:?}");
        assert!(one[0].starts_with("PFILE:2:1: ") && one[1].starts_with("PFILE:3:7: 3 retries take"), "{one:?}");
        assert_eq!(of("#@ allow=unknown-parameter\nIPCKEY 0x1\nNOPE 1\n/a:/b:86400:3:exit\n").unwrap(), [""; 0]);
        let many = of(&format!("IPCKEY 0x1\n{}", "/a:/b:30:3:exit\n".repeat(9))).unwrap();
        assert_eq!(many.len(), 6);
        assert_eq!(many[5], "and 4 more; `watcher check PFILE` shows all");
        assert!(of("/a:/b:30:3:exitt\n/c\n").unwrap_err().starts_with("PFILE:1:"));
        let error = of("IPCKEY 0x1\n/a:/b:0:3:exitt\n").unwrap_err();
        assert_eq!(error, "PFILE:2:11: `exitt` is not a retry-over action; did you mean `exit`?");
    }

    #[test]
    fn a_file_of_authorities_that_is_none_is_told() {
        let ca = tempfile::NamedTempFile::new().unwrap();
        let (name, text) = (ca.path().display(), |name: &str| format!("IPCKEY 0x1\n/a:/b:0:3:exit\n#@ ca={name}\n"));
        let about =
            |warnings: &[String]| warnings.iter().filter(|line| line.contains("no certificate can be checked")).count();
        let empty = of(&text(&name.to_string())).unwrap();
        assert!(empty.iter().any(|line| line.contains("has no certificate in it")), "{empty:?}");
        assert_eq!(about(&empty), 1, "{empty:?}");
        let missing = of(&text("/nonexistent.pem")).unwrap();
        assert!(missing.iter().any(|line| line.contains("/nonexistent.pem cannot be read: ")), "{missing:?}");
        let pipe = of(&text("/dev/null")).unwrap();
        assert!(pipe.iter().any(|line| line.contains("/dev/null is not a file")), "{pipe:?}");
    }

    #[tokio::test]
    async fn rules_are_read_once_at_a_time_and_each_request_gets_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pfile");
        fs::write(&path, "IPCKEY 0x1\n/bin/a:/b:1:1:exit\n").unwrap();
        let mut reader = RulesReader::new(Aside::new(1), path, UnknownOptions::Refuse, BTreeSet::new());
        reader.start(Some(RequestId(1)));
        (0..1000).for_each(|_| reader.start(None));
        reader.start(Some(RequestId(2)));
        assert_eq!((reader.reading.len(), reader.asked.len()), (1, 2));
        let mut told = Vec::new();
        for _ in 0..3 {
            let Event::Rules { request, rules } = reader.next().await else { panic!() };
            assert!(rules.is_ok());
            told.push(request);
        }
        assert_eq!(told, [Some(RequestId(1)), None, Some(RequestId(2))]);
        assert!(reader.reading.is_empty());
    }

    #[tokio::test]
    async fn a_pipe_in_place_of_the_file_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pfile");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        let mut reader = RulesReader::new(Aside::new(1), path, UnknownOptions::Refuse, BTreeSet::new());
        reader.start(None);
        let Event::Rules { rules, .. } = reader.next().await else { panic!() };
        assert!(rules.unwrap_err().ends_with("cannot be read: it is not a file"));
    }
}
