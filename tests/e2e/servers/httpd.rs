//! Apache httpd: its parent is watched, its workers are not taken for it, and a parent that was killed is replaced although
//! its workers hold the port.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddrV4},
    os::unix::fs::symlink,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use watcher::sys::{proc, sock_diag::SockDiag};
use watcher_core::Pid;
use watcher_tests::{block::Block, host::Tier, program::run, wait::until};

use super::{
    kept::{Kept, kill},
    site::Site,
};

/// A httpd with a program path and a configuration of its own.
pub(super) struct Httpd {
    pub(super) site: Site,
    program: String,
    configuration: String,
}

impl Httpd {
    pub(super) fn install() -> Self {
        let site = Site::new();
        let (program, configuration) = configure(&site);
        Self { site, program, configuration }
    }

    pub(super) fn script(&self) -> String {
        let program = format!("program={}", self.program);
        let start = format!("exec \"$program\" -f {} -k start", self.configuration);
        let changes = [("program=/usr/sbin/httpd", program.as_str()), (r#"exec "$program" -k start"#, start.as_str())];
        self.site.adapted("httpd/httpd_restart.sh", &changes)
    }

    fn watched(&self, script: &str) -> Kept {
        self.watched_with(script, "")
    }

    /// With these lines below its entry.
    pub(super) fn watched_with(&self, script: &str, below: &str) -> Kept {
        let entry = format!("{}:{script}:86400:3:exit\n{below}", self.program);
        Kept::start_after(script, &self.site, &entry, &["--tier", Tier::best().name()])
    }

    fn answers(&self) {
        until("httpd answers", || self.site.answers());
    }

    fn graceful(&self) {
        let graceful = run(Command::new(&self.program).args(["-f", &self.configuration, "-k", "graceful"]));
        assert_eq!(graceful.code, Some(0), "{graceful:?}");
    }
}

/// A program path, and a configuration.
pub(super) fn configure(site: &Site) -> (String, String) {
    symlink("/usr/sbin/apache2", site.path("httpd")).unwrap();
    site.write("www/index.html", "It works");
    let (folder, address) = (site.at(""), site.address);
    let modules = ["mpm_event", "authz_core", "dir"];
    let load =
        modules.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")).concat();
    let configuration = format!(
        "{load}ServerRoot {folder}\nDefaultRuntimeDir {folder}\nServerName localhost\nPidFile {folder}httpd.pid\n\
         ErrorLog {folder}error.log\nMutex file:{folder}\nUser www-data\nGroup www-data\nListen {address}\n\
         DocumentRoot {folder}www\nDirectoryIndex index.html\nStartServers 2\n"
    );
    let configuration = site.write("httpd.conf", &configuration);
    (site.at("httpd"), configuration)
}

/// Processes that another one has started and that live.
pub(super) fn children(parent: Pid) -> BTreeSet<Pid> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|item| Pid::new(item.file_name().to_str()?.parse().ok()?));
    let is_child = |pid: &Pid| {
        let facts = proc::facts(*pid).ok().flatten();
        facts.is_some_and(|facts| facts.parent == parent.number() && !facts.leader_exiting)
    };
    pids.filter(is_child).collect()
}

#[test]
fn what_happens_to_workers_is_no_fault() {
    let httpd = Httpd::install();
    let mut pcheck = httpd.watched(&httpd.script());
    let parent = pcheck.up();
    httpd.answers();

    let before = children(parent);
    let victim = *before.first().expect("a worker");
    kill(victim);
    until("the parent has replaced its worker", || !children(parent).is_subset(&before));
    httpd.answers();

    let before = children(parent);
    httpd.graceful();
    until("all workers are new", || {
        let now = children(parent);
        !now.is_empty() && now.is_disjoint(&before)
    });
    httpd.answers();

    assert_eq!([pcheck.shows("pid"), pcheck.shows("restart_count")], [parent.to_string(), "0".into()]);
    assert_eq!(pcheck.story(), [format!("({} ,pid={parent}) Up", httpd.program)], "{}", pcheck.told());
}

