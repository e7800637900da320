//! `watcher run`: many pfiles in one process, and none of them has to do with the others.

use std::{fs, os::fd::AsRawFd as _, path::Path, process::Command};

use serde_json::Value;
use watcher_core::Pid;
use watcher_tests::{
    host::{Host, Service, Tier, lives, on_each_tier, signal},
    pcheck::{Pcheck, die_with_the_test},
    program::{Ended, run, watcher},
    wait::until,
};

/// A host with a folder of pfiles, and a daemon over it.
struct Several {
    host: Host,
}

impl Several {
    fn new() -> Self {
        let host = Host::new();
        fs::create_dir(host.path("rules.d")).unwrap();
        Self { host }
    }

    /// A pfile for the service of this name; what becomes of it is `action`.
    fn pfile(&self, name: &str, key: u32, action: &str) -> String {
        if !Path::new(&self.host.path(name)).exists() {
            self.host.install(name);
        }
        let path = self.host.path(name);
        let script = self.host.script(&format!("{name}.sh"), &format!("{path} >/dev/null 2>&1 </dev/null &"));
        let text = format!("IPCKEY {key}\nMONITOR_INTERVAL 1\n{path}:{script}:86400:{action}\n");
        self.host.write(&format!("rules.d/{name}.pfile"), &text.replacen(&key.to_string(), &format!("{key:#x}"), 1))
    }

    fn start(&self, name: &str) -> Service {
        self.host.start_as(name, "")
    }

    fn daemon(&self, tier: Tier) -> Command {
        let mut command = self.host.run("rules.d");
        command.args(["--tier", tier.name()]);
        command
    }

    fn ask(&self, name: &str, words: &[&str]) -> Ended {
        let pfile = self.host.path(&format!("rules.d/{name}.pfile"));
        run(watcher(words).args(["-f", &pfile, "--run-dir", &self.host.run_dir()]))
    }

