//! What is to be seen of it: the same as of one alone.

use std::process::Command;

use serde_json::Value;
use watcher_tests::{
    host::{Service, Tier, on_each_tier},
    manager::Manager,
    pcheck::{Pcheck, is_published},
    wait::until,
};

use super::{House, has_programs, is_unwatched, together};

/// How a watch is brought to its end.
#[derive(Clone, Copy, Debug)]
enum End {
    Death,
    Padmin,
    Signal(i32),
}

/// Lines without what differs from run to run.
fn alike(house: &House, lines: Vec<String>) -> Vec<String> {
    let folder = house.host.path("");
    let without_numbers = |line: String| {
        let line = line.replace(&folder, "/H/").replace(&format!("tier {}", house.tier.name()), "tier T");
        let words = line.split_inclusive(|c: char| !c.is_ascii_digit());
        words.map(|word| word.trim_start_matches(|c: char| c.is_ascii_digit())).collect::<String>()
    };
    lines.into_iter().filter(|line| is_published(line)).map(without_numbers).collect()
}

/// The lines of a whole life, and its exit code.
fn life(house: &House, command: &mut Command, action: &str, end: End) -> (Vec<String>, Option<i32>) {
    let host = &house.host;
    host.rules(&house.counts(action));
    let service = host.start("");
    let mut pcheck = Pcheck::start(command);
    let mut lines = pcheck.until(" Up");
    match end {
        End::Death => service.kill(),
        End::Padmin => assert_eq!(host.padmin("shutdown").code, Some(0)),
        End::Signal(number) => pcheck.signal(number),
    }
    let (rest, code) = pcheck.end();
    lines.extend(rest);
    assert_eq!(house.starts(), 0, "{lines:#?}");
    service_ends(end, &service);
    is_unwatched(house);
    (alike(house, lines), code)
}

fn service_ends(end: End, service: &Service) {
    if !matches!(end, End::Death) {
        service.kill();
    }
    service.end();
}

#[test]
fn each_end_has_the_same_lines_and_the_same_code() {
    on_each_tier(|tier| {
        for (action, end, code) in [
            ("3:continue", End::Signal(libc::SIGTERM), 0),
            ("3:continue", End::Signal(libc::SIGINT), 0),
            ("3:continue", End::Padmin, 0),
            ("0:exit", End::Death, 4),
            ("0:shutdown", End::Death, 3),
        ] {
            let house = House::new(tier);
            let mut alone = house.pcheck();
            let alone = life(&house, alone.args(["--standalone", "--tier", tier.name()]), action, end);
            let mut daemon = house.daemon();
            let joined = life(&house, &mut house.pcheck(), action, end);
            assert_eq!(joined, alone, "{tier:?} {action} {end:?}");
            assert_eq!(joined.1, Some(code), "{tier:?} {action} {end:?}");
            daemon.until("Watched from now on: ");
            daemon.until("Ended: pcheck[");
            assert_eq!(daemon.stop(), [""; 0]);
        }
    });
}

