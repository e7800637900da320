//! nginx: a reload and a worker's end are no faults, a master that was killed is replaced, and its binary can be upgraded
//! while the entry is suspended.

use std::{fs, net::TcpStream, os::unix::fs::symlink, process::Command};

use rustix::process::Signal;
use watcher::sys::sock_diag::SockDiag;
use watcher_core::Pid;
use watcher_tests::{block::Block, host::Tier, program::run, wait::until};

use super::{
    httpd::children,
    kept::{Kept, kill, signal},
    site::Site,
};

/// An nginx with a program path and a configuration of its own.
pub(super) struct Nginx {
    pub(super) site: Site,
    program: String,
}

impl Nginx {
    fn install() -> Self {
        Self::install_on(Site::new(), "")
    }

    /// The same over TLS, with the certificate `cert.pem` and its key, `key.pem`.
    pub(super) fn install_with_tls(site: Site) -> Self {
        let (certificate, key) = (site.at("cert.pem"), site.at("key.pem"));
        Self::install_on(site, &format!(" ssl; ssl_certificate {certificate}; ssl_certificate_key {key}"))
    }

    fn install_on(site: Site, tls: &str) -> Self {
        symlink("/usr/sbin/nginx", site.path("nginx")).unwrap();
        let (folder, address) = (site.at(""), site.address);
        site.write("www/index.html", "It works");
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|name| format!("{name}_temp_path {folder}{name};")).concat();
        let configuration = format!(
            "worker_processes 2; pid {folder}nginx.pid; error_log {folder}error.log; events {{}}\n\
             http {{ access_log off; {temporary} server {{ listen {address}{tls}; root {folder}www; }} }}\n"
        );
        site.write("nginx.conf", &configuration);
        Self { program: site.at("nginx"), site }
    }

    fn command(&self) -> String {
        let folder = self.site.at("");
        format!("{} -p {folder} -c nginx.conf -e error.log", self.program)
    }

    /// One of several on a host: workers do not tell on their command line to whom they belong, but the group does.
    fn script(&self) -> String {
        let (pid, command) = (self.site.at("nginx.pid"), self.command());
        let end = format!("[ -s {pid} ] && pkill -KILL --ns $$ --nslist pid -g \"$(cat {pid})\"");
        let gone = format!("while pgrep --ns $$ --nslist pid -g \"$(cat {pid})\" >/dev/null; do sleep 0.01; done");
        self.site.script("restart.sh", &format!("#!/bin/sh\n{end} && {gone}\nexec {command}\n"))
    }

    fn watched(&self) -> Kept {
        self.watched_with("")
    }

    /// With these lines below its entry.
    pub(super) fn watched_with(&self, below: &str) -> Kept {
        let script = self.script();
        // Its title is not its program; which of several it is, the path in the title says.
        let entry =
            format!("/usr/sbin/nginx:{script}:86400:3:exit:include_strings=master process {}\n{below}", self.program);
        Kept::start_after(&script, &self.site, &entry, &["--tier", Tier::best().name()])
    }

    fn master(&self) -> Option<Pid> {
        fs::read_to_string(self.site.path("nginx.pid")).ok()?.trim().parse().ok().and_then(Pid::new)
    }

    fn answers(&self) {
        until("nginx answers", || self.site.answers());
    }
}

#[test]
fn a_reload_and_the_end_of_a_worker_are_no_faults() {
    let nginx = Nginx::install();
    let mut pcheck = nginx.watched();
    let master = pcheck.up();
    nginx.answers();
    assert_eq!(Some(master), nginx.master());

    let before = children(master);
    kill(*before.first().expect("a worker"));
    until("the master has replaced its worker", || !children(master).is_subset(&before));
    let before = children(master);
    signal(master, Signal::HUP);
    until("all workers are new", || children(master).len() == 2 && children(master).is_disjoint(&before));
    nginx.answers();

    assert_eq!([pcheck.shows("pid"), pcheck.shows("restart_count")], [master.to_string(), "0".into()]);
    assert_eq!(pcheck.story().len(), 1, "{}", pcheck.told());
}