    fn entry(&self, name: &str) -> Value {
        let ended = self.ask(name, &["padmin", "--json", "-c", "show pent 1"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        serde_json::from_str::<Value>(&ended.stdout).unwrap()["entries"][0].clone()
    }

    fn is_watched(&self, name: &str) -> bool {
        self.ask(name, &["padmin", "-c", "show param"]).code == Some(0)
    }

    fn up(&self, name: &str, pid: Pid) -> String {
        format!("({} ,pid={pid}) Up", self.host.path(name))
    }
}

#[test]
fn each_pfile_is_watched_as_if_it_were_alone() {
    on_each_tier(|tier| {
        let several = Several::new();
        several.pfile("one", 0x11, "3:continue");
        several.pfile("two", 0x12, "3:continue");
        several.host.write("rules.d/broken.pfile", "IPCKEY 0x13\n/bin/x:/bin/y:1\n");
        several.host.write("rules.d/restart.sh", "#!/bin/sh\n");
        let services = [several.start("one"), several.start("two")];
        let mut daemon = Pcheck::start(&mut several.daemon(tier));
        let begun = daemon.until("two ,pid=");
        let told = |text: &str| begun.iter().filter(|line| line.contains(text)).count();
        assert_eq!(told("Start pcheck: 1 entry of "), 2, "{begun:#?}");
        assert_eq!(told("Not watched: "), 1, "{begun:#?}");
        assert_eq!(told("broken.pfile:2:"), 1, "its place is told: {begun:#?}");
        for (name, service) in ["one", "two"].into_iter().zip(&services) {
            assert!(begun.contains(&several.up(name, service.pid)), "{begun:#?}");
            service.kill();
            daemon.until(&format!("Try to restart ({})", several.host.path(name)));
            daemon.until(&format!("({} ,pid=", several.host.path(name)));
        }
        assert_eq!([1, 1], ["one", "two"].map(|name| several.entry(name)["restart_count"].as_u64().unwrap()));
        // An order to one of them.
        assert_eq!(several.ask("one", &["padmin", "-c", "stop 1", "--log", "stderr"]).code, Some(0));
        assert_eq!(several.entry("one")["monitored"], false);
        assert_eq!(several.entry("two")["monitored"], true);
        let pids = ["one", "two"].map(|name| several.entry(name)["pid"].as_u64().unwrap());
        daemon.stop();
        assert!(pids.iter().all(|pid| lives(Pid::new(*pid as u32).unwrap())), "the services live on");
    });
}

#[test]
fn the_end_of_one_is_not_that_of_the_daemon() {
    on_each_tier(|tier| {
        let several = Several::new();
        several.pfile("dies", 0x11, "0:exit");
        several.pfile("lives", 0x12, "3:continue");
        let (dies, other) = (several.start("dies"), several.start("lives"));
        let mut daemon = Pcheck::start(&mut several.daemon(tier));
        daemon.until(&several.up("lives", other.pid));
        dies.kill();
        let lines = daemon.until("Not watched any more: ");
        assert!(lines.last().unwrap().ends_with("/rules.d/dies.pfile (RETRY_OVER:EXIT)"), "{lines:#?}");
        until("nobody answers for it any more", || !several.is_watched("dies"));
        other.kill();
        daemon.until("Try to restart");
        daemon.until("lives ,pid=");
        // An order to end is one to end that watch.
        assert_eq!(several.ask("lives", &["padmin", "-c", "shutdown", "--log", "stderr"]).code, Some(0));
        daemon.until("/rules.d/lives.pfile (it was asked for");
        // Taken on anew, with all retries.
        several.start("dies");
        daemon.signal(libc::SIGHUP);
        let lines = [daemon.until(" Up"), daemon.until(" Up")].concat();
        assert!(lines.iter().any(|line| line.contains("dies ,pid=")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("lives ,pid=")), "{lines:#?}");
        assert_eq!(several.entry("lives")["restart_count"], 0);
        several.host.script("lives.sh", "echo once more");
        signal(other_pid(&several, "lives"), libc::SIGKILL);
        daemon.until("once more");
        let folder = several.host.folder.path().join("run/00000012");
        let outputs = fs::read_dir(folder)
            .unwrap()
            .filter(|item| item.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "out"));
        assert_eq!(outputs.count(), 1, "of the first entry, again");
        daemon.stop();
    });
}

#[test]
fn a_reload_takes_on_what_is_new_and_dismisses_what_is_gone_and_keeps_what_is_broken() {
    let several = Several::new();
    let gone = several.pfile("gone", 0x11, "3:continue");
    let broken = several.pfile("broken", 0x12, "3:continue");
    several.pfile("kept", 0x13, "3:continue");
    let services = ["gone", "broken", "kept", "new"].map(|name| {
        if name == "new" {
            several.host.install(name);
        }
        several.start(name)
    });
    let [_, of_broken, of_kept, of_new] = &services;
    let mut daemon = Pcheck::start(&mut several.daemon(Tier::best()));
    for _ in 0..3 {
        daemon.until(" Up");
    }
    of_kept.kill();
    daemon.until("Try to restart");
    daemon.until("kept ,pid=");
    fs::remove_file(gone).unwrap();
    fs::write(&broken, "IPCKEY 0x12\n/bin/x:/bin/y:1\n").unwrap();
    several.pfile("new", 0x14, "3:continue");
    daemon.signal(libc::SIGHUP);
    let mut lines = daemon.until(&several.up("new", of_new.pid));
    while !["broken.pfile:2:", "gone.pfile ("].iter().all(|what| lines.iter().any(|line| line.contains(what))) {
        lines.push(daemon.line());
    }
    lines.extend(daemon.during(std::time::Duration::from_secs(1)));
    lines.retain(|line| line.contains("gone.pfile") || line.contains("broken.pfile"));
    lines.sort();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].contains("broken.pfile:2:"), "{lines:#?}");
    assert!(lines[1].contains("gone.pfile (it was asked for, or the file has gone)"), "{lines:#?}");
    until("nobody answers for it any more", || !several.is_watched("gone"));
    assert_eq!(several.entry("kept")["restart_count"], 1, "what has not changed keeps its state");
    // Nothing else happens, and nothing else wakes it.
    fs::rename(several.host.path("rules.d/new.pfile"), several.host.path("rules.d/newer.pfile")).unwrap();
    daemon.signal(libc::SIGHUP);
    let mut lines = daemon.until(&several.up("new", of_new.pid));
    let reloaded = "/rules.d/kept.pfile: Reloaded: 1 unchanged";
    while !lines.iter().any(|line| line.contains(reloaded)) {
        lines.push(daemon.line());
    }
    let lines = lines.join("\n");
    assert!(lines.contains("/rules.d/new.pfile (it was asked for, or the file has gone)"), "{lines}");
    assert!(!lines.contains("Stop pcheck"), "{lines}");
    // The old rules are in force.
    of_broken.kill();
    daemon.until(&format!("Try to restart ({})", several.host.path("broken")));
    daemon.until("broken ,pid=");
    // A folder that cannot be read is none that is empty.
    fs::rename(several.host.path("rules.d"), several.host.path("elsewhere")).unwrap();
    daemon.signal(libc::SIGHUP);
    daemon.until("Reload failed, and all stays as it is: ");
    fs::rename(several.host.path("elsewhere"), several.host.path("rules.d")).unwrap();
    assert!(several.is_watched("kept"));
    daemon.stop();
}

fn other_pid(several: &Several, name: &str) -> Pid {
    Pid::new(several.entry(name)["pid"].as_u64().unwrap() as u32).unwrap()
}