#[test]
fn it_brings_back_what_died_and_scripts_inherit_from_it() {
    on_each_tier(|tier| {
        let house = House::new(tier);
        let (host, svc) = (&house.host, house.host.svc());
        let tell = "(env; echo UMASK=$(umask); echo PARENT=$PPID; cat /proc/self/cgroup; ulimit -c) > ${H}seen.new; mv ${H}seen.new ${H}seen";
        let script = host.script("start.sh", &format!("{tell}\n{svc} >/dev/null 2>&1 </dev/null &"));
        host.rules(&format!("{svc}:{script}:86400:3:exit"));
        let service = host.start("");
        let mut daemon = house.daemon();
        let mut sh = Command::new("/bin/sh");
        let inner = house.pcheck();
        sh.args(["-c", "umask 0137; ulimit -c 0; exec \"$@\"", "-"]).arg(inner.get_program()).args(inner.get_args());
        watcher_tests::pcheck::die_with_the_test(&mut sh);
        let mut pcheck = Pcheck::started(sh.env("OF_THE_CALLER", "so it is").env_remove("WATCHER_LOG"));
        assert_eq!(pcheck.up(&svc), service.pid);
        daemon.until("Watched from now on: ");
        assert_eq!(has_programs(&daemon), tier == Tier::Ebpf);
        assert!(!has_programs(&pcheck), "one set of kernel programs is enough");
        assert_eq!(host.entry(1)["pid"].as_u64(), Some(u64::from(service.pid.number())));
        service.kill();
        pcheck.expect([format!("Process [{svc},pid={}] Down", service.pid), format!("Try to restart ({svc})")]);
        pcheck.up(&svc);
        let seen = host.read("seen");
        let has = |line: &str| assert!(seen.lines().any(|seen| seen == line), "{line} is missing in {seen}");
        has("OF_THE_CALLER=so it is");
        has("UMASK=0137");
        has(&format!("PARENT={}", pcheck.pid()));
        has(&format!("PS_PID={}", service.pid));
        has("PS_IPCKEY=0x00000001");
        assert!(seen.lines().last().is_some_and(|cores| cores == "0"), "{seen}");
        // Who is to be told to end is told by its pid.
        let list = house.host.ask(&["padmin", "--json", "-c", "show param"]);
        assert_eq!(serde_json::from_str::<Value>(&list.stdout).unwrap()["pid"], pcheck.pid().number());
        pcheck.stop();
        daemon.until("Ended: pcheck[");
        daemon.stop();
    });
}

#[test]
fn signals_reload_and_dump_what_is_its_own() {
    let (house, service, daemon, mut pcheck) = together(Tier::best(), "3:exit");
    let host = &house.host;
    service.kill();
    pcheck.until(" Up");
    let other = host.install("other");
    let of_other = host.start_as("other", "");
    host.rules(&format!("{}\n{other}:{}:86400:3:exit", house.counts("3:exit"), host.script("none.sh", ":")));
    pcheck.signal(libc::SIGHUP);
    pcheck.expect(["Reloaded: 1 unchanged, 0 changed, 1 new, 0 removed".to_owned()]);
    assert_eq!(pcheck.up(&other), of_other.pid);
    assert_eq!(host.entry(1)["restart_count"], 1, "it keeps its state");
    pcheck.signal(libc::SIGUSR1);
    until("the dump is written", || host.read("dump").contains("other"));
    // A look of the daemon for its own pfiles does not end it.
    daemon.signal(libc::SIGHUP);
    host.write("pfile", "nonsense\n");
    assert_eq!(host.padmin("reload").code, Some(3));
    pcheck.until("IPCKEY");
    of_other.kill();
    pcheck.until(&format!("Try to restart ({other})"));
    assert_eq!(pcheck.end_by_term().1, Some(0));
    daemon.stop();
}

#[test]
fn it_is_the_one_whom_systemd_is_told_of() {
    let (house, _service) = House::serving(Tier::best(), "3:exit");
    let host = &house.host;
    let mut daemon = house.daemon();
    let manager = Manager::at(host.path("notify"));
    let mut command = house.pcheck();
    let mut pcheck = Pcheck::started(command.env("NOTIFY_SOCKET", host.path("notify")).env("WATCHDOG_USEC", "100000"));
    daemon.until("Watched from now on: ");
    assert_eq!(manager.news(), "READY=1");
    pcheck.until(" Up");
    assert_eq!(manager.next(), "WATCHDOG=1");
    pcheck.signal(libc::SIGHUP);
    assert!(manager.news().starts_with("RELOADING=1"));
    while manager.news() != "READY=1" {}
    assert_eq!(pcheck.end_by_term().1, Some(0));
    assert_eq!(manager.news(), "STOPPING=1");
    daemon.stop();
}