/// Listeners and workers of both generations overlap, and clients come all the time.
#[test]
fn reloads_with_a_watched_port_are_told_of_by_nobody() {
    let nginx = Nginx::install();
    let address = nginx.site.address;
    let block = Block::web(address.port()).to(&[&address.ip().to_string()]);
    let mut pcheck = nginx.watched_with(&format!("#@ close_wait=20 socket_stall=2\n{block}"));
    let master = pcheck.up();
    until("it is known to answer", || pcheck.entries()[0]["stall_checks"][0]["status"] == "AVAIL");
    let mut diag = SockDiag::here().unwrap();
    // With the first, each worker has a listener of its own.
    for (listen, listeners) in [(" reuseport", 2), ("", 1), (" backlog=64", 1)] {
        let before = children(master);
        let configuration = fs::read_to_string(nginx.site.path("nginx.conf")).unwrap();
        let (head, rest) = configuration.split_once("listen ").unwrap();
        let (_, tail) = rest.split_once(';').unwrap();
        nginx.site.write("nginx.conf", &format!("{head}listen {address}{listen};{tail}"));
        assert_eq!(run(Command::new("sh").args(["-c", &format!("{} -s reload", nginx.command())])).code, Some(0));
        until("all workers are new", || {
            // A worker that ends while it is connected to may reset that connection: only its successors must answer.
            let _answers = TcpStream::connect(address);
            children(master).len() == 2 && children(master).is_disjoint(&before)
        });
        // A worker that ends is none of its children any more while it still closes what it held.
        until("only the listeners of the new workers are there", || {
            let known = diag.listeners(Some(address.port())).unwrap();
            known.iter().filter(|listener| listener.address.ip() == *address.ip()).count() == listeners
        });
        (0..200).for_each(|_| assert!(nginx.site.answers()));
    }
    assert_eq!([pcheck.shows("pid"), pcheck.shows("restart_count")], [master.to_string(), "0".into()]);
    assert_eq!(pcheck.story().len(), 1, "{}", pcheck.told());
    assert!(!pcheck.told().contains("Socket "), "{}", pcheck.told());
}

#[test]
fn a_master_that_was_killed_is_replaced_with_all_its_workers() {
    let nginx = Nginx::install();
    let mut pcheck = nginx.watched();
    let master = pcheck.up();
    nginx.answers();
    let left = children(master);

    kill(master);
    let new = pcheck.up();
    nginx.answers();
    assert_eq!(Some(new), nginx.master(), "{master}, {left:?}, {:?}: {}", children(new), pcheck.told());
    assert!(new != master && !left.contains(&new));
    until("the new workers are there", || children(new).len() == 2 && children(new).is_disjoint(&left));
    assert_eq!(pcheck.shows("restart_count"), "1", "{}", pcheck.told());
}

/// The new master is the old one's child and lives beside it: the end of the old one is a death like any other, so the entry
/// is suspended meanwhile. No script runs, and no request is lost.
#[test]
fn the_binary_is_upgraded_while_the_entry_is_suspended() {
    let nginx = Nginx::install();
    let mut pcheck = nginx.watched();
    let old = pcheck.up();
    nginx.answers();

    pcheck.padmin("stop");
    signal(old, Signal::USR2);
    let old_pid = nginx.site.path("nginx.pid.oldbin");
    until("the new master is there", || old_pid.exists() && nginx.master().is_some_and(|new| new != old));
    let new = nginx.master().unwrap();
    until("the new workers are there", || children(new).len() == 2);
    signal(old, Signal::QUIT);
    until("the old master has gone", || !watcher::sys::proc::exists(old));
    nginx.answers();
    pcheck.padmin("start");

    assert_eq!(pcheck.up(), new);
    assert_eq!([pcheck.shows("pid"), pcheck.shows("restart_count")], [new.to_string(), "0".into()]);
    assert_eq!(pcheck.story().len(), 2, "{}", pcheck.told());
}
