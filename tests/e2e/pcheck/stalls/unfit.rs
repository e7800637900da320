//! Answers that are none, and processes that cannot be ended.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
};

use watcher_tests::{
    block::Block,
    host::{Host, Service, Tier, lives},
    pcheck::{Pcheck, die_with_the_test},
    program::{built, copy},
    server::{Manner, Server},
    wait::until,
};

use super::{entry, shown, until_told};

pub(super) fn bad_answers(tier: Tier) {
    let host = Host::new();
    let bad = [
        (Manner::Drips, "does not complete its answer in time: "),
        (Manner::Endless, "answers with a header of more than 16384 bytes"),
        (Manner::Foreign, "does not answer in HTTP: it begins with "),
        (Manner::HangsUp, "ends the connection without a whole answer"),
        (Manner::Silent, "does not answer in time"),
    ];
    let bad = bad.map(|(manner, why)| (Server::start(manner), why));
    let slow = Server::start(Manner::Slow(1_000));
    let ports = bad.iter().map(|(server, _)| server.port).chain([slow.port]);
    let entries = ports.map(|port| {
        let name = format!("svc{port}");
        host.install(&name);
        host.start_as(&name, "");
        entry(&host, &name, "", "exit") + "#@ timeout=3\n" + &Block::web(port).to_string()
    });
    let entries = "#@ stall_guard=off\n".to_owned() + &entries.collect::<String>();
    host.rules(&entries);
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    let mut lines = Vec::new();
    for _ in 0..bad.len() {
        lines.extend(pcheck.until("Find Web Server Stall"));
        lines.extend(pcheck.until("failed within"));
    }
    for (server, why) in &bad {
        let is_it = |line: &&String| line.contains(&format!(" port {}: the service {why}", server.port));
        let of_port = |line: &&String| line.contains(&format!(" port {}: ", server.port));
        let told: Vec<_> = lines.iter().filter(of_port).collect();
        assert!(!told.is_empty() && told.iter().all(is_it), "{why}: {lines:#?}");
        let told = shown(told.into_iter().cloned());
        assert!(told.iter().any(|line| line.contains("; 2 checks failed within ")), "{told:#?}");
    }
    until("it was asked twice", || slow.count() >= 2);
    host.stall_chk(bad.len() + 1, "AVAIL");
    lines.extend(pcheck.stop());
    assert!(!lines.iter().any(|line| line.contains(&format!("port {}", slow.port))), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains(&format!("port = {}", slow.port))), "{lines:#?}");
}

/// A pcheck that is nobody, and watches a process of root whose service does not answer; up to the stall.
fn as_nobody(tier: Tier, block: fn(u16) -> Block) -> (Host, Service, Server, Pcheck) {
    const NOBODY: u32 = 65_534;
    let host = Host::new();
    let (svc, server) = (host.svc(), Server::start(Manner::HangsUp));
    fs::set_permissions(host.folder.path(), Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(host.run_dir()).unwrap();
    std::os::unix::fs::chown(host.run_dir(), Some(NOBODY), Some(NOBODY)).unwrap();
    let script = host.script("start.sh", "exit 0");
    // Without a dump file: it could not be written.
    let entries = format!("{svc}:{script}:86400:3:shutdown\n{}", block(server.port));
    host.write("pfile", &format!("{}{entries}", watcher_tests::host::PARAM));
    let service = host.start("");
    // Where the tests were built, nobody may look.
    copy(built("watcher"), host.path("watcher"));
    let mut command = Command::new(host.path("watcher"));
    command.args(["pcheck", "-f", &host.pfile(), "--run-dir", &host.run_dir(), "--log", "stderr"]);
    command.args(["--tier", tier.name()]).env_remove("WATCHER_LOG").current_dir("/").uid(NOBODY).gid(NOBODY);
    die_with_the_test(&mut command);
    let mut pcheck = Pcheck::started(&mut command);
    // It may be told first that not all of a process can be seen.
    let up = pcheck.until(") Up").pop().unwrap();
    assert_eq!(up, format!("({svc} ,pid={}) Up", service.pid));
    let mut lines = until_told(&mut pcheck, "Can not killed");
    // This, too, is told before or after it.
    lines.retain(|line| !line.starts_with("Sockets of watched ports are read in /proc"));
    let (pid, port) = (service.pid, server.port);
    assert_eq!(
        lines,
        [
            format!("Find Web Server Stall: pid = {pid} : port = {port}"),
            format!(
                "Process [{svc},pid={pid}] port {port}: the service ends the connection without a whole answer; 2 checks \
                 failed within SO MANY s"
            ),
            format!("SIGKILL cannot be sent to process {pid}: Operation not permitted (os error 1)"),
            format!("Can not killed Process: pid= {pid}"),
        ]
    );
    (host, service, server, pcheck)
}

pub(super) fn not_ours_to_kill_and_nothing_more(tier: Tier) {
    let (host, service, server, pcheck) = as_nobody(tier, |port| Block::web(port).never_gives_up());
    let entry = host.entry(1);
    let status = [&entry["stall_checks"][0]["status"], &entry["proc_sts"]];
    assert_eq!((status, &entry["monitored"]), ([&"UNAVAIL".into(), &"AVAIL".into()], &true.into()));
    assert_eq!(server.count(), 2, "it is asked no more");
    assert_eq!(pcheck.stop(), [] as [String; 0]);
    assert!(lives(service.pid));
}

pub(super) fn not_ours_to_kill_and_given_up(tier: Tier) {
    let (host, service, _server, pcheck) = as_nobody(tier, Block::web);
    let (lines, code) = pcheck.end();
    assert_eq!((shown(lines), code), (vec![format!("({}) RETRY_OVER:SHUTDOWN", host.svc())], Some(3)));
    assert!(lives(service.pid));
}
