//! Processes that do nothing, as many as are wanted and cheap: each by a name of its own, which is its `argv[0]`.
//!
//! `idlers herd PREFIX COUNT` makes COUNT of them, `PREFIX00000` and so on; it says ready, then their pids in one line.
//! `idlers revive` is what a restart script runs: it notes down whom it brings back, in the file `revived` beside the name that it
//! is told, and starts one by that name. All end when nobody holds the FIFO `life` beside them open for writing any more.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, Stdio},
};

use watcher_tests::script::{say, wait_for_go};

fn main() {
    let words: Vec<_> = env::args_os().collect();
    let word = |at: usize| words.get(at).and_then(|word| word.to_str()).unwrap_or_default();
    match word(1) {
        "herd" => herd(word(2), word(3).parse().expect("usage: idlers herd PREFIX COUNT")),
        "revive" => revive(),
        _ => idle(&words[0]),
    }
}

fn herd(prefix: &str, count: usize) {
    let (start, end) = own_words();
    // SAFETY: nothing but the disposition changes: who ends leaves nothing behind.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let mut pids = Vec::with_capacity(count);
    for number in 0..count {
        let name = format!("{prefix}{number:05}");
        // SAFETY: this process has one thread.
        match unsafe { libc::fork() } {
            0 => {
                assert!(name.len() < end - start, "there is room for the name");
                // SAFETY: the words of the command line are memory of this process, which nobody uses any more.
                let words = unsafe { std::slice::from_raw_parts_mut(start as *mut u8, end - start) };
                words.fill(0);
                words[..name.len()].copy_from_slice(name.as_bytes());
                idle(OsStr::new(&name))
            }
            -1 => panic!("fork failed: {}", std::io::Error::last_os_error()),
            pid => pids.push(pid.to_string()),
        }
    }
    say("ready");
    say(&pids.join(" "));
    wait_for_go();
}

/// Where the words of the command line are: fields 48 and 49.
fn own_words() -> (usize, usize) {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc is mounted");
    let rest = stat.rsplit(") ").next().expect("a name");
    let mut fields = rest.split_whitespace().skip(45).map(|field| field.parse().expect("a number"));
    (fields.next().expect("field 48"), fields.next().expect("field 49"))
}

#[expect(clippy::zombie_processes, reason = "it is there to outlive this one")]
fn revive() {
    let name = env::var_os("PS_PNAME").expect("a restart script is told whom it brings back");
    let own = env::current_exe().expect("/proc is mounted");
    let mut revived = OpenOptions::new().append(true).create(true).open(beside(&name, "revived")).expect("a file");
    revived.write_all(&[name.as_bytes(), b"\n"].concat()).expect("it takes a line");
    let nowhere = [Stdio::null(), Stdio::null(), Stdio::null()];
    let [input, output, errors] = nowhere;
    Command::new(own).arg0(&name).stdin(input).stdout(output).stderr(errors).spawn().expect("it starts");
}

/// Whoever cannot open it has outlived its host already.
fn idle(own: &OsStr) -> ! {
    if let Ok(mut life) = File::open(beside(own, "life")) {
        let _ended = life.read(&mut [0]);
    }
    std::process::exit(0);
}

fn beside(own: &OsStr, name: &str) -> std::path::PathBuf {
    Path::new(own).parent().expect("a folder").join(name)
}
