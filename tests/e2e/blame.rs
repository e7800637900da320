//! Who is to blame for a death, as `watcher watch` tells it.

use std::process::{self, Command};

use serde_json::{Value, json};
use watcher::sys::{own, proc};
use watcher_core::Pid;
use watcher_tests::{
    program::{Running, built, watcher},
    victim::Victim,
    wait::until,
};

/// `watcher watch` with these arguments, watching.
fn watching(arguments: &[&str], pid: Pid) -> Running {
    let pid = pid.to_string();
    let mut running = Running::start(&mut watcher(["watch"].iter().chain(arguments).chain([&pid.as_str()])));
    let talk = running.talk();
    assert!(talk.starts_with("watcher: watching "), "{talk}");
    running
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

fn send(pid: Pid, signal: i32) {
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::kill(pid.number() as i32, signal) }, 0);
}

fn this_test() -> String {
    proc::facts(own::pid()).unwrap().unwrap().comm
}

#[test]
fn a_line_says_who_killed() {
    let victim = Victim::start("vforks");
    let mut running = watching(&["--tier", "ebpf"], victim.pid());
    send(victim.pid(), libc::SIGKILL);
    let line = running.line();
    let wanted = format!("; SIGKILL sent by {} (pid {}, uid 0) (known ", this_test(), process::id());
    assert!(line.contains(&wanted), "{line}");
}

#[test]
fn a_line_says_who_asked_a_process_to_exit() {
    let victim = Victim::start("handles_signals");
    let mut running = watching(&["--tier", "ebpf"], victim.pid());
    send(victim.pid(), libc::SIGTERM);
    let line = running.line();
    assert!(line.contains(" handles_signals: exited with code 0 after "), "{line}");
    assert!(line.contains(&format!("; SIGTERM sent by {} (pid {}, uid 0)", this_test(), process::id())), "{line}");
}

#[test]
fn json_says_who_killed_where_the_tier_knows() {
    for tier in ["ebpf", "pidfd"] {
        let victim = Victim::start("vforks");
        let mut running = watching(&["--json", "--tier", tier], victim.pid());
        send(victim.pid(), libc::SIGTERM);
        let line = parse(&running.line());
        let told =
            ["cause", "cause_signal", "killer_pid", "killer_uid", "killer_comm"].map(|member| line[member].clone());
        let wanted = match tier {
            "ebpf" => [json!("user"), json!(15), json!(process::id()), json!(0), json!(this_test())],
            _ => [Value::Null, Value::Null, Value::Null, Value::Null, Value::Null],
        };
        assert_eq!(told, wanted, "{tier}: {line}");
    }
}

#[test]
fn json_tells_what_a_process_did_to_itself() {
    let mut victim = Victim::start("segfaults");
    let mut running = watching(&["--json", "--tier", "ebpf"], victim.pid());
    victim.go();
    let line = parse(&running.line());
    assert_eq!(
        (&line["cause"], &line["cause_signal"], &line["killer_pid"]),
        (&json!("fault"), &json!(11), &Value::Null)
    );
}

#[test]
fn inside_a_pid_namespace_killers_have_the_numbers_that_are_seen_there() {
    // The inner shell is process 1 of its namespace, and kills one process; the other is killed from outside.
    let script = r#"
        retry() { for try in $(seq 2000); do "$@" && return; sleep 0.01; done; exit 99; }
        sleep 600 & inner=$!
        sleep 600 & outer=$!
        "$0" watch --tier ebpf --json $inner $outer 2>"$1" & watch=$!
        retry grep -q watching "$1"
        kill -9 $inner
        echo ready
        wait $watch; echo $?
    "#;
    let said = tempfile::NamedTempFile::new().unwrap();
    let arguments = ["--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", script];
    let mut command = Command::new("unshare");
    let mut running = Running::start(command.args(arguments).arg(built("watcher")).arg(said.path()));
    let (first, second) = (running.line(), running.line());
    // Who of the two is faster is open.
    let line = parse(if first.starts_with('{') { &first } else { &second });
    let told = ["cause", "killer_pid", "killer_comm"].map(|member| line[member].clone());
    assert_eq!(told, [json!("user"), json!(1), json!("sh")], "{line}");
    send(only_sleeper_below(running.child.id()), libc::SIGTERM);
    let line = parse(&running.line());
    let told = ["cause", "cause_signal", "killer_pid", "killer_comm"].map(|member| line[member].clone());
    assert_eq!(told, [json!("user"), json!(15), Value::Null, json!(this_test())], "it is not to be seen: {line}");
    assert_eq!(running.line(), "0");
}

/// The living `sleep` among the grandchildren of a process.
fn only_sleeper_below(ancestor: u32) -> Pid {
    let children = |of: u32| -> Vec<u32> {
        let text = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    };
    let sleepers = || -> Vec<Pid> {
        let below = children(ancestor).into_iter().flat_map(children).filter_map(Pid::new);
        let facts = below.filter_map(|pid| proc::facts(pid).unwrap());
        facts.filter(|facts| facts.comm == "sleep" && !facts.leader_zombie).map(|facts| facts.proc.pid).collect()
    };
    // The other one may still be dying.
    until("one sleeps", || sleepers().len() == 1);
    sleepers()[0]
}
