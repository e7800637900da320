//! Stalls that are found and acted on.

use std::{collections::BTreeMap, fs};

use serde_json::Value;
use watcher_core::Pid;
use watcher_tests::{
    block::Block,
    host::{Host, Tier, kill, lives, signal},
    pcheck::Pcheck,
    server::{Manner, Server, free_port},
    wait::until,
};

use super::{entry, listens, shown, until_told};

/// What `padmin` shows of the stall checks of the first entry.
fn stall_lines(host: &Host) -> Vec<String> {
    let text = host.padmin("show pent 1").stdout;
    text.lines().filter(|line| line.starts_with("stall_chk")).map(str::to_owned).collect()
}

pub(super) fn a_web_server_that_is_stopped(tier: Tier) {
    let host = Host::new();
    let (svc, port) = (host.svc(), free_port());
    host.gate("gate");
    let again = host.command(&format!("port={port} again"));
    let body = format!("env >${{H}}env\nread -r _ <${{H}}gate\n{again} >/dev/null 2>&1 </dev/null &");
    let script = host.script("start.sh", &body);
    host.rules(&format!("{svc}:{script}:86400:3:exit\n#@ timeout=2\n{}", Block::web(port)));
    let first = host.start(&format!("port={port}"));
    listens(port);
    signal(first.pid, libc::SIGSTOP);
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    assert_eq!(pcheck.up(&svc), first.pid);
    assert_eq!(stall_lines(&host), ["stall_chk (web)      = INIT"], "it has not answered yet");
    signal(first.pid, libc::SIGCONT);
    host.stall_chk(1, "AVAIL");
    assert_eq!(stall_lines(&host), ["stall_chk (web)      = AVAIL"]);

    signal(first.pid, libc::SIGSTOP);
    let lines = until_told(&mut pcheck, "Try to restart");
    assert_eq!(stall_lines(&host), ["stall_chk (web)      = DETECT"]);
    let pid = first.pid;
    assert_eq!(
        lines,
        [
            format!("Process [{svc},pid={pid}] port {port}: the service does not answer in time"),
            format!("Find Web Server Stall: pid = {pid} : port = {port}"),
            format!(
                "Process [{svc},pid={pid}] port {port}: the service does not answer in time; 2 checks failed within \
                 SO MANY s"
            ),
            format!("Killed Process: pid= {pid}"),
            format!("Process [{svc},pid={pid}] Down"),
            format!("Try to restart ({svc})"),
        ]
    );
    assert_eq!(first.end(), Some(libc::SIGKILL));
    fs::write(host.path("gate"), "go on\n").unwrap();
    let second = pcheck.up(&svc);
    assert_ne!(second, pid);
    host.stall_chk(1, "AVAIL");
    let environment = host.read("env");
    let environment: BTreeMap<_, _> = environment.lines().filter_map(|line| line.split_once('=')).collect();
    let told = ["PS_REASON", "PS_RETRY_COUNT", "PS_PID"].map(|name| environment[name]);
    assert_eq!(told, ["stall", "1", &pid.to_string()]);
    let now = host.entry(1);
    assert_eq!(
        (&now["pid"], &now["retry_count"], &now["restart_count"]),
        (&second.number().into(), &1.into(), &1.into())
    );
    assert_eq!(pcheck.stop(), [] as [String; 0]);
    assert!(lives(second));
}

pub(super) fn a_process_that_listens_no_more(tier: Tier) {
    let host = Host::new();
    let (svc, port) = (host.svc(), free_port());
    let words = format!("closes port={port}");
    host.rules(&(entry(&host, "svc", &words, "exit") + &Block::socket(port).to_string()));
    let first = host.start(&words);
    listens(port);
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    let pid = pcheck.up(&svc);
    assert_eq!(pid, first.pid);
    host.stall_chk(1, "AVAIL");
    // Whoever is stopped listens all the same, so this is no way to find that out.
    signal(pid, libc::SIGUSR1);
    let lines = until_told(&mut pcheck, ") Up");
    let fault = "the service lets no connection be made: connection refused";
    let (lines, up) = lines.split_at(lines.len() - 1);
    assert_eq!(
        lines,
        [
            format!("Socket Listener Gone: pid = {pid} : port = {port}"),
            format!("Process [{svc},pid={pid}] port {port}: {fault}"),
            format!("Find Socket Service Stall: pid = {pid} : port = {port}"),
            format!("Process [{svc},pid={pid}] port {port}: {fault}; 2 checks failed within SO MANY s"),
            format!("Killed Process: pid= {pid}"),
            format!("Process [{svc},pid={pid}] Down"),
            format!("Try to restart ({svc})"),
        ]
    );
    host.stall_chk(1, "AVAIL");
    assert_eq!(stall_lines(&host), ["stall_chk (skt)      = AVAIL"]);
    let second = host.pid_of(1);
    assert_eq!(up, [format!("({svc} ,pid={second}) Up")]);
    assert!(second != pid && lives(second));
    assert_eq!(pcheck.stop(), [] as [String; 0]);
}

