//! A pcheck that joins a running daemon: to be seen from outside it is a pcheck like any other.

mod alike;
mod attacks;
mod goes_on;
mod stands_alone;

use std::{fs, process::Command};

use watcher_tests::{
    host::{Host, Tier},
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

    /// It can be joined when this returns.
    fn daemon(&self) -> Pcheck {
        let mut command = watcher(["run", "-d", &self.host.path("rules.d"), "--run-dir", &self.host.run_dir()]);
        command.args(["--log", "stderr", "--tier", self.tier.name()]);
        die_with_the_test(&mut command);
        let mut daemon = Pcheck::start(&mut command);
        daemon.until("No pfile is watched");
        daemon
    }

    /// A pcheck that may join.
    fn pcheck(&self) -> Command {
        let mut command = watcher(["pcheck", "-f", &self.host.pfile(), "--run-dir", &self.host.run_dir()]);
        command.args(["--log", "stderr"]);
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

/// Whether a process holds any kernel program, or a part of one.
fn has_programs(pcheck: &Pcheck) -> bool {
    let folder = fs::read_dir(format!("/proc/{}/fd", pcheck.pid())).unwrap();
    let mut links = folder.flatten().filter_map(|item| fs::read_link(item.path()).ok());
    links.any(|link| link.to_string_lossy().contains("bpf"))
}

/// Waits until the daemon's log says so.
fn is_unwatched(house: &House) {
    until("nobody watches it", || house.host.padmin("show param").code == Some(2));
}
