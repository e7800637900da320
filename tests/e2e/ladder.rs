//! A tier fails while it runs: the next takes over, says so, and no death falls between. And: whoever is not watched wakes
//! nobody.

use std::{
    collections::BTreeSet,
    fs,
    io::BufRead as _,
    process::{Command, Stdio},
    thread,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde_json::Value;
use watcher_core::Pid;
use watcher_tests::{
    host::{Host, Tier, connector_is_in_reach, kill, lives, tier_is_wanted},
    pcheck::Pcheck,
    program::{Running, built, watcher},
    tamper::{self, Descriptor},
    victim::Victim,
    wait::until,
};

/// What is broken, of whom, and what is said of it.
type Failure = (Tier, fn(Pid) -> Vec<Descriptor>, &'static [&'static str], Tier);

/// Whichever is needed first. Of the records a part is mapped, and another one as these have been taken.
const TABLE: &str = "the kernel's table of watched processes cannot be read: ";
const RECORDS: &str = "the kernel's records cannot be read: ";

const FAILURES: [Failure; 4] = [
    (Tier::Ebpf, tamper::bpf_links, &["the kernel programs have not told of the death of process "], Tier::Pidfd),
    (Tier::Ebpf, tamper::bpf, &[TABLE, RECORDS], Tier::Pidfd),
    (Tier::Pidfd, tamper::pidfd_sets, &["the pidfds cannot be waited for: "], Tier::Connector),
    (Tier::Connector, tamper::connectors, &["the process connector cannot be read: "], Tier::Poll),
];

fn failures() -> impl Iterator<Item = Failure> {
    // Where not all tiers are, others take over.
    let wanted = |tier: Tier| tier_is_wanted(tier.name());
    let next = move |next| if next == Tier::Connector && !wanted(next) { Tier::Poll } else { next };
    let failures = FAILURES.into_iter().map(move |(tier, what, reasons, after)| (tier, what, reasons, next(after)));
    failures.filter(move |(tier, .., next)| wanted(*tier) && wanted(*next))
}

#[test]
fn a_thousand_that_die_while_a_tier_is_left_are_told_of_once() {
    for (tier, descriptors, reasons, next) in failures() {
        let mut herd = Victim::run(Command::new(built("herd")).arg("1000"));
        let pids: Vec<u32> = herd.next_word().split(' ').map(|pid| pid.parse().unwrap()).collect();
        let mut command = watcher(["watch", "--tier", tier.name(), "--sweep", "1", "--interval", "0.5", "--json"]);
        command.args(pids.iter().map(u32::to_string)).stdin(Stdio::null());
        let mut running = Running::start(&mut command);
        assert_eq!(running.talk(), format!("watcher: watching 1000 processes by tier {}", tier.name()));
        let daemon = Pid::new(running.child.id()).unwrap();
        let (before, rest) = pids.split_at(300);
        let (around, after) = rest.split_at(400);
        let end = |pids: &[u32]| pids.iter().for_each(|pid| kill(Pid::new(*pid).unwrap()));
        end(before);
        // By the tier that is left then.
        let first = running.line();
        let (stdout, stderr) = (&mut running.stdout, &mut running.stderr);
        let (left, lines) = thread::scope(|scope| {
            // Taken all the time: who writes into a full pipe waits.
            let lines = scope.spawn(|| stdout.lines().map(Result::unwrap).collect::<Vec<_>>());
            scope.spawn(|| end(around));
            tamper::replace(daemon, &descriptors(daemon));
            // All others may have died before: nobody notices a failure that concerns nobody.
            let (one, after) = after.split_at(1);
            end(one);
            let mut left = String::new();
            stderr.read_line(&mut left).unwrap();
            end(after);
            (left, lines.join().unwrap())
        });
        let wanted = format!("watcher: Tier {} left: ", tier.name());
        assert!(tells(&left, &wanted, reasons) && leads_to(&left, next), "{left}");
        let (mut told, mut tiers) = (BTreeSet::new(), BTreeSet::new());
        for line in [first].into_iter().chain(lines) {
            let death: Value = serde_json::from_str(&line).unwrap();
            assert!(told.insert(death["pid"].as_u64().unwrap() as u32), "told of twice: {line}");
            tiers.insert(death["tier"].as_str().unwrap().to_owned());
        }
        assert_eq!(told, pids.iter().copied().collect());
        assert_eq!(tiers, [tier, next].into_iter().map(|tier| tier.name().to_owned()).collect());
        assert_eq!(running.end(), Some(0));
    }
}

#[test]
fn a_process_connector_that_falls_silent_is_left() {
    if !tier_is_wanted("connector") {
        return;
    }
    // In no group: it stays open, and nothing ever comes.
    let protocol = Some(rustix::net::netlink::CONNECTOR);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let silent = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol).unwrap();
    let mut victim = Victim::start("vforks");
    let mut command = watcher(["watch", "--tier", "connector", "--sweep", "1", &victim.pid().to_string()]);
    let mut running = Running::start(command.stdin(Stdio::from(silent)));
    assert_eq!(running.talk(), "watcher: watching 1 process by tier connector");
    let daemon = Pid::new(running.child.id()).unwrap();
    tamper::replace(daemon, &tamper::connectors(daemon));
    let left = running.talk();
    let wanted =
        "watcher: Tier connector left: the process connector has not told of the death of a child of ours, process ";
    assert!(left.starts_with(wanted) && leads_to(&left, Tier::Poll), "{left}");
    victim.kill();
    assert!(running.line().starts_with(&format!("{} vforks: killed by SIGKILL", victim.pid())));
}

