//! A pcheck that joins a running daemon: to be seen from outside it is a pcheck like any other.

mod alike;
mod attacks;
mod goes_on;
mod stands_alone;

use std::{fs, process::Command};

use watcher_tests::{
    host::{Host, Service, Tier},
    pcheck::{Pcheck, die_with_the_test},
    program::watcher,
    wait::until,
};

/// A host on which a daemon runs that watches nothing by itself.
struct House {
    host: Host,
    tier: Tier,
}

impl House {
    fn new(tier: Tier) -> Self {
        let host = Host::new();
        fs::create_dir(host.path("rules.d")).unwrap();
        Self { host, tier }
    }

    /// The same with a service that runs, whose rule is [`Self::counts`].
    fn serving(tier: Tier, action: &str) -> (Self, Service) {
        let house = Self::new(tier);
        house.host.rules(&house.counts(action));
        let service = house.host.start("");
        (house, service)
    }

    /// It can be joined when this returns.
    fn daemon(&self) -> Pcheck {
        let mut daemon = Pcheck::start(self.host.run("rules.d").args(["--tier", self.tier.name()]));
        daemon.until("No pfile is watched");
        daemon
    }

    /// A pcheck that may join.
    fn pcheck(&self) -> Command {
        self.pcheck_of(&self.host.pfile())
    }

    /// The same for another pfile.
    fn pcheck_of(&self, pfile: &str) -> Command {
        let mut command = watcher(["pcheck", "-f", pfile, "--run-dir", &self.host.run_dir(), "--log", "stderr"]);
        die_with_the_test(&mut command);
        command
    }

    /// It has joined when this returns.
    fn joined(&self, daemon: &mut Pcheck) -> Pcheck {
        let pcheck = Pcheck::started(&mut self.pcheck());
        let line = daemon.until("Watched from now on: ").pop().unwrap();
        assert!(line.contains(&format!("pcheck[{}], which has joined for ", pcheck.pid())), "{line}");
        pcheck
    }

    /// A service that is brought back, and counted each time: `starts` times.
    fn counts(&self, action: &str) -> String {
        let svc = self.host.svc();
        let script =
            self.host.script("counts.sh", &format!("echo x >> ${{H}}starts; {svc} >/dev/null 2>&1 </dev/null &"));
        format!("{svc}:{script}:86400:{action}")
    }

    fn starts(&self) -> usize {
        self.host.read("starts").lines().count()
    }
}

/// A service; a daemon, and a pcheck that has joined it and watches the service.
fn together(tier: Tier, action: &str) -> (House, Service, Pcheck, Pcheck) {
    let (house, service) = House::serving(tier, action);
    let mut daemon = house.daemon();
    let mut pcheck = house.joined(&mut daemon);
    assert_eq!(pcheck.up(&house.host.svc()), service.pid);
    (house, service, daemon, pcheck)
}

/// Whether a process holds any kernel program, or a part of one.
fn has_programs(pcheck: &Pcheck) -> bool {
    let folder = fs::read_dir(format!("/proc/{}/fd", pcheck.pid())).unwrap();
    let mut links = folder.flatten().filter_map(|item| fs::read_link(item.path()).ok());
    links.any(|link| link.to_string_lossy().contains("bpf"))
}

/// Waits until padmin finds nobody who watches.
fn is_unwatched(house: &House) {
    until("nobody watches it", || house.host.padmin("show param").code == Some(2));
}
