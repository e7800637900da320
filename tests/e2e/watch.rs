//! `watcher watch`, on every tier that it has.

use std::{
    collections::BTreeSet,
    io::Write as _,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use watcher_core::Pid;
use watcher_tests::{
    host::tier_is_wanted,
    program::{Running, built, copy, run, watcher},
    victim::Victim,
    wait::until,
};

const TIERS: [&str; 4] = ["ebpf", "pidfd", "connector", "poll"];

fn watch(tier: &str, arguments: &[&str]) -> Command {
    watcher(["watch", "--tier", tier, "--interval", "0.05"].iter().chain(arguments))
}

/// Starts watching, and waits until it does.
fn watching(command: &mut Command) -> Running {
    let mut running = Running::start(command);
    let talk = running.talk();
    assert!(talk.starts_with("watcher: watching "), "{talk}");
    running
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

#[test]
fn a_killed_process_is_told_of_on_every_tier() {
    for tier in TIERS.into_iter().filter(|tier| tier_is_wanted(tier)) {
        let mut victim = Victim::start("vforks");
        let pid = victim.pid().to_string();
        let mut running = watching(&mut watch(tier, &[&pid]));
        victim.kill();
        // Not reaped yet: a zombie is dead.
        let line = running.line();
        assert!(line.starts_with(&format!("{pid} vforks: killed by SIGKILL after ")), "{tier}: {line}");
        assert_eq!(line.contains("(known "), tier == "ebpf", "{tier}: {line}");
        assert_eq!((running.line().as_str(), running.end()), ("", Some(0)), "{tier}");
    }
}

#[test]
fn json_tells_exit_codes_and_signals() {
    for tier in TIERS.into_iter().filter(|tier| tier_is_wanted(tier)) {
        let mut exits = Victim::start("exits_from_thread");
        let mut killed = Victim::start("vforks");
        let pids = [exits.pid().to_string(), killed.pid().to_string()];
        let mut running = watching(&mut watch(tier, &["--json", &pids[0], &pids[1]]));
        exits.go();
        let line = json(&running.line());
        assert_eq!(line["event"], "death");
        assert_eq!(line["pid"], exits.pid().number());
        assert_eq!(line["comm"], "exits_from_thre");
        assert_eq!((&line["exit_code"], &line["signal"]), (&Value::from(9), &Value::Null), "{tier}: {line}");
        assert_eq!(line["tier"], tier);
        assert_eq!(line["latency_us"].is_f64(), tier == "ebpf", "{tier}: {line}");
        let uptime = line["uptime_s"].as_f64().unwrap();
        assert!((0.0..60.0).contains(&uptime), "{uptime}");
        killed.kill();
        let line = json(&running.line());
        assert_eq!((&line["exit_code"], &line["signal"]), (&Value::Null, &Value::from(9)), "{tier}: {line}");
        assert_eq!((&line["signal_name"], &line["core_dumped"]), (&Value::from("SIGKILL"), &Value::from(false)));
        assert_eq!(running.end(), Some(0));
    }
}

#[test]
fn a_leader_that_exits_first_is_no_death_on_any_tier() {
    for tier in TIERS.into_iter().filter(|tier| tier_is_wanted(tier)) {
        let mut victim = Victim::start("leader_exits_first");
        let mut witness = Victim::start("vforks");
        let pids = [victim.pid().to_string(), witness.pid().to_string()];
        let mut running = watching(&mut watch(tier, &[&pids[0], &pids[1]]));
        victim.go();
        victim.expect("follower");
        witness.kill();
        let line = running.line();
        assert!(line.starts_with(&pids[1]), "{tier}: the leader's end came as a death: {line}");
        victim.go();
        let line = running.line();
        assert!(line.starts_with(&format!("{} leader_exits_fi: ", pids[0])), "{tier}: {line}");
        assert_eq!(running.end(), Some(0));
    }
}

#[test]
fn a_process_that_dies_while_the_watch_begins_is_not_missed() {
    // Dead before, dying during, or dying after the kernel programs know it: whatever the race gives, it is told once.
    for _ in 0..30 {
        let mut victim = Victim::start("many_threads");
        let pid = victim.pid().to_string();
        let mut running = Running::start(&mut watch("ebpf", &["--ignore-missing", "--quiet", &pid]));
        victim.kill();
        let line = running.line();
        assert!(line.is_empty() || line.starts_with(&pid), "{line}");
        assert_eq!((running.line().as_str(), running.end()), ("", Some(0)));
    }
}

#[test]
fn thousands_of_pids_from_standard_input() {
    let mut herd = Victim::run(Command::new(built("herd")).arg("3000"));
    let pids = herd.next_word();
    for tier in ["ebpf", "connector", "pidfd"].into_iter().filter(|tier| tier_is_wanted(tier)) {
        let mut running = Running::start(watch(tier, &["--json", "-"]).stdin(Stdio::piped()));
        running.child.stdin.take().unwrap().write_all(pids.as_bytes()).unwrap();
        assert_eq!(running.talk(), format!("watcher: watching 3000 processes by tier {tier}"));
        if tier == "pidfd" {
            herd.kill();
            assert_eq!(deaths(&mut running), numbers(&pids));
            assert_eq!(running.end(), Some(0));
        } else {
            interrupt(&running);
            assert_eq!(running.talk(), "watcher: stopped by SIGINT; 3000 processes not gone yet");
            assert_eq!(running.end(), Some(130));
        }
    }
}

#[test]
fn ten_thousand_on_one_command_line_killed_as_fast_as_a_loop_can() {
    let mut herd = Victim::run(Command::new(built("herd")).arg("10000"));
    let pids = herd.next_word();
    let arguments: Vec<_> = ["--json"].into_iter().chain(pids.split(' ')).collect();
    let mut running = watching(&mut watch("ebpf", &arguments));
    for pid in pids.split(' ') {
        kill(pid.parse().unwrap(), libc::SIGKILL);
    }
    assert_eq!(deaths(&mut running), numbers(&pids));
    assert_eq!(running.end(), Some(0));
}

/// The pids of all deaths that are told, each once.
fn deaths(running: &mut Running) -> BTreeSet<u64> {
    let mut told = BTreeSet::new();
    loop {
        let line = running.line();
        if line.is_empty() {
            return told;
        }
        let pid = json(&line)["pid"].as_u64().unwrap();
        assert!(told.insert(pid), "{pid} is told of twice");
    }
}

fn numbers(pids: &str) -> BTreeSet<u64> {
    pids.split(' ').map(|pid| pid.parse().unwrap()).collect()
}

fn kill(pid: i32, signal: i32) {
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

fn interrupt(running: &Running) {
    kill(running.child.id() as i32, libc::SIGINT);
}

#[test]
fn ctrl_c_ends_it_cleanly() {
    let signals = [(libc::SIGHUP, "SIGHUP", 129), (libc::SIGINT, "SIGINT", 130), (libc::SIGTERM, "SIGTERM", 143)];
    for (signal, name, code) in signals {
        let victim = Victim::start("vforks");
        let mut running = watching(&mut watch("ebpf", &[&victim.pid().to_string()]));
        kill(running.child.id() as i32, signal);
        assert_eq!(running.talk(), format!("watcher: stopped by {name}; 1 process not gone yet"));
        assert_eq!((running.line().as_str(), running.end()), ("", Some(code)));
    }
}

#[test]
fn what_cannot_be_watched_is_a_sentence_and_nothing_is_watched() {
    let mut zombie = Victim::start("vforks");
    zombie.kill();
    until("it is a zombie", || watcher::sys::proc::facts(zombie.pid()).unwrap().unwrap().leader_zombie);
    let mut gone = Victim::start("vforks");
    gone.kill();
    gone.wait();
    let threads = Victim::start("many_threads");
    let thread = a_thread_of(threads.pid());
    let ended = run(&mut watcher(["watch", &zombie.pid().to_string(), &gone.pid().to_string(), &thread.to_string()]));
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stdout, "");
    let parent = std::process::id();
    let wanted = format!(
        "watcher: process {zombie} (vforks) is dead already: a zombie that its parent {parent} has not reaped\n\
         watcher: there is no process {gone}\n\
         watcher: {thread} is not a process but a thread of process {process}; watch that instead\n\
         watcher: nothing is watched; --ignore-missing goes on without those that are not there\n",
        zombie = zombie.pid(),
        gone = gone.pid(),
        process = threads.pid(),
    );
    assert_eq!(ended.stderr, wanted);
}

fn a_thread_of(pid: Pid) -> Pid {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let numbers = threads.map(|thread| thread.unwrap().file_name().to_str().unwrap().parse().unwrap());
    numbers.filter_map(Pid::new).find(|tid| *tid != pid).unwrap()
}

#[test]
fn missing_processes_can_be_ignored() {
    let mut gone = Victim::start("vforks");
    gone.kill();
    gone.wait();
    let ended = run(&mut watcher(["watch", "--ignore-missing", &gone.pid().to_string()]));
    let said = "watcher: nothing to watch: none of the processes is there\n";
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", said));
    let ended = run(&mut watcher(["watch", "-"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert_eq!(ended.stderr, "watcher: no process number came on standard input\n");
}

#[test]
fn lines_that_nobody_reads_or_that_cannot_be_written_are_not_taken_for_success() {
    for (redirection, code, said) in [("| true", 141, ""), (">/dev/full", 1, "standard output cannot be written: ")] {
        let mut victims = [Victim::start("vforks"), Victim::start("vforks")];
        let script = format!(r#"set -o pipefail; "$0" watch "$@" {redirection}"#);
        let mut command = Command::new("bash");
        command.args(["-c", &script]).arg(built("watcher")).args(victims.iter().map(|victim| victim.pid().to_string()));
        let mut running = watching(&mut command);
        victims[0].kill();
        assert_eq!(running.end(), Some(code), "{redirection}");
        assert!(running.talk().contains(said), "{redirection}");
    }
}

#[test]
fn what_is_no_number_is_a_usage_error() {
    for word in ["0", "-1", "abc", "99999999999", ""] {
        let ended = run(&mut watcher(["watch", "--", word]));
        assert_eq!(ended.code, Some(2), "{word}");
        assert_eq!(ended.stderr, format!("watcher: {word:?} is not a process number; see `watcher watch --help`\n"));
    }
}

#[test]
fn inside_a_pid_namespace_its_own_numbers_are_used() {
    // The inner shell watches a process of its own namespace, and one of a namespace below it.
    let script = r#"
        sleep 600 & own=$!
        unshare --pid --fork --kill-child -- sleep 600 & below=$!
        retry() { for try in $(seq 2000); do "$@" && return; sleep 0.01; done; exit 99; }
        forked() { child=$(cat /proc/$below/task/$below/children) && [ -n "$child" ]; }
        retry forked
        "$0" watch --tier ebpf --json $own $child 2>"$1" & watch=$!
        retry grep -q watching "$1"
        kill -9 $own $child
        echo $own $child
        wait $watch; echo $?
    "#;
    let said = tempfile::NamedTempFile::new().unwrap();
    let arguments = ["--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", script];
    let mut command = Command::new("unshare");
    let mut running = Running::start(command.args(arguments).arg(built("watcher")).arg(said.path()));
    let mut lines: Vec<_> = std::iter::from_fn(|| Some(running.line()).filter(|line| !line.is_empty())).collect();
    assert_eq!(lines.pop().as_deref(), Some("0"), "{lines:?} {}", running.talk());
    let (told, pids): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.starts_with('{'));
    let told: BTreeSet<_> = told.iter().map(|line| json(line)["pid"].as_u64().unwrap()).collect();
    assert_eq!(told, numbers(&pids.concat()));
    assert_eq!(told.len(), 2);
}

#[test]
fn inside_a_time_namespace_start_times_and_latencies_are_its_own() {
    if !Path::new("/proc/self/ns/time").exists() {
        println!("skipped: this kernel has no time namespaces (Linux 5.6, CONFIG_TIME_NS)");
        return;
    }
    let script = r#"
        sleep 600 >/dev/null & victim=$!
        retry() { for try in $(seq 2000); do "$@" && return; sleep 0.01; done; cat "$1"; kill -9 $victim; exit 99; }
        "$0" watch --tier "$2" --interval 0.05 --json $victim 2>"$1" & watch=$!
        retry grep -q watching "$1"
        kill -9 $victim
        wait $watch; echo $?
    "#;
    for tier in TIERS.into_iter().filter(|tier| tier_is_wanted(tier)) {
        let said = tempfile::NamedTempFile::new().unwrap();
        let arguments = ["--time", "--monotonic", "5000", "--boottime", "86400", "--fork", "--", "sh", "-c", script];
        let mut command = Command::new("unshare");
        let mut running = Running::start(command.args(arguments).arg(built("watcher")).arg(said.path()).arg(tier));
        let line = json(&running.line());
        let uptime = line["uptime_s"].as_f64().unwrap();
        assert!((0.0..600.0).contains(&uptime), "{line}");
        assert_eq!(line["latency_us"].is_f64(), tier == "ebpf", "{line}");
        let latency = line["latency_us"].as_f64().unwrap_or(1.0);
        assert!((0.1..10_000_000.0).contains(&latency), "{line}");
        assert_eq!(running.line(), "0");
    }
}

#[test]
fn a_hostile_name_forges_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = folder.path().join("a) Z\n1 b:\u{1b}[2J");
    copy("/bin/sleep", &hostile);
    for tier in TIERS.into_iter().filter(|tier| tier_is_wanted(tier)) {
        let mut victim = Command::new(&hostile).arg("600").spawn().unwrap();
        let mut running = watching(&mut watch(tier, &[&victim.id().to_string()]));
        victim.kill().unwrap();
        let line = running.line();
        assert!(line.contains(r" a) Z\n1 b:\u{1b}[2J: killed by SIGKILL after "), "{tier}: {line}");
        assert_eq!((running.line().as_str(), running.end()), ("", Some(0)), "{tier}");
        victim.wait().unwrap();
    }
}

#[test]
fn a_second_signal_ends_it_even_while_nobody_takes_its_lines() {
    let mut herd = Victim::run(Command::new(built("herd")).arg("3000"));
    let pids = herd.next_word();
    let arguments: Vec<_> = ["--json"].into_iter().chain(pids.split(' ')).collect();
    let mut running = watching(&mut watch("ebpf", &arguments));
    herd.kill();
    // Not `wchan`, which Linux before 5.16 leaves empty where it is built without frame pointers.
    let waits_at = format!("/proc/{}/stack", running.child.id());
    until("its lines fill the pipe", || std::fs::read_to_string(&waits_at).unwrap().contains("pipe_write"));
    interrupt(&running);
    until("the second one works", || {
        interrupt(&running);
        running.child.try_wait().unwrap().is_some()
    });
    assert_eq!(running.child.wait().unwrap().signal(), Some(libc::SIGINT));
}
