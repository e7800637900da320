//! A folder for files of a test, and the program run on them.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// What the program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `watcher` with nothing on standard input.
pub(crate) fn watcher<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watcher"));
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A folder that goes when the test is over.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        shown(&path)
    }

    /// Writes an executable file, by another process: what one of our own threads has open for writing, a child that another
    /// thread is making at that moment has open, too, and then it cannot be run.
    pub(crate) fn script(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "printf %s \"$2\" >\"$1\" && chmod 755 \"$1\"", "-"]).arg(&path).arg(text);
        assert!(shell.stdin(Stdio::null()).status().unwrap().success());
        shown(&path)
    }

    /// Starts `sleep` by a name that nobody else uses: what `ps` shows of it is a link in this folder.
    pub(crate) fn service(&self, name: &str, words: &[&str]) -> Service {
        let path = self.path(name);
        if !path.exists() {
            symlink("/bin/sleep", &path).unwrap();
        }
        let service = Service::of(Command::new(&path).args(words));
        until_seen(service.pid(), &shown(&path));
        service
    }
}

/// Waits until a child's command line can be seen: its parent goes on a moment before that.
pub(crate) fn until_seen(pid: u32, first_word: &str) {
    let command_line = format!("/proc/{pid}/cmdline");
    let seen = || fs::read(&command_line).unwrap().starts_with(first_word.as_bytes());
    let looks = (0..10_000).take_while(|_| !seen()).map(|_| std::thread::sleep(std::time::Duration::from_millis(1)));
    assert!(looks.count() < 10_000, "{first_word} is not seen");
}

pub(crate) fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A running process that ends with the test.
pub(crate) struct Service(Child);

impl Service {
    /// Starts a command that says nothing: whoever reads what the test says need not wait for it.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The texts that this crate's core is tested with.
pub(crate) fn sample(name: &str) -> String {
    format!("{}/core/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}
