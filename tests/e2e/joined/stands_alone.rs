//! When it does not join: since it was told so, since the daemon could not do what it would, or since there is none.

use std::{
    fs,
    os::unix::net::UnixListener,
    process::{Command, Stdio},
};

use watcher::executor::rundir::RunDir;
use watcher_tests::{
    host::{Service, Tier},
    pcheck::{Pcheck, die_with_the_test},
    program::{run, watcher},
    wait::until,
};

use super::{House, has_programs};

const WHY: &str = "watcher run is there, but this pcheck stands alone: ";

fn house() -> (House, Service) {
    House::serving(Tier::Pidfd, "3:exit")
}

#[test]
fn what_it_is_told_it_does() {
    if !Tier::Pidfd.is_wanted() {
        return;
    }
    let (house, _service) = house();
    let daemon = house.daemon();
    let options: [&[&str]; 4] = [&["--standalone"], &["--tier", "pidfd"], &["--scripts", "3"], &["--sweep", "60"]];
    for words in options {
        let mut pcheck = Pcheck::started(house.pcheck().args(words));
        pcheck.until(" Up");
        pcheck.stop();
    }
    let mut alone = Pcheck::started(house.pcheck().arg("--standalone"));
    alone.until(" Up");
    if Tier::Ebpf.is_wanted() {
        assert!(has_programs(&alone));
    }
    alone.stop();
    assert_eq!(daemon.stop(), [""; 0], "nobody has joined");
}

#[test]
fn in_other_circumstances_it_stands_alone_and_says_why() {
    let (house, _service) = house();
    let daemon = house.daemon();
    let begins = |command: &mut Command, why: &str| {
        let mut pcheck = Pcheck::start(command);
        assert_eq!(pcheck.line(), format!("{WHY}it runs in other circumstances: {why} differs"));
        pcheck.until(" Up");
        pcheck.stop();
    };
    begins(house.pcheck().env("SSL_CERT_FILE", "/elsewhere"), "variable SSL_CERT_FILE");
    let unshared = |words: &[&str]| {
        let (mut unshare, inner) = (Command::new("unshare"), house.pcheck());
        unshare.args(words).arg(inner.get_program()).args(inner.get_args());
        die_with_the_test(&mut unshare);
        unshare
    };
    begins(&mut unshared(&["--net"]), "net namespace");
    begins(&mut unshared(&["--mount"]), "mnt namespace");
    let (mut setpriv, inner) = (Command::new("setpriv"), house.pcheck());
    setpriv.arg("--bounding-set=-sys_time").arg(inner.get_program()).args(inner.get_args());
    die_with_the_test(&mut setpriv);
    begins(&mut setpriv, "CapBnd (/proc/self/status)");
    let (mut setpriv, inner) = (Command::new("setpriv"), house.pcheck());
    setpriv.args(["--securebits", "+noroot"]).arg(inner.get_program()).args(inner.get_args());
    die_with_the_test(&mut setpriv);
    begins(&mut setpriv, "CapPrm (/proc/self/status)");
    daemon.stop();
}