pub(super) fn one_stall_is_enough(tier: Tier) {
    let host = Host::new();
    let svc = host.svc();
    let other = host.install("other");
    let (server, clock) = (Server::start(Manner::Silent), Server::start(Manner::Answers));
    let entries = [
        entry(&host, "svc", "again", "exit") + "#@ timeout=2\n" + &Block::web(server.port).once().to_string(),
        entry(&host, "other", "", "exit") + &Block::web(clock.port).to_string(),
    ];
    host.rules(&entries.concat());
    let (first, second) = (host.start(""), host.start_as("other", ""));
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    assert_eq!([pcheck.up(&svc), pcheck.up(&other)], [first.pid, second.pid]);
    let lines = until_told(&mut pcheck, "Try to restart");
    // A service that was just started may be late: one failure before it has ever answered is not told.
    let (pid, port) = (first.pid, server.port);
    let fault = "the service does not answer in time";
    let stall = |pid: Pid| {
        [
            format!("Find Web Server Stall: pid = {pid} : port = {port}"),
            format!("Process [{svc},pid={pid}] port {port}: {fault}; 2 checks failed within SO MANY s"),
            format!("Killed Process: pid= {pid}"),
        ]
    };
    let death = |pid: Pid| [format!("Process [{svc},pid={pid}] Down"), format!("Try to restart ({svc})")];
    assert_eq!(lines, [stall(pid).as_slice(), &death(pid)].concat());
    let found = pcheck.last.duration_since(server.arrivals()[0]).as_secs();
    assert!(found >= Block::SHORTEST.into(), "found {found} s after the first check that failed");
    let new = pcheck.up(&svc);

    // Between two checks of the other entry, this one would have been asked, too.
    let before = server.count();
    clock.is_asked(2);
    assert_eq!((server.count(), &host.stall_check(1)["status"]), (before, &"DETECT".into()));
    kill(new);
    pcheck.expect(death(new));
    let newer = pcheck.up(&svc);
    assert_eq!((stall_lines(&host), lives(newer)), (vec!["stall_chk (web)      = DETECT".to_owned()], true));
    assert_eq!(pcheck.stop(), [] as [String; 0]);
    assert_eq!(server.count(), before);
}

pub(super) fn retries_that_are_used_up(tier: Tier) {
    let host = Host::new();
    let svc = host.svc();
    let server = Server::start(Manner::HangsUp);
    let script = host.restarts("start.sh", "again");
    host.rules(&format!("{svc}:{script}:86400:1:exit\n{}", Block::web(server.port)));
    let first = host.start("");
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    assert_eq!(pcheck.up(&svc), first.pid);
    let stalls = until_told(&mut pcheck, "Try to restart");
    assert_eq!(stalls.len(), 5, "{stalls:#?}");
    let second = pcheck.up(&svc);
    let (lines, code) = pcheck.end();
    let (pid, port) = (second, server.port);
    assert_eq!(
        shown(lines),
        [
            format!("Find Web Server Stall: pid = {pid} : port = {port}"),
            format!(
                "Process [{svc},pid={pid}] port {port}: the service ends the connection without a whole answer; 2 checks \
                 failed within SO MANY s"
            ),
            format!("Killed Process: pid= {pid}"),
            format!("Process [{svc},pid={pid}] Down"),
            format!("({svc}) RETRY_OVER:EXIT"),
            format!("({svc}) FATAL"),
        ]
    );
    assert_eq!(code, Some(4));
    until("it has gone", || !lives(second));
}

pub(super) fn two_checks_of_one_entry(tier: Tier) {
    let host = Host::new();
    let (svc, server, dead) = (host.svc(), Server::start(Manner::HangsUp), free_port());
    let blocks = [Block::web(server.port), Block::socket(dead)].map(|block| block.to_string()).concat();
    host.rules(&(entry(&host, "svc", "again", "continue") + &blocks));
    let first = host.start("");
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    assert_eq!(pcheck.up(&svc), first.pid);
    // Each by itself: one may fail for the second time right after the other one's first.
    let mut seen = [Value::Null, Value::Null];
    until("both have failed", || {
        let entry = host.entry(1);
        for (at, seen) in seen.iter_mut().enumerate() {
            let check = &entry["stall_checks"][at];
            if check["failures"] == 1 {
                *seen = check["status"].clone();
            }
        }
        seen.iter().all(|seen| !seen.is_null())
    });
    assert_eq!(seen, ["INIT", "INIT"]);
    let lines = until_told(&mut pcheck, ") Up");
    let count = |text: &str| lines.iter().filter(|line| line.starts_with(text)).count();
    let counts = ["Find ", "Killed Process: ", "Try to restart "].map(count);
    assert_eq!(counts, [1, 1, 1], "{lines:#?}");
    assert_eq!(host.entry(1)["restart_count"], 1);
}

/// The others of its group are ended politely, and all are started in order.
pub(super) fn one_of_a_group(tier: Tier) {
    let host = Host::new();
    let (svc, other) = (host.svc(), host.install("other"));
    let server = Server::start(Manner::HangsUp);
    let entries = [
        entry(&host, "other", "again", "exit:grp_tag=web"),
        entry(&host, "svc", "again", "exit:grp_tag=web") + &Block::web(server.port).to_string(),
    ];
    host.rules(&entries.concat());
    let (second, first) = (host.start(""), host.start_as("other", ""));
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    assert_eq!([pcheck.up(&other), pcheck.up(&svc)], [first.pid, second.pid]);
    let lines = until_told(&mut pcheck, &format!("({svc} ,pid="));
    let (pid, port) = (second.pid, server.port);
    let all = [
        format!("Find Web Server Stall: pid = {pid} : port = {port}"),
        format!(
            "Process [{svc},pid={pid}] port {port}: the service ends the connection without a whole answer; 2 checks \
             failed within SO MANY s"
        ),
        format!("Killed Process: pid= {pid}"),
        format!("Process [{svc},pid={pid}] Down"),
        format!("({svc}) Restart group [web]"),
        format!("Try to restart ({other})"),
        format!("({other} ,pid={}) Up", host.pid_of(1)),
        format!("Try to restart ({svc})"),
        format!("({svc} ,pid={}) Up", host.pid_of(2)),
    ];
    assert_eq!(lines, all);
    assert_eq!([first.end(), second.end()], [Some(libc::SIGTERM), Some(libc::SIGKILL)]);
}
