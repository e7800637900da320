//! `padmin`, `watcher events` and `watcher why` on the command line, against an engine that answers from canned views.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod control_support;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{fs::symlink, net::UnixListener, process::CommandExt as _},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use control_support::{Canned, Engine, entry};
use tempfile::TempDir;
use watcher_core::{Order, Wall, pfile::EntryNumber};

const KEY: u32 = 0x1F00_0001;

/// A host: a pfile, and where running pchecks are found.
struct Host {
    folder: TempDir,
}

struct Ran {
    code: Option<i32>,
    out: Vec<u8>,
    err: String,
}

impl Ran {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.out).unwrap()
    }
}

impl Host {
    fn new() -> Self {
        let host = Self { folder: tempfile::tempdir().unwrap() };
        let text =
            format!("IPCKEY {KEY:#010x}\nMSG_CHECK_INTERVAL 1\nSHM_DUMP_FILE {}\n/a:/b:1:1:exit\n", host.path("dump"));
        fs::write(host.path("a.pfile"), text).unwrap();
        host
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn folder_of(&self, key: u32) -> PathBuf {
        let folder = watcher::control::folder(&self.folder.path().join("run"), key);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn canned(&self) -> Canned {
        Canned::new(&self.path("a.pfile"), (0..2).map(entry).collect())
    }

    /// A pcheck for the pfile of this host.
    fn pcheck(&self, canned: Canned) -> Engine {
        Engine::start(tempfile::tempdir().unwrap(), &self.folder_of(KEY), canned)
    }

    fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watcher"));
        command.arg0(name).args(words).args(["--run-dir", &self.path("run")]).env("TZ", "UTC0").stdin(Stdio::null());
        command
    }

    fn run(&self, name: &str, words: &[&str]) -> Ran {
        let output = self.command(name, words).output().unwrap();
        Ran { code: output.status.code(), out: output.stdout, err: String::from_utf8(output.stderr).unwrap() }
    }

    /// `padmin -f PFILE -c …`
    fn padmin(&self, words: &[&str]) -> Ran {
        let pfile = self.path("a.pfile");
        self.run("/opt/HA/PS/bin/padmin", &[&["-f", &pfile, "-c"], words].concat())
    }
}

#[test]
fn entries_are_shown_in_the_layout_of_the_original() {
    let host = Host::new();
    let mut canned = host.canned();
    canned.entries[1].rerun = Some(Wall { unix_ns: 1_318_416_048_000_000_000 });
    let _pcheck = host.pcheck(canned);
    let shown = host.padmin(&["show", "pent"]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    let first = b"\
pname                = /opt/HA/PS/\xff
pid                  = 26206
retry_count          = 0
restart_count        = 0
proc_sts             = AVAIL
stall_chk (web)      = AVAIL
retry_over_act       = continue
rerun_time           = --------
pent_id              = 1
monitor_sts          = on

pname ";
    assert!(shown.out.starts_with(first), "{}", shown.text());
    assert!(shown.text().contains("\nrerun_time           = Wed Oct 12 10:40:48 2011\n"), "{}", shown.text());
    assert_eq!(host.padmin(&["show  pent"]).out, shown.out);
    let second = host.padmin(&["show pent 2"]).text();
    assert!(second.contains("pent_id              = 2\n") && !second.contains("= 1\n"), "{second}");
    let json = host.padmin(&["show", "pent", "--json"]).json();
    assert_eq!(json["entries"][0]["process_hex"], "2f6f70742f48412f50532fff");
    assert_eq!(json["entries"][1]["doing"], "watching");
    let param = host.padmin(&["show", "param"]).text();
    assert_eq!(param, "ipckey               = 0x1F000001\nmsg_check_interval   = 5\nmonitor_interval     = 10\n");
    assert_eq!(host.padmin(&["show", "param", "--json"]).json()["param"]["tier"], "pidfd");
}

#[test]
fn orders_arrive_and_are_noted() {
    let host = Host::new();
    let pcheck = host.pcheck(host.canned());
    let noted = host.padmin(&["stop", "2", "--log", "stderr"]);
    assert_eq!((noted.code, noted.out.as_slice()), (Some(0), b"".as_slice()), "{}", noted.err);
    let (before, message) = noted.err.split_once("]: ").unwrap();
    assert!(before.starts_with("padmin["), "{}", noted.err);
    assert_eq!(message, format!("Command execute. [stop 2] pfile='{}'\n", host.path("a.pfile")));
    assert_eq!(pcheck.orders(), [Order::Pause(Some(EntryNumber::of_index(1)))]);
    let dumped = host.padmin(&["dump", "--log", "stderr"]);
    assert!(dumped.code == Some(0) && dumped.err.contains("]: Command execute. [dump] pfile='"), "{}", dumped.err);
    let unnoted = host.padmin(&["show", "pent", "--log", "stderr"]);
    assert_eq!((unnoted.code, unnoted.err.as_str()), (Some(0), ""));
    let refused = host.padmin(&["start", "7", "--log", "stderr"]);
    assert_eq!(
        (refused.code, refused.err.as_str()),
        (Some(3), "padmin: there is no entry 7: the pfile has entries 1 to 2\n")
    );
    let ended = host.padmin(&["shutdown", "--json", "--log", "stderr"]);
    assert_eq!(ended.json()["command"], "shutdown");
    assert!(ended.err.contains("]: Command execute. [shutdown] pfile='"), "{}", ended.err);
    assert_eq!(host.padmin(&["show pent 3"]).code, Some(2), "it has ended");
}

#[test]
fn a_wrong_command_line_says_what_would_be_right() {
    let host = Host::new();
    let wrong = host.padmin(&["show", "pnet"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.err.contains("did you mean `show pent [N]`?") && wrong.err.contains("`shutdown`"), "{}", wrong.err);
    assert_eq!(host.padmin(&["show", "pent", "2>&1"]).code, Some(1));
    assert_eq!(host.run("padmin", &["-c", "show pent"]).code, Some(1), "no pfile");
    assert_eq!(host.run("padmin", &["-f", "a"]).code, Some(1), "no command");
    assert_eq!(host.run("padmin", &["--nonsense"]).code, Some(1));
    assert_eq!(host.run("watcher", &["padmin", "--nonsense"]).code, Some(1));
    assert_eq!(host.run("watcher", &["events", "--nonsense"]).code, Some(2));
    let negative = host.padmin(&["set", "1", "retry", "-1"]);
    assert_eq!(
        (negative.code, negative.err.as_str()),
        (Some(1), "padmin: `set 1 retry -1`: `-1` is not a number from 0 to 4294967295\n")
    );
    let reserved = host.run("pcheck", &["-w"]);
    assert!(reserved.code == Some(1) && reserved.err.starts_with("pcheck: -w is not supported"), "{}", reserved.err);
    assert!(host.run("pcheck", &[]).err.contains("-f"), "it is wanted all the same");
    let help = host.run("padmin", &["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.text().contains("set [N] grace SECONDS"), "{}", help.text());
    assert_eq!(host.run("padmin", &["--version"]).code, Some(0));
}

#[test]
fn where_no_pcheck_runs_that_is_said() {
    let host = Host::new();
    let none = host.padmin(&["show pent"]);
    assert_eq!(none.code, Some(2));
    assert!(none.err.contains("start it by `pcheck -f "), "{}", none.err);
    // One that was killed leaves its socket.
    drop(UnixListener::bind(host.folder_of(KEY).join("control")).unwrap());
    assert_eq!(host.padmin(&["show pent"]).code, Some(2));
    let missing = host.run("padmin", &["-f", &host.path("none"), "-c", "reload"]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.err.contains("no such file"), "{}", missing.err);
}

#[test]
fn another_pcheck_with_the_same_key_is_not_taken_for_the_one() {
    let host = Host::new();
    let pcheck = host.pcheck(host.canned());
    fs::copy(host.path("a.pfile"), host.path("copy")).unwrap();
    let other = host.run("padmin", &["-f", &host.path("copy"), "-c", "shutdown"]);
    assert_eq!(other.code, Some(2));
    assert!(other.err.contains("has its IPCKEY 0x1F000001, but watches for"), "{}", other.err);
    assert_eq!(pcheck.orders(), []);
}

#[test]
fn a_pfile_that_was_broken_rekeyed_linked_or_deleted_still_leads_to_its_pcheck() {
    let host = Host::new();
    let _pcheck = host.pcheck(host.canned());
    let code = |path: &str| host.run("padmin", &["-f", path, "-c", "show", "pent"]).code;
    let pfile = host.path("a.pfile");
    symlink(&pfile, host.path("link")).unwrap();
    assert_eq!(code(&host.path("link")), Some(0));
    for text in ["IPCKEY 0x2\n/a:/b:1:1:exit\n", "nonsense"] {
        fs::write(&pfile, text).unwrap();
        assert_eq!((code(&pfile), code(&host.path("link"))), (Some(0), Some(0)), "{text}");
    }
    fs::remove_file(&pfile).unwrap();
    assert_eq!(code(&pfile), Some(0));
    let mut relative = host.command("padmin", &["-f", "./a.pfile", "-c", "show", "pent"]);
    assert_eq!(relative.current_dir(host.folder.path()).output().unwrap().status.code(), Some(0));
}

#[test]
fn a_pcheck_that_does_not_answer_is_not_waited_for_long() {
    let host = Host::new();
    let pcheck = host.pcheck(Canned { mute: true, ..host.canned() });
    let begun = Instant::now();
    let late = host.padmin(&["reload", "--log", "stderr"]);
    assert_eq!(late.code, Some(4), "{}", late.err);
    assert!(late.err.contains("has not answered within 6 s") && !late.err.contains("execute"), "{}", late.err);
    assert!((Duration::from_secs(6)..Duration::from_secs(60)).contains(&begun.elapsed()));
    drop(pcheck);
}

#[test]
fn one_that_does_not_answer_hides_no_other() {
    let host = Host::new();
    let _stopped = UnixListener::bind(host.folder_of(0).join("control")).unwrap();
    let _pcheck = host.pcheck(host.canned());
    fs::write(host.path("a.pfile"), "nonsense").unwrap();
    assert_eq!(host.padmin(&["show pent"]).code, Some(0));
    let unknown = host.run("padmin", &["-f", &host.path("other"), "-c", "show pent"]);
    assert_eq!(unknown.code, Some(4));
    assert!(unknown.err.contains("one does not say what it watches for"), "{}", unknown.err);
    let list = host.run("padmin", &["-l"]);
    assert!(list.text().contains("a.pfile") && list.err.contains("has not answered within 2 s"), "{}", list.err);
    assert_eq!(list.code, Some(4));
}

#[test]
fn a_pcheck_that_is_there_and_says_nothing_is_not_said_to_be_missing() {
    let host = Host::new();
    let stopped = UnixListener::bind(host.folder_of(0).join("control")).unwrap();
    for words in [&["-l"][..], &["-l", "--json"]] {
        let list = host.run("padmin", words);
        assert_eq!(list.code, Some(4), "{}", list.err);
        assert!(list.err.contains("has not answered") && !list.err.contains("no pcheck is found"), "{}", list.err);
    }
    // Whoever is not heard out is refused.
    std::thread::spawn(move || {
        while let Ok((mut client, _)) = stopped.accept() {
            BufReader::new(&client).read_line(&mut String::new()).unwrap();
            let refusal = "{\"version\":1,\"answer\":{\"refused\":{\"why\":\"too many\"}}}\n";
            let _gone = std::io::Write::write_all(&mut client, refusal.as_bytes());
        }
    });
    let refused = host.run("padmin", &["-l"]);
    assert!(refused.code == Some(3) && refused.err.ends_with(": too many\n"), "{}", refused.err);
}

#[test]
fn running_pchecks_are_listed() {
    let host = Host::new();
    let nobody = host.run("padmin", &["-l"]);
    assert_eq!((nobody.code, nobody.out.as_slice()), (Some(0), b"".as_slice()));
    let _one = host.pcheck(host.canned());
    let _other = Engine::start(tempfile::tempdir().unwrap(), &host.folder_of(2), Canned::new("/b.pfile", vec![]));
    drop(UnixListener::bind(host.folder_of(3).join("control")).unwrap());
    let list = host.run("padmin", &["-l"]);
    let text = list.text();
    assert_eq!((list.code, text.lines().count(), list.err.as_str()), (Some(0), 3, ""), "{text}");
    assert!(text.contains(&format!("0x1F000001       2 pidfd     {}\n", host.path("a.pfile"))), "{text}");
    let json = host.run("watcher", &["padmin", "-l", "--json"]).json();
    assert_eq!(json["pchecks"].as_array().unwrap().len(), 2);
    assert_eq!(host.run("padmin", &["-f", "any", "-c", "list"]).text(), text);
}

#[test]
fn events_are_streamed_until_pcheck_ends() {
    let host = Host::new();
    let pcheck = host.pcheck(host.canned());
    let pfile = host.path("a.pfile");
    let past = host.run("watcher", &["events", "-f", &pfile, "--no-follow", "--last", "2"]);
    assert_eq!((past.code, past.text().as_str()), (Some(0), "{\"event\":\"old\"}\n{\"event\":\"old\"}\n"));
    let mut follower = host.command("watcher", &["events", "-f", &pfile, "--last", "1"]);
    let mut follower = follower.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "{\"event\":\"old\"}");
    pcheck.publish("{\"event\":\"up\"}", 1);
    assert_eq!(lines.next().unwrap().unwrap(), "{\"event\":\"up\"}");
    drop(pcheck);
    assert!(lines.next().is_none());
    let output = follower.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stderr).unwrap().contains("has ended"));
    assert_eq!(host.run("watcher", &["events", "-f", &pfile]).code, Some(1), "there is none any more");
}

#[test]
fn a_follower_of_events_ends_by_a_signal_or_with_its_reader() {
    let host = Host::new();
    let pcheck = host.pcheck(host.canned());
    let pfile = host.path("a.pfile");
    let follow = || {
        let mut follower = host.command("watcher", &["events", "-f", &pfile]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(follower.stdout.take().unwrap());
        lines.read_line(&mut String::new()).unwrap();
        (follower, lines)
    };
    let (mut follower, _lines) = follow();
    let pid = rustix::process::Pid::from_raw(follower.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(follower.wait().unwrap().code(), Some(130));
    let (mut follower, lines) = follow();
    drop(lines);
    // A child that another test makes at this moment has that end of the pipe, too, until it runs its program.
    let ended = (0..3_000).find_map(|_| {
        pcheck.publish("{\"event\":\"up\"}", 1);
        std::thread::sleep(std::time::Duration::from_millis(10));
        follower.try_wait().unwrap()
    });
    assert_eq!(ended.expect("it ends").code(), Some(141));
}

#[test]
fn why_asks_pcheck_and_reads_the_dump_where_none_runs() {
    let host = Host::new();
    let pfile = host.path("a.pfile");
    let story = [
        r#"{"event":"down","entry":2,"process":"/a","pid":7,"unix_time":1318416048.0}"#,
        r#"{"event":"cause","entry":2,"process":"/a","pid":7,"cause":"was killed by SIGKILL"}"#,
    ];
    let told = "entry 2 (/a): process 7 was killed by SIGKILL, Wed Oct 12 10:40:48 2011; not back yet.\n";
    let why = |words: &[&str]| host.run("watcher", &[&["why", "-f", &pfile], words].concat());
    let nothing = why(&[]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.err.contains("no pcheck watches for") && nothing.err.contains("cannot be read"), "{}", nothing.err);
    {
        let lines = story.iter().map(|line| (*line).into()).collect();
        let _pcheck = host.pcheck(Canned { lines, ..host.canned() });
        let live = why(&[]);
        assert_eq!((live.code, live.text().as_str(), live.err.as_str()), (Some(0), told, ""));
    }
    let header = r#"{"line":"header","unix_time":1318416050.0}"#;
    fs::write(host.path("dump"), format!("{header}\n{}\n", story.join("\n"))).unwrap();
    let left = why(&["2"]);
    assert_eq!((left.code, left.text().as_str()), (Some(0), told));
    assert!(left.err.contains("written Wed Oct 12 10:40:50 2011"), "{}", left.err);
    assert_eq!(why(&["1"]).text(), "");
    let json = why(&["--json"]).json();
    assert_eq!(json["entries"][0]["deaths"][0]["pid"], 7);
    assert_eq!(json["source"], "dump");
}

#[test]
#[ignore = "a measurement, for `cargo test --release -- --ignored --nocapture`"]
#[expect(clippy::print_stderr, reason = "it is run to see this")]
fn how_long_an_answer_takes() {
    for entries in [1, 10_000] {
        let host = Host::new();
        let canned = Canned::new(&host.path("a.pfile"), (0..entries).map(entry).collect());
        let _pcheck = host.pcheck(canned);
        let mut times: Vec<_> = (0..200)
            .map(|_| {
                let begun = Instant::now();
                assert_eq!(host.padmin(&["show pent"]).code, Some(0));
                begun.elapsed()
            })
            .collect();
        times.sort();
        eprintln!("{entries} entries: median {:?}, 198th of 200 {:?}, worst {:?}", times[100], times[197], times[199]);
    }
}
