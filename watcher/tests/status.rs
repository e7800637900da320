//! `watcher status` on the command line, against those that do not answer as they should.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod control_support;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixListener,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use control_support::Engine;
use tempfile::TempDir;

/// Where running pchecks are found.
struct RunDir(TempDir);

impl RunDir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        let folder = watcher::control::folder(self.0.path(), 0x1F00_0001);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// The exit code, and what is said.
    fn status(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watcher"));
        command.arg("status").arg("--run-dir").arg(self.0.path()).args(words).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

/// One that was started before an upgrade.
#[test]
fn a_pcheck_that_is_too_old_to_tell_how_it_stands_is_unknown_by_a_sentence() {
    let run_dir = RunDir::new();
    let _pcheck = Engine::at(run_dir.folder(), 2);
    let (code, text) = run_dir.status(&[]);
    let why = "it is of an older version, which cannot tell how it stands: end it, and start it again";
    assert!(code == Some(3) && text.starts_with("WATCHER UNKNOWN: ") && text.contains(why), "{text}");
    // It may be the one that is meant.
    let (code, text) = run_dir.status(&["-f", "/none.pfile"]);
    assert!(code == Some(3) && text.contains(why) && text.contains("no pcheck watches for /none.pfile"), "{text}");
}

/// Whoever sits behind the socket may say anything.
#[test]
fn any_answer_is_taken_for_what_it_is() {
    for (said, code, why) in [
        // Its socket is left, and nobody holds its lock.
        ("", 2, "was killed, and nobody has taken its place"),
        ("{\"version\":1,", 2, "was killed, and nobody has taken its place"),
        ("{\"version\":1,\"answer\":\"done\"}\n", 3, "it answers something else than was asked"),
        ("{\"version\":2,\"answer\":{\"status\":7}}\n", 3, "version 2 of the control protocol"),
        ("{\"version\":1,\"answer\":{\"status\":{\"count\":1}}}\n", 3, "the answer is not understood"),
        ("{\"version\":1,\"answer\":{\"entries\":{\"count\":18446744073709551615}}}\n", 2, "was killed, and"),
        (
            "{\"version\":1,\"answer\":{\"refused\":{\"why\":\"no | \\u001b[2J\\nOK\"}}}\n",
            3,
            "no \\x7c \\u{1b}[2J\\nOK",
        ),
        ("\u{1b}[2J|\n", 3, "the answer is not understood"),
    ] {
        let run_dir = RunDir::new();
        let listener = UnixListener::bind(watcher::control::socket(&run_dir.folder())).unwrap();
        let says = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The request first: what is not read would break the connection.
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            stream.write_all(said.as_bytes()).unwrap();
        });
        let (told, text) = run_dir.status(&["--timeout", "20"]);
        says.join().unwrap();
        assert!(told == Some(code) && text.contains(why), "{why}: {told:?} {text}");
        assert!(text.matches('|').count() == 1 && !text.contains('\u{1b}'), "{text}");
    }
}
