//! `watcher wait`: how a watch ends, by a pcheck or by the daemon, and how it does not.

use std::{fs, process::Command};

use watcher_tests::{
    host::{Host, Tier},
    pcheck::{Pcheck, die_with_the_test},
    program::{Ended, Running, run, watcher},
    wait::until,
};

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Daemon,
    Pcheck,
}

fn start(host: &Host, by: By) -> Pcheck {
    let mut command = match by {
        By::Daemon => {
            let mut daemon = host.run("");
            daemon.args(["--tier", Tier::best().name()]);
            daemon
        }
        By::Pcheck => host.pcheck(Tier::best()),
    };
    Pcheck::start(&mut command)
}

/// A host with a service that is watched, and whose process is not brought back.
fn watched(by: By, action: &str) -> (Host, Pcheck, watcher_tests::host::Service) {
    let host = Host::new();
    let script = host.script("restart.sh", ":");
    host.rules(&format!("{}:{script}:86400:{action}", host.svc()));
    fs::rename(host.pfile(), host.path("a.pfile")).unwrap();
    std::os::unix::fs::symlink(host.path("a.pfile"), host.pfile()).unwrap();
    let service = host.start("");
    let mut pcheck = start(&host, by);
    pcheck.until(" Up");
    (host, pcheck, service)
}

fn command(host: &Host, pfile: &str, words: &[&str]) -> Command {
    let mut command = watcher(["wait", "-f", &host.path(pfile), "--run-dir", &host.run_dir()]);
    command.args(words);
    die_with_the_test(&mut command);
    command
}

fn wait(host: &Host, words: &[&str]) -> Ended {
    run(&mut command(host, "a.pfile", words))
}

/// Begins to wait, also if nobody watches yet.
fn begun(host: &Host, pfile: &str) -> Running {
    let mut command = command(host, pfile, &["--until-watched", "60"]);
    Running::start(command.env("WATCHER_LOG", "watcher::cli::wait=debug"))
}

/// Whoever watches knows that somebody waits when this returns.
pub(crate) fn is_known(waiting: &mut Running) {
    let line = waiting.talk();
    assert!(line.contains("it will tell of the end"), "{line}");
}

/// Begins to wait, which whoever watches knows when this returns.
pub(crate) fn waiting(host: &Host, pfile: &str) -> Running {
    let mut waiting = begun(host, pfile);
    is_known(&mut waiting);
    waiting
}

#[test]
fn each_end_has_the_code_that_pcheck_would_end_with() {
    for by in [By::Pcheck, By::Daemon] {
        for (action, code) in [("0:exit", 4), ("0:shutdown", 3)] {
            let (host, _pcheck, service) = watched(by, action);
            let mut waiting = waiting(&host, "a.pfile");
            service.kill();
            assert_eq!(waiting.end(), Some(code), "{by:?} {action}: {}", waiting.talk());
        }
        let (host, _pcheck, _service) = watched(by, "3:continue");
        let mut first = waiting(&host, "a.pfile");
        assert_eq!(host.padmin("reload").code, Some(0), "a reload is no end");
        assert_eq!(wait(&host, &["--timeout", "0"]).code, Some(7), "{by:?}: it is watched");
        assert_eq!(wait(&host, &["--timeout", "0.2"]).code, Some(7), "{by:?}");
        assert_eq!(host.padmin("shutdown").code, Some(0));
        assert_eq!(first.end(), Some(0), "{by:?}: {}", first.talk());
        until("nobody watches", || wait(&host, &["--timeout", "0"]).code == Some(5));
        let ended = wait(&host, &["--until-watched", "0.3"]);
        assert_eq!(ended.code, Some(5), "{}", ended.stderr);
        assert!(ended.stderr.contains("no pcheck watches for "), "{}", ended.stderr);
        assert_eq!(run(&mut watcher(["wait", "-f", "x", "--timeout", "-1"])).code, Some(2));
        assert_eq!(run(&mut watcher(["wait", "-f", "x", "--timeout", "soon"])).code, Some(2));
    }
}

#[test]
fn whoever_watches_ends_with_all_or_is_killed() {
    for by in [By::Pcheck, By::Daemon] {
        let (host, pcheck, _service) = watched(by, "3:continue");
        let mut waiting_for_term = waiting(&host, "a.pfile");
        pcheck.stop();
        assert_eq!(waiting_for_term.end(), Some(0), "{by:?}: {}", waiting_for_term.talk());
        // It may begin to wait before anybody watches.
        let mut early = begun(&host, "a.pfile");
        let mut pcheck = start(&host, by);
        pcheck.until(" Up");
        is_known(&mut early);
        let mut second = waiting(&host, "a.pfile");
        pcheck.kill();
        for waiting in [&mut early, &mut second] {
            assert_eq!(waiting.end(), Some(6), "{by:?}");
            let said = waiting.talk();
            assert!(said.contains("has vanished"), "{said}");
        }
    }
}
