//! Most services fail at once: it is rather the host, and nobody is ended, unless the file says otherwise.

use watcher_tests::{
    block::Block,
    host::{Host, Tier, lives},
    pcheck::Pcheck,
    server::{Manner, Server},
    wait::until,
};

use super::entry;

const ALL: usize = 8;
const FAILING: usize = 6;

/// So many entries, each with a server of its own, all of them up and answering.
struct Fleet {
    host: Host,
    servers: Vec<Server>,
    pcheck: Pcheck,
}

impl Fleet {
    fn start(tier: Tier, guard: &str) -> Self {
        let host = Host::new();
        let servers: Vec<_> = (0..ALL).map(|_| Server::start(Manner::Answers)).collect();
        let names: Vec<_> = (1..=ALL).map(|number| format!("svc{number}")).collect();
        let entries = names.iter().zip(&servers).map(|(name, server)| {
            host.install(name);
            entry(&host, name, "", "exit") + "#@ timeout=2\n" + &Block::web(server.port).to_string()
        });
        host.rules(&(guard.to_owned() + &entries.collect::<String>()));
        for name in &names {
            host.start_as(name, "");
        }
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        for name in &names {
            pcheck.up(&host.path(name));
        }
        (1..=ALL).for_each(|number| host.stall_chk(number, "AVAIL"));
        servers.iter().take(FAILING).for_each(|server| server.now(Manner::Silent));
        Self { host, servers, pcheck }
    }
}

pub(super) fn most_fail_together(tier: Tier) {
    let Fleet { host, servers, mut pcheck } = Fleet::start(tier, "");
    let before: Vec<_> = (1..=ALL).map(|number| host.pid_of(number)).collect();
    let held = format!(
        "{FAILING} of {ALL} services do not answer: no stall is acted on while so many fail together (stall_guard)"
    );
    let mut lines = pcheck.until(&held);
    until("each would be a stall", || {
        (1..=FAILING).all(|number| host.stall_check(number)["failures"].as_u64() >= Some(2))
    });
    // Enough of them answer again, and it ends; nobody was ended.
    servers.iter().for_each(|server| server.now(Manner::Answers));
    (1..=ALL).for_each(|number| until("it answers", || host.stall_check(number)["failures"] == 0));
    let after: Vec<_> = (1..=ALL).map(|number| host.pid_of(number)).collect();
    assert_eq!(before, after);
    lines.extend(pcheck.stop());
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    let counts = [&held, "Stalls are acted on again", "does not answer in time", "Find ", "Down"].map(count);
    assert_eq!(counts, [1, 1, FAILING, 0, 0], "{lines:#?}");
    assert!(after.iter().all(|pid| lives(*pid)));
}

pub(super) fn most_fail_together_and_nothing_is_held(tier: Tier) {
    let Fleet { host, servers: _servers, mut pcheck } = Fleet::start(tier, "#@ stall_guard=off\n");
    let before: Vec<_> = (1..=ALL).map(|number| host.pid_of(number)).collect();
    let lines: Vec<_> = (0..FAILING).flat_map(|_| pcheck.until(") Up")).collect();
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    let counts = ["Find ", "Killed Process", "Down", "Try to restart", "stall_guard"].map(count);
    assert_eq!(counts, [FAILING, FAILING, FAILING, FAILING, 0], "{lines:#?}");
    let is_new = |number: usize| host.pid_of(number) != before[number - 1];
    let new: Vec<_> = (1..=ALL).map(is_new).collect();
    assert_eq!(new, [[true; FAILING].as_slice(), &[false; ALL - FAILING]].concat());
}