/// What cannot be read holds up nobody.
#[test]
fn a_pipe_in_the_folder_is_told_and_the_others_are_watched() {
    let several = Several::new();
    let pipe = several.host.gate("rules.d/pipe.pfile");
    several.pfile("one", 0x11, "3:continue");
    let service = several.start("one");
    let mut daemon = Pcheck::start(&mut several.daemon(Tier::best()));
    let lines = daemon.until(&several.up("one", service.pid));
    let refusal = format!("Not watched: {pipe} cannot be read: it is not a file");
    assert!(lines.contains(&refusal), "{lines:#?}");
    several.pfile("two", 0x12, "3:continue");
    let second = several.start("two");
    for _ in 0..20 {
        daemon.signal(libc::SIGHUP);
    }
    let lines = daemon.until(&several.up("two", second.pid));
    assert!(!lines.iter().any(|line| line.contains("already watched")), "{lines:#?}");
    let lines = [lines, daemon.stop()].concat();
    assert!(lines.contains(&refusal), "{lines:#?}");
}

/// For as long as it holds the lease nobody else can open the file: so it is with a file system that does not answer.
fn hold(path: &str) -> fs::File {
    const F_SETSIG: i32 = 10;
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    // SAFETY: no memory is involved. The signal that tells of whoever waits is ignored by default.
    let is_held = unsafe {
        libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) == 0
            && libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) == 0
    };
    assert!(is_held, "{}", std::io::Error::last_os_error());
    file
}

#[test]
fn a_file_system_that_does_not_answer_keeps_no_other_pfile_from_being_watched_at_the_start() {
    let several = Several::new();
    let hangs = several.pfile("hangs", 0x11, "3:continue");
    several.pfile("one", 0x12, "3:continue");
    let service = several.start("one");
    let held = hold(&hangs);
    let mut daemon = Pcheck::start(&mut several.daemon(Tier::best()));
    let lines = daemon.until(&several.up("one", service.pid));
    let refusal =
        format!("Not watched: {hangs}: it cannot be read: its file system does not answer; SIGHUP tries again");
    assert!(lines.contains(&refusal), "{lines:#?}");
    drop(held);
    let other = several.start("hangs");
    daemon.signal(libc::SIGHUP);
    daemon.until(&several.up("hangs", other.pid));
    daemon.stop();
}

#[test]
fn an_empty_folder_is_said_to_be_so_and_its_end_is_told() {
    let several = Several::new();
    let mut daemon = Pcheck::start(&mut several.daemon(Tier::best()));
    daemon.until("No pfile is watched; SIGHUP looks again");
    assert_eq!(daemon.stop(), [""; 0]);
}

#[test]
fn two_that_mean_the_same_process_each_have_their_way() {
    on_each_tier(|tier| {
        let several = Several::new();
        several.pfile("svc", 0x11, "3:continue");
        // Whoever starts nothing waits so long for the process that the other one starts: on a busy host a second is short.
        let text = several.host.read("rules.d/svc.pfile").replace("MONITOR_INTERVAL 1", "MONITOR_INTERVAL 5");
        several.host.write("rules.d/svc.pfile", &text);
        let text = text.replace("0x11", "0x12").replace("svc.sh", "none.sh");
        several.host.write("rules.d/twin.pfile", &text);
        several.host.script("none.sh", ":");
        let service = several.start("svc");
        let mut daemon = Pcheck::start(&mut several.daemon(tier));
        let up = several.up("svc", service.pid);
        daemon.until(&up);
        daemon.until(&up);
        service.kill();
        let mut lines = daemon.until(" Up");
        lines.extend(daemon.until(" Up"));
        let restarts = lines.iter().filter(|line| line.starts_with("Try to restart")).count();
        assert_eq!(restarts, 2, "{lines:#?}");
        let pids = ["svc", "twin"].map(|name| several.entry(name)["pid"].clone());
        assert_eq!(pids[0], pids[1]);
        assert_eq!(several.ask("svc", &["padmin", "-c", "shutdown", "--log", "stderr"]).code, Some(0));
        daemon.until("Not watched any more");
        signal(Pid::new(pids[1].as_u64().unwrap() as u32).unwrap(), libc::SIGKILL);
        let lines = daemon.until("Try to restart");
        assert!(lines.iter().any(|line| line.contains("Down")), "{lines:#?}");
        daemon.stop();
    });
}

#[test]
fn without_a_pfile_that_can_be_watched_it_says_why_and_ends() {
    let several = Several::new();
    let one = several.pfile("one", 0x11, "3:continue");
    let arguments = ["run", "-f", &one, "--run-dir", &several.host.run_dir(), "--log", "stderr"];
    let mut daemon = watcher(arguments);
    die_with_the_test(&mut daemon);
    let mut first = Pcheck::start(&mut daemon);
    first.until("Start pcheck");
    until("it is watched", || several.is_watched("one"));
    let second = run(&mut watcher(arguments));
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("already watched by pcheck["), "{}", second.stderr);
    let nothing = run(&mut watcher(["run", "-f", "/nonexistent", "--log", "stderr"]));
    assert_eq!(nothing.code, Some(1), "{}", nothing.stderr);
    assert!(nothing.stderr.contains("/nonexistent cannot be read: "), "{}", nothing.stderr);
    let neither = run(&mut watcher(["run"]));
    assert_eq!(neither.code, Some(2), "{}", neither.stderr);
    first.stop();
}
