//! Where a process writes, so that the one which is started in its place writes there, too.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use watcher_core::Pid;

use crate::executor::trust;

/// Where one of its descriptors leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// To a file.
    File {
        /// By its path.
        path: String,
        /// The user of the process opens it: root must not, where others may put a link in its place.
        by_user: bool,
    },
    /// Somewhere else, such as a terminal, or where this user may not know.
    Lost,
    /// Nowhere: it is closed, or `/dev/null`.
    Nowhere,
}

/// Where a descriptor of this process leads, which runs as this user.
pub(super) fn of(pid: Pid, descriptor: u32, user: u32) -> Output {
    let link = PathBuf::from(format!("/proc/{pid}/fd/{descriptor}"));
    let path = match fs::read_link(&link) {
        Ok(path) => path,
        Err(error) if error.kind() == ErrorKind::NotFound => return Output::Nowhere,
        Err(_) => return Output::Lost,
    };
    if path == Path::new("/dev/null") {
        return Output::Nowhere;
    }
    // Where it still has the name by which it was opened, and is no other file by now.
    let identity =
        |path: &Path| fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|data| (data.dev(), data.ino()));
    let (Some(data), true) =
        (fs::metadata(&link).ok(), identity(&link).is_some() && identity(&link) == identity(&path))
    else {
        return Output::Lost;
    };
    let by_user = user != 0 && data.uid() == user;
    let is_safe = user == 0 || by_user || trust::open_to_others(&path).is_ok_and(|open| open.is_none());
    match path.into_os_string().into_string() {
        Ok(path) if is_safe && !path.contains(char::is_control) => Output::File { path, by_user },
        Ok(_) | Err(_) => Output::Lost,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_regular_file_is_found_and_nothing_else_is_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().canonicalize().unwrap().join("log");
        let file = fs::File::create(&log).unwrap();
        let mut child = Command::new("/bin/sleep");
        let child = child.arg("600").stdin(Stdio::null()).stdout(file).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let pid = Pid::new(child.id()).unwrap();
        let user = rustix::process::geteuid().as_raw();
        let found = [0, 1, 2, 77].map(|descriptor| of(pid, descriptor, user));
        let stranger = of(pid, 1, user + 1);
        fs::remove_file(&log).unwrap();
        let deleted = of(pid, 1, user);
        fs::write(&log, "another").unwrap();
        let replaced = of(pid, 1, user);
        child.kill().unwrap();
        child.wait().unwrap();
        let path = log.to_str().unwrap().to_owned();
        let file = Output::File { path: path.clone(), by_user: user != 0 };
        assert_eq!(found, [Output::Nowhere, file, Output::Lost, Output::Nowhere]);
        assert!(matches!(stranger, Output::Lost | Output::File { by_user: false, .. }));
        assert_eq!((deleted, replaced), (Output::Lost, Output::Lost));
    }
}