/// Whether one of these reasons follows what is told first.
fn tells(line: &str, first: &str, reasons: &[&str]) -> bool {
    line.strip_prefix(first).is_some_and(|rest| reasons.iter().any(|reason| rest.starts_with(reason)))
}

/// Which tiers were passed over may follow.
fn leads_to(line: &str, next: Tier) -> bool {
    let (line, _) = line.split_once(" (tier ").unwrap_or((line.trim_end(), ""));
    line.ends_with(&format!("; now tier {}", next.name()))
}

#[test]
fn pcheck_says_that_a_tier_is_left_and_goes_on() {
    for (tier, descriptors, reasons, next) in failures() {
        let host = Host::new();
        let svc = host.svc();
        host.rules(&format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "")));
        let first = host.start("");
        let mut pcheck = Pcheck::started(host.pcheck(tier).args(["--sweep", "1"]));
        pcheck.up(&svc);
        assert_eq!(tier_of(&host), tier.name());
        tamper::replace(pcheck.pid(), &descriptors(pcheck.pid()));
        first.kill();
        let mut lines = pcheck.until("Try to restart");
        lines.extend(pcheck.until(&format!("({svc} ,pid=")));
        let left = lines.iter().find(|line| line.contains(" left: ")).unwrap_or_else(|| panic!("{lines:#?}"));
        assert!(tells(left, &format!("Tier {} left: ", tier.name()), reasons), "{left}");
        assert!(leads_to(left, next), "{left}");
        assert_eq!(tier_of(&host), next.name());
        let second = host.pid_of(1);
        assert!(lives(second));
        // By the new tier now.
        kill(second);
        pcheck.until(&format!("Process [{svc},pid={second}] Down"));
        pcheck.until("Try to restart");
        pcheck.up(&svc);
        assert_eq!(host.entry(1)["restart_count"], 2);
        pcheck.stop();
    }
}

#[test]
fn a_start_that_is_awaited_while_a_tier_is_left_is_not_lost() {
    for (tier, descriptors, _, next) in failures() {
        let host = Host::new();
        let (svc, other, gate) = (host.svc(), host.install("other"), host.gate("gate"));
        // It comes only after the script has ended, when the test says so.
        let late = format!("(read -r _ <{gate}; exec {svc}) >/dev/null 2>&1 </dev/null &");
        let (late, nothing) = (host.script("late.sh", &late), host.script("nothing.sh", "true"));
        let entries = format!("{svc}:{late}:86400:3:exit\n{other}:{nothing}:86400:3:continue");
        // Looks that nothing asks for come further and further apart.
        host.write("pfile", &format!("IPCKEY 0x1\nMONITOR_INTERVAL 60\n{entries}\n"));
        let (first, witness) = (host.start(""), host.start_as("other", ""));
        let mut command = host.pcheck(tier);
        command.args(["--sweep", "1"]).env("WATCHER_LOG", "watcher=debug").env("NO_COLOR", "1").stdin(Stdio::null());
        let mut pcheck = Running::start(&mut command);
        hear(&mut pcheck, &format!("({svc} ,pid="));
        first.kill();
        hear(&mut pcheck, "action=Expect(");
        let daemon = Pid::new(pcheck.child.id()).unwrap();
        tamper::replace(daemon, &descriptors(daemon));
        // Somebody has to be missed for some failures to show.
        witness.kill();
        hear(&mut pcheck, " left: ");
        // From here on the new one tells; who came before is looked for.
        hear(&mut pcheck, "event=StartsUntold");
        hear(&mut pcheck, "event=Listed");
        fs::write(&gate, "\n").unwrap();
        if next != Tier::Poll && connector_is_in_reach() {
            hear(&mut pcheck, "event=Exec {");
        }
        hear(&mut pcheck, &format!("({svc} ,pid="));
    }
}

/// Takes lines up to one that contains this.
fn hear(pcheck: &mut Running, wanted: &str) {
    loop {
        let line = pcheck.talk();
        assert!(!line.is_empty(), "it has ended without {wanted:?}");
        if line.contains(wanted) {
            return;
        }
    }
}

fn tier_of(host: &Host) -> String {
    let ended = host.ask(&["padmin", "--json", "-c", "show param"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stderr));
    report["param"]["tier"].as_str().unwrap().to_owned()
}

#[test]
fn strangers_wake_nobody() {
    const STRANGERS: usize = 300;
    for tier in ["ebpf", "pidfd", "connector"].into_iter().filter(|tier| tier_is_wanted(tier)) {
        let mut victim = Victim::start("vforks");
        let mut running = Running::start(&mut watcher(["watch", "--tier", tier, &victim.pid().to_string()]));
        assert_eq!(running.talk(), format!("watcher: watching 1 process by tier {tier}"));
        let wakes = || {
            let status = fs::read_to_string(format!("/proc/{}/status", running.child.id())).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
            line.trim().parse::<usize>().unwrap()
        };
        // One wakes the process connector, which lets no other through after that.
        assert!(Command::new("true").status().unwrap().success());
        let state = || fs::read_to_string(format!("/proc/{}/stat", running.child.id())).unwrap();
        until("it sleeps again", || state().contains(") S "));
        let before = wakes();
        for _ in 0..STRANGERS {
            assert!(Command::new("true").status().unwrap().success());
        }
        // A hundred threads that end.
        let mut threads = Victim::start("many_threads");
        threads.go();
        threads.wait();
        let woken = wakes() - before;
        assert!(woken < STRANGERS / 10, "{tier}: {woken} times");
        victim.kill();
        assert!(running.line().starts_with(&format!("{} vforks: killed by SIGKILL", victim.pid())));
    }
}
