//! Which running pcheck watches for a pfile. The file may have been edited, broken or deleted since pcheck read it.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use watcher_core::pfile::{Interval, Pfile, UnknownOptions, read};

use super::exit;
use crate::{
    check,
    control::{
        self, Command, WhoLine,
        client::{self, Answer, Failure},
    },
};

/// How long is waited for an answer, above `MSG_CHECK_INTERVAL`.
const MARGIN: Duration = Duration::from_secs(5);

/// How long each of all is waited for: one that was stopped must not hide the one that is looked for.
const EACH: Duration = Duration::from_secs(1);

/// A pfile, and the pcheck that watches for it.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it is asked.
    pub(super) socket: PathBuf,
    /// It.
    pub(super) who: WhoLine,
    /// The pfile, by its full path.
    pub(super) pfile: PathBuf,
    /// How long an answer may take.
    pub(super) limit: Duration,
}

/// Why nothing came of it: a sentence, and padmin's exit code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotFound {
    pub(super) sentence: String,
    pub(super) code: u8,
}

impl NotFound {
    /// For a pcheck that was found, and then did not do what it was asked.
    pub(super) fn failed(failure: &Failure, pid: u32) -> Self {
        let code = code(failure);
        let sentence = match failure {
            Failure::Refused(why) => why.clone(),
            Failure::TimedOut(_) => format!("{failure}: is process {pid} stopped, or very busy?"),
            Failure::Absent | Failure::Broken(_) => format!("pcheck (process {pid}) has just ended: {failure}"),
            Failure::Forbidden | Failure::Strange(_) => failure.to_string(),
        };
        Self { sentence, code }
    }
}

/// Which exit code of padmin a failure is.
pub(super) const fn code(failure: &Failure) -> u8 {
    match failure {
        Failure::Absent | Failure::Broken(_) => exit::padmin::NO_PCHECK,
        Failure::Forbidden | Failure::Refused(_) | Failure::Strange(_) => exit::padmin::REFUSED,
        Failure::TimedOut(_) => exit::padmin::TIMED_OUT,
    }
}

/// What a pfile says now; `None` where it cannot be read or does not load.
pub(super) fn pfile(path: &Path) -> Option<Pfile> {
    read(&check::load(path).ok()?, UnknownOptions::Keep).pfile
}

/// Finds the pcheck that watches for a pfile: by its `IPCKEY`, else among all.
pub(super) fn find(path: &Path, run_dir: &Path) -> Result<Found, NotFound> {
    let param = pfile(path).map(|pfile| pfile.param);
    let interval = param.as_ref().map_or(Interval::MSG_CHECK_DEFAULT, |param| param.msg_check_interval());
    let limit = Duration::from_secs(interval.seconds().into()) + MARGIN;
    let until = Instant::now() + limit;
    let full = std::path::absolute(path).unwrap_or_else(|_error| path.to_owned());
    let by_key = param.map(|param| control::socket(&control::folder(run_dir, param.ipc_key.value.number())));
    let mut search = Search { full: &full, other: None, failed: None };
    if let Some(socket) = &by_key
        && let Some(who) = search.ask(socket, limit, true)
    {
        return Ok(Found { socket: socket.clone(), who, pfile: full, limit });
    }
    let all = control::sockets(run_dir).map_err(|error| NotFound {
        sentence: format!("{} cannot be looked through: {error}", run_dir.display()),
        code: if error.kind() == io::ErrorKind::PermissionDenied {
            exit::padmin::REFUSED
        } else {
            exit::padmin::NO_PCHECK
        },
    })?;
    for socket in all.into_iter().filter(|socket| by_key.as_ref() != Some(socket)) {
        let left = until.saturating_duration_since(Instant::now()).min(EACH);
        if left.is_zero() {
            break;
        }
        if let Some(who) = search.ask(&socket, left, false) {
            return Ok(Found { socket, who, pfile: full, limit });
        }
    }
    Err(search.in_vain(run_dir))
}

struct Search<'a> {
    full: &'a Path,
    /// Who has the same key, and watches for another file.
    other: Option<WhoLine>,
    /// The first that was there and did not say who it is.
    failed: Option<(PathBuf, Failure)>,
}

impl Search<'_> {
    /// Whoever is asked, if it is the one.
    fn ask(&mut self, socket: &Path, limit: Duration, same_key: bool) -> Option<WhoLine> {
        match client::ask(socket, &Command::Ping, limit) {
            Ok(Answer::Who(who)) if same_file(self.full, Path::new(std::ffi::OsStr::from_bytes(&who.pfile()))) => {
                return Some(who);
            }
            Ok(Answer::Who(who)) if same_key => self.other = Some(who),
            Ok(_) | Err(Failure::Absent) => {}
            Err(failure) => {
                self.failed.get_or_insert_with(|| (socket.to_owned(), failure));
            }
        }
        None
    }

    fn in_vain(self, run_dir: &Path) -> NotFound {
        let Self { full, other, failed } = self;
        let none = format!("no pcheck watches for {} (looked in {})", full.display(), run_dir.display());
        let not_found = |sentence| NotFound { sentence, code: exit::padmin::NO_PCHECK };
        match (other, failed) {
            (Some(WhoLine { pid, ipckey, pfile, .. }), _) => not_found(format!(
                "{none}; process {pid} has its IPCKEY {ipckey}, but watches for {pfile}: is that one meant? If not, give one another key"
            )),
            (None, Some((socket, failure))) => NotFound {
                sentence: format!("{none}, but one does not say what it watches for ({}): {failure}", socket.display()),
                code: code(&failure),
            },
            (None, None) if full.exists() => not_found(format!("{none}: start it by `pcheck -f {}`", full.display())),
            (None, None) => not_found(format!("{none}, and there is no such file (is the path right?)")),
        }
    }
}

/// By its path, or by device and inode: links and detours lead to the same file, and one that was replaced has its path.
pub(super) fn same_file(given: &Path, theirs: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|data| (data.dev(), data.ino())).ok();
    // Of a file that was deleted the folder is left.
    let place = |path: &Path| Some((path.parent()?.canonicalize().ok()?, path.file_name()?.to_owned()));
    given == theirs
        || identity(given).is_some_and(|given| Some(given) == identity(theirs))
        || place(given).is_some_and(|given| Some(given) == place(theirs))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn one_file_is_known_by_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a"), "").unwrap();
        fs::write(at("other"), "").unwrap();
        symlink(at("a"), at("link")).unwrap();
        fs::hard_link(at("a"), at("hard")).unwrap();
        symlink(folder.path(), at("again")).unwrap();
        for name in ["a", "link", "hard", "again/a"] {
            assert!(same_file(&at(name), &at("a")), "{name}");
        }
        assert!(!same_file(&at("other"), &at("a")));
        fs::remove_file(at("a")).unwrap();
        assert!(same_file(&at("again/a"), &at("a")), "it was deleted");
        assert!(!same_file(&at("hard"), &at("a")));
    }
}
