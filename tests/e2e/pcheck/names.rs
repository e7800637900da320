//! By the names of the original's commands, in the foreground (check 11 of the spec).

use std::os::unix::fs::symlink;

use watcher_tests::{
    host::{Host, Tier},
    pcheck::{Pcheck, die_with_the_test},
    program::{built, run},
};

#[test]
fn links_called_pcheck_and_padmin_are_these_commands_and_pcheck_stays_the_process_that_was_started() {
    let host = Host::new();
    let svc = host.svc();
    host.rules(&format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "")));
    let service = host.start("");
    for name in ["pcheck", "padmin"] {
        symlink(built("watcher"), host.path(name)).unwrap();
    }
    let mut command = std::process::Command::new(host.path("pcheck"));
    command.args(["-f", &host.pfile(), "--run-dir", &host.run_dir(), "--log", "stderr", "--tier", Tier::best().name()]);
    die_with_the_test(&mut command);
    // Each line bears the pid of the process that was started here, which is alive as long as it watches.
    let mut pcheck = Pcheck::started(&mut command);
    assert_eq!(pcheck.up(&svc), service.pid);
    let padmin = |words: &[&str]| {
        let mut command = std::process::Command::new(host.path("padmin"));
        run(command.args(["-f", &host.pfile(), "--run-dir", &host.run_dir(), "-c"]).args(words))
    };
    let shown = padmin(&["show", "pent"]);
    assert!(shown.code == Some(0) && shown.stdout.contains("\nmonitor_sts          = on\n"), "{}", shown.stderr);
    assert_eq!(padmin(&["shutdown"]).code, Some(0));
    assert_eq!(pcheck.end(), (vec!["Stop pcheck!!".to_owned()], Some(0)));
    assert_eq!(run(std::process::Command::new(host.path("pcheck")).arg("--nonsense")).code, Some(1));
    let reserved = run(std::process::Command::new(host.path("pcheck")).args(["-w", "-f", &host.pfile()]));
    assert_eq!(reserved.code, Some(1));
    assert!(reserved.stderr.contains("-w is not supported"), "{}", reserved.stderr);
}

#[test]
fn a_pfile_that_does_not_load_is_refused_by_its_place() {
    let host = Host::new();
    let bad = ["/a:/b:1:3", "/a:/b:1:3:exit:no_such=1", "IPCKEY 0x2\n/a:/b:1:1:exit"];
    for entries in bad {
        host.rules(entries);
        let (lines, code) = Pcheck::start(&mut host.pcheck(Tier::Poll)).end();
        assert_eq!(code, Some(1), "{lines:#?}");
        assert!(lines.len() == 1 && lines[0].starts_with(&format!("{}:", host.pfile())), "{entries:?}: {lines:#?}");
    }
    std::fs::remove_file(host.pfile()).unwrap();
    let (lines, code) = Pcheck::start(&mut host.pcheck(Tier::Poll)).end();
    assert_eq!(code, Some(1));
    assert_eq!(lines, [format!("{} cannot be read: No such file or directory (os error 2)", host.pfile())]);
}
