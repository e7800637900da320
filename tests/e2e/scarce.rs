//! Descriptors that run out, and a `/proc` that goes away, while somebody is watched: said once, tried again, and no death is
//! lost or made up.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use watcher_core::Pid;
use watcher_tests::{
    host::{Host, Tier, tier_is_wanted},
    pcheck::Pcheck,
    program::{Running, built, run, watcher},
    victim::Victim,
    wait::until,
};

/// From now on this process may open descriptors below this number only.
pub(crate) fn allow_descriptors(pid: Pid, below: u64) {
    let limit = libc::rlimit { rlim_cur: below, rlim_max: 4096 };
    // SAFETY: the limit lives, and nothing is written.
    let done =
        unsafe { libc::prlimit(pid.number() as i32, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(done, 0, "it is our child");
}

fn pid_of(running: &Running) -> Pid {
    Pid::new(running.child.id()).unwrap()
}

/// Waits until it has been awake so many times.
fn wakes(pid: Pid, times: u64) {
    let count = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    let before = count();
    until("it has been awake some times", || count() >= before + times);
}

fn cannot_be_looked_at(victim: Pid) -> String {
    format!("Process {victim} cannot be looked at, and counts as alive until it can: ")
}

#[test]
fn a_death_that_cannot_be_seen_for_want_of_descriptors_is_told_when_it_can() {
    if !tier_is_wanted("poll") {
        return;
    }
    let mut victim = Victim::start("vforks");
    let mut running =
        Running::start(&mut watcher(["watch", "--tier", "poll", "--interval", "0.05", &victim.pid().to_string()]));
    assert_eq!(running.talk(), "watcher: watching 1 process by tier poll");
    allow_descriptors(pid_of(&running), 1);
    let said = running.talk();
    let wanted = format!("watcher: {}Too many open files", cannot_be_looked_at(victim.pid()));
    assert!(said.starts_with(&wanted) && said.contains("ulimit -n"), "{said}");
    victim.kill();
    wakes(pid_of(&running), 5);
    allow_descriptors(pid_of(&running), 4096);
    assert!(running.line().starts_with(&format!("{} vforks: killed by SIGKILL", victim.pid())));
    assert_eq!((running.talk().as_str(), running.end()), ("", Some(0)), "it was said once");
}

#[test]
fn pcheck_without_descriptors_says_so_and_restarts_when_it_has_some() {
    if !tier_is_wanted("poll") {
        return;
    }
    let host = Host::new();
    let svc = host.svc();
    host.rules(&format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "")));
    let first = host.start("");
    let mut pcheck = Pcheck::started(&mut host.pcheck(Tier::Poll));
    pcheck.up(&svc);
    allow_descriptors(pcheck.pid(), 1);
    pcheck.until(&cannot_be_looked_at(first.pid));
    first.kill();
    first.end();
    wakes(pcheck.pid(), 2);
    allow_descriptors(pcheck.pid(), 4096);
    pcheck.until(&format!("Process [{svc},pid={}] Down", first.pid));
    pcheck.until("Try to restart");
    pcheck.until(&format!("({svc} ,pid="));
    pcheck.stop();
}