/// However the test goes on.
struct Sets<'a>(&'a AtomicBool);

impl Drop for Sets<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Workers of both generations overlap, listeners of the port come and go, and clients come all the time.
#[test]
fn graceful_restarts_with_a_watched_port_are_told_of_by_nobody() {
    let httpd = Httpd::install();
    let address = httpd.site.address;
    let block = Block::web(address.port()).to(&[&address.ip().to_string()]);
    let below = format!("#@ close_wait=20 socket_stall=2\n{block}");
    let mut pcheck = httpd.watched_with(&httpd.script(), &below);
    let parent = pcheck.up();
    until("it is known to answer", || pcheck.entries()[0]["stall_checks"][0]["status"] == "AVAIL");
    let [_, _, high, low] = address.ip().octets();
    let second = SocketAddrV4::new(Ipv4Addr::new(127, 255, high, low), address.port());
    let configuration = fs::read_to_string(&httpd.configuration).unwrap();
    let mut diag = SockDiag::here().unwrap();
    for (more, listeners) in [("", 1), (&*format!("Listen {second}\nListenBackLog 64\n"), 2), ("", 1)] {
        let before = children(parent);
        httpd.site.write("httpd.conf", &format!("{configuration}{more}"));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        // Whom a worker leaves in the lurch comes again: its successors must answer, below.
                        let _answer = httpd.site.asks();
                    }
                });
            }
            let _ends_them = Sets(&done);
            httpd.graceful();
            until("all workers are new", || {
                let now = children(parent);
                !now.is_empty() && now.is_disjoint(&before)
            });
        });
        // A worker that ends is none of theirs any more while it still closes what it held.
        until("only the listeners of the new workers are there", || {
            let known = diag.listeners(Some(address.port())).unwrap().into_iter().map(|listener| listener.address.ip());
            known.filter(|ip| [address.ip(), second.ip()].iter().any(|own| ip == *own)).count() == listeners
        });
        (0..200).for_each(|_| assert!(httpd.site.answers()));
    }
    assert_eq!([pcheck.shows("pid"), pcheck.shows("restart_count")], [parent.to_string(), "0".into()]);
    assert_eq!(pcheck.story().len(), 1, "{}", pcheck.told());
    assert!(!["Socket ", "Stall"].iter().any(|word| pcheck.told().contains(word)), "{}", pcheck.told());
}

#[test]
fn a_parent_that_was_killed_is_replaced_although_its_workers_hold_the_port() {
    let httpd = Httpd::install();
    let mut pcheck = httpd.watched(&httpd.script());
    let parent = pcheck.up();
    httpd.answers();
    let left = children(parent);
    assert!(!left.is_empty());

    kill(parent);
    let new = pcheck.up();
    httpd.answers();
    assert!(new != parent && !left.contains(&new));
    let workers = children(new);
    assert!(!workers.is_empty() && workers.is_disjoint(&left), "{workers:?}, {left:?}");
    // Whoever has ended is there until it is reaped.
    until("no worker is left over", || left.iter().all(|pid| !proc::exists(*pid)));
    let told = (pcheck.shows("pid"), pcheck.shows("restart_count"));
    assert_eq!(told, (new.to_string(), "1".into()), "{}", pcheck.told());
}

/// The new parent cannot listen, so there is none. What is there is left over, and after `MONITOR_INTERVAL` that counts.
#[test]
fn a_script_that_leaves_the_workers_is_told_of_as_it_is() {
    let httpd = Httpd::install();
    let start = format!("#!/bin/sh\n{} -f {} -k start\n", httpd.program, httpd.configuration);
    let mut pcheck = httpd.watched(&httpd.site.script("start.sh", &start));
    let parent = pcheck.up();
    httpd.answers();
    let left = children(parent);

    kill(parent);
    let said = pcheck.expect("Address already in use");
    assert!(said.contains(&httpd.site.address.to_string()), "{said}");
    let next = pcheck.up();
    assert!(left.contains(&next), "{next} of {left:?}: {}", pcheck.told());
}