#[test]
fn a_pfile_that_is_no_file_is_read_by_itself() {
    let (house, _service) = house();
    let daemon = house.daemon();
    let pfile = fs::File::open(house.host.pfile()).unwrap();
    let mut command = house.pcheck_of("/dev/stdin");
    let mut child = command.stdin(Stdio::from(pfile)).stderr(Stdio::null()).spawn().unwrap();
    until("it is watched", || {
        let list = run(&mut watcher(["padmin", "-l", "--run-dir", &house.host.run_dir()]));
        list.stdout.contains(&format!(" {} ", child.id()))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(daemon.stop(), [""; 0], "nobody has joined");
}

#[test]
fn who_watches_already_is_told_as_ever() {
    let (house, _service) = house();
    let rules = house.host.read("pfile");
    fs::rename(house.host.pfile(), house.host.path("rules.d/a.pfile")).unwrap();
    std::os::unix::fs::symlink(house.host.path("rules.d/a.pfile"), house.host.pfile()).unwrap();
    let mut daemon = Pcheck::start(&mut house.host.run("rules.d"));
    daemon.until(" Up");
    let told = |command: &mut Command| {
        let ended = run(command);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        let line = ended.stderr.lines().last().unwrap();
        line.split_once("]: ").unwrap().1.to_owned()
    };
    let joined = told(&mut house.pcheck());
    assert!(joined.starts_with(&format!("already watched by pcheck[{}], pfile ", daemon.pid())), "{joined}");
    assert_eq!(joined, told(house.pcheck().arg("--standalone")));
    let other = house.host.write("other", &rules);
    assert!(told(&mut house.pcheck_of(&other)).starts_with("IPCKEY 0x00000001 is in use by pcheck["));
    daemon.stop();
}

#[test]
fn a_mistake_in_the_pfile_ends_it_as_ever() {
    let (house, _service) = house();
    let daemon = house.daemon();
    house.host.write("pfile", "IPCKEY 0x1\n/bin/x:/bin/y:1\n");
    let ended = run(&mut house.pcheck());
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.lines().last().unwrap().contains("/pfile:2:"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    fs::remove_file(house.host.pfile()).unwrap();
    let ended = run(&mut house.pcheck());
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("/pfile cannot be read: "), "{}", ended.stderr);
    daemon.stop();
}

#[test]
fn who_listens_and_does_not_answer_or_is_dead_is_no_daemon() {
    let (house, _service) = house();
    let folder = house.host.folder.path().join("run/daemon");
    fs::create_dir_all(&folder).unwrap();
    let mute = UnixListener::bind(folder.join("join")).unwrap();
    let mut pcheck = Pcheck::start(&mut house.pcheck());
    assert_eq!(pcheck.line(), format!("{WHY}pcheck has not answered within 2 s"));
    pcheck.until(" Up");
    pcheck.stop();
    drop(mute);
    // Its socket stays.
    let mut pcheck = Pcheck::started(&mut house.pcheck());
    pcheck.until(" Up");
    pcheck.stop();
    // A daemon takes its place.
    let mut daemon = house.daemon();
    let mut pcheck = house.joined(&mut daemon);
    pcheck.until(" Up");
    // A second one is no harm, and nobody joins it.
    let mut second = Pcheck::start(house.host.run("rules.d").args(["--tier", "poll"]));
    second.until("Another watcher run has this run directory");
    second.until("No pfile is watched");
    second.stop();
    pcheck.stop();
    let mut pcheck = house.joined(&mut daemon);
    pcheck.until(" Up");
    pcheck.stop();
    daemon.until("Ended: pcheck[");
    daemon.stop();
}

#[test]
fn a_daemon_that_comes_too_late_may_hold_the_pfile_for_a_moment() {
    let (house, _service) = house();
    let folder = house.host.folder.path().join("run/daemon");
    fs::create_dir_all(&folder).unwrap();
    let _mute = UnixListener::bind(folder.join("join")).unwrap();
    // As one does that reads the request when nobody waits for the answer any more.
    let held = RunDir::claim(&house.host.folder.path().join("run"), 1, house.host.pfile().as_ref()).unwrap();
    let mut pcheck = Pcheck::start(&mut house.pcheck());
    assert_eq!(pcheck.line(), format!("{WHY}pcheck has not answered within 2 s"));
    assert_eq!(pcheck.during(std::time::Duration::from_millis(500)), [""; 0]);
    drop(held);
    pcheck.until(" Up");
    pcheck.stop();
}

#[test]
fn a_daemon_that_has_no_descriptors_left_takes_nobody_on() {
    let (house, _service) = house();
    let daemon = house.daemon();
    let open = || fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count() as u64;
    // So many are left that it can hear of whoever comes, and no more.
    crate::scarce::allow_descriptors(daemon.pid(), open() + 4);
    let mut pcheck = Pcheck::start(&mut house.pcheck());
    let line = pcheck.line();
    assert!(line.starts_with(&format!("{WHY}it has hardly any descriptors left")), "{line}");
    pcheck.until(" Up");
    pcheck.stop();
    daemon.stop();
}