#[test]
fn proc_that_goes_away_kills_nobody_and_when_it_is_back_deaths_are_told() {
    if !tier_is_wanted("poll") {
        return;
    }
    let mut victim = Victim::start("vforks");
    // Whoever is started in the background has another standard input.
    let script = r#"
        "$0" watch --tier poll --interval 0.05 "$1" & watch=$!
        read -r _; mount -t tmpfs none /proc || exit 90
        # A look that is under way keeps it busy for a moment.
        read -r _; for try in $(seq 100); do umount /proc 2>/dev/null && break; sleep 0.01; done
        wait $watch
    "#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(built("watcher")).arg(victim.pid().to_string());
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let mut stdin = running.child.stdin.take().unwrap();
    assert_eq!(running.talk(), "watcher: watching 1 process by tier poll");
    stdin.write_all(b"\n").unwrap();
    let wanted = format!("watcher: {}/proc does not show it any more", cannot_be_looked_at(victim.pid()));
    assert_eq!(running.talk(), wanted);
    victim.kill();
    stdin.write_all(b"\n").unwrap();
    assert!(running.line().starts_with(&format!("{} vforks: killed by SIGKILL", victim.pid())));
    assert_eq!((running.talk().as_str(), running.end()), ("", Some(0)), "it was said once");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_tier_that_fails_when_there_are_no_descriptors_is_left_for_looking_and_no_death_is_lost() {
    use watcher_tests::tamper;
    if !tier_is_wanted("pidfd") {
        return;
    }
    let mut victims = [Victim::start("vforks"), Victim::start("vforks")];
    let pids = victims.each_ref().map(|victim| victim.pid().to_string());
    let mut command = watcher(["watch", "--tier", "pidfd", "--sweep", "5", "--interval", "0.05"]);
    let mut running = Running::start(command.args(&pids).stdin(Stdio::null()));
    assert_eq!(running.talk(), "watcher: watching 2 processes by tier pidfd");
    let daemon = pid_of(&running);
    tamper::replace(daemon, &tamper::pidfd_sets(daemon));
    // Before the next look at all finds out.
    allow_descriptors(daemon, 1);
    let left = running.talk();
    assert!(left.starts_with("watcher: Tier pidfd left: the pidfds cannot be waited for: "), "{left}");
    assert!(left.contains("; now tier poll (tier connector passed over: "), "{left}");
    let said = running.talk();
    assert!(said.contains(" cannot be looked at, and counts as alive until it can: Too many open files"), "{said}");
    victims.iter_mut().for_each(Victim::kill);
    wakes(daemon, 5);
    allow_descriptors(daemon, 4096);
    let mut told = [running.line(), running.line()];
    told.sort();
    let mut wanted = pids.map(|pid| format!("{pid} vforks: killed by SIGKILL"));
    wanted.sort();
    assert!(told.iter().zip(&wanted).all(|(told, wanted)| told.starts_with(wanted)), "{told:?}");
    assert_eq!(running.end(), Some(0));
}

/// In the place of whoever starts watcher, and has left this many descriptors open for it, of 32 that it may have.
fn with_taken(count: u32, arguments: &[&str]) -> Command {
    let script = r#"ulimit -n 32; for ((fd = 3; fd < $1; fd++)); do eval "exec $fd</dev/null"; done; shift; exec "$@""#;
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash", &count.to_string()]).arg(built("watcher")).args(arguments);
    command
}

#[test]
fn where_descriptors_are_too_few_another_tier_takes_over() {
    if !tier_is_wanted("ebpf") {
        return;
    }
    // Some are missed for programs, some for maps.
    for taken in 17..=20 {
        let mut victim = Victim::start("vforks");
        let mut command = with_taken(taken, &["watch", "--interval", "0.05", &victim.pid().to_string()]);
        let mut running = Running::start(&mut command);
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.starts_with("watcher: watching ") || line.is_empty()) {
            said.push(running.talk());
        }
        let passed_over = |tier: &str, why: &str| {
            let line = said.iter().find(|line| line.contains(&format!("tier {tier} passed over: ")));
            assert!(line.is_some_and(|line| line.contains(why)), "{said:#?}");
        };
        let wanted = "the kernel programs need more descriptors than this process may open (ulimit -n, ";
        passed_over("ebpf", wanted);
        passed_over("pidfd", "but only 32 are allowed (ulimit -n, ");
        victim.kill();
        assert!(running.line().starts_with(&format!("{} vforks: killed by SIGKILL", victim.pid())));
        assert_eq!(running.end(), Some(0));
    }
}

#[test]
fn where_hardly_any_descriptor_is_left_there_is_a_sentence() {
    let ended = run(&mut with_taken(28, &["watch", "1"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    // bash may keep one for itself.
    let wanted =
        ["watcher: of 32 open descriptors that are allowed ", " are taken, and 8 more are needed (ulimit -n)\n"];
    assert!(ended.stderr.starts_with(wanted[0]) && ended.stderr.ends_with(wanted[1]), "{}", ended.stderr);
}
