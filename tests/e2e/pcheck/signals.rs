//! Signals: the end that leaves everything running, rules read again, the dump (checks 7 and 11 of the spec).

use serde_json::Value;
use watcher_core::Pid;
use watcher_tests::{
    host::{Host, kill, lives, on_each_tier},
    pcheck::Pcheck,
    wait::until,
};

#[test]
fn sigterm_and_sigint_end_pcheck_and_nothing_else() {
    on_each_tier(|tier| {
        for (signal, said) in [(libc::SIGTERM, "SIGTERM Catch (15)!!"), (libc::SIGINT, "SIGINT Catch (2)!!")] {
            let host = Host::new();
            let svc = host.svc();
            let other = host.install("other");
            // It runs until the test ends.
            let hangs =
                host.script("hangs.sh", "echo $$ > ${H}hangs.new; mv ${H}hangs.new ${H}hangs; exec cat ${H}life");
            host.rules(&format!("{svc}:{hangs}:86400:3:exit\n{other}:{hangs}:86400:3:exit"));
            let service = host.start("");
            let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
            assert_eq!(pcheck.up(&svc), service.pid);
            pcheck.expect([format!("Set pid fail ({other})"), format!("Try to restart ({other})")]);
            until("the script runs", || !host.read("hangs").is_empty());
            let script = Pid::new(host.read("hangs").trim().parse().unwrap()).unwrap();
            let control = host.own_dir().join("control");
            assert!(control.exists());
            pcheck.signal(signal);
            let (lines, code) = pcheck.end();
            assert_eq!((lines, code), (vec![said.to_owned(), "Stop pcheck!!".to_owned()], Some(0)));
            assert!(!control.exists(), "the socket is left behind");
            assert_eq!(host.padmin("show pent").code, Some(2));
            assert!(lives(service.pid), "the process lives on");
            assert!(lives(script), "the script runs on");
            kill(script);
        }
    });
}

#[test]
fn sighup_reads_the_rules_again_and_what_did_not_change_keeps_its_state() {
    on_each_tier(|tier| {
        let host = Host::new();
        let (svc, other) = (host.svc(), host.install("other"));
        let start = host.restarts("start.sh", "");
        let start_other = host.script("other.sh", &format!("{other} </dev/null >/dev/null 2>&1 &"));
        let entry = format!("{svc}:{start}:86400:3:exit");
        host.rules(&entry);
        let first = host.start("");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.up(&svc);
        first.kill();
        pcheck.expect([format!("Process [{svc},pid={}] Down", first.pid), format!("Try to restart ({svc})")]);
        let second = pcheck.up(&svc);

        host.rules(&format!("{entry}\n{other}:{start_other}:86400:2:continue"));
        pcheck.signal(libc::SIGHUP);
        pcheck.expect([
            "Reloaded: 1 unchanged, 0 changed, 1 new, 0 removed".to_owned(),
            format!("Set pid fail ({other})"),
            format!("Try to restart ({other})"),
        ]);
        pcheck.up(&other);
        let kept = host.entry(1);
        assert_eq!((&kept["pid"], &kept["restart_count"]), (&second.number().into(), &1.into()));

        // What is broken is refused, by its place, and the old rules stay in force.
        host.rules(&format!("{entry}\n{other}:{start_other}:86400:2:perhaps"));
        pcheck.signal(libc::SIGHUP);
        let line = pcheck.line();
        let place = format!("Reload fail, the old rules stay: {}:6:", host.pfile());
        assert!(line.starts_with(&place), "{line}");
        let column = line[place.len()..].split(':').next().unwrap();
        assert_eq!(column.parse(), Ok(other.len() + 1 + start_other.len() + "::86400:2:".len()), "{line}");
        let by_padmin = host.padmin("reload");
        assert_eq!(by_padmin.code, Some(3));
        assert!(by_padmin.stderr.contains(&place["Reload fail, the old rules stay: ".len()..]), "{}", by_padmin.stderr);
        pcheck.until("Reload fail");
        assert_eq!(host.entry(2)["retries"], 2);
        kill(second);
        pcheck.expect([format!("Process [{svc},pid={second}] Down"), format!("Try to restart ({svc})")]);
        pcheck.up(&svc);

        // One that is gone is not watched any more, and lives on.
        let third = host.pid_of(2);
        host.rules(&entry);
        pcheck.signal(libc::SIGHUP);
        pcheck.expect(["Reloaded: 1 unchanged, 0 changed, 0 new, 1 removed"]);
        assert!(lives(third));
        assert_eq!(pcheck.stop(), [] as [String; 0]);
    });
}

#[test]
fn sigusr1_writes_the_dump() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        host.rules(&format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "")));
        let first = host.start("");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.up(&svc);
        assert!(host.read("dump").is_empty());
        pcheck.signal(libc::SIGUSR1);
        until("it is written", || !host.read("dump").is_empty());
        let dump = host.read("dump");
        let lines: Vec<Value> = dump.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["line"], &lines[0]["tier"]), (&"header".into(), &tier.name().into()));
        assert_eq!((&lines[0]["pid"], &lines[0]["pfile"]), (&pcheck.pid().number().into(), &host.pfile().into()));
        assert_eq!((&lines[1]["line"], &lines[1]["proc_sts"]), (&"entry".into(), &"AVAIL".into()));
        assert_eq!((&lines[2]["event"], &lines[2]["pid"]), (&"up".into(), &first.pid.number().into()));
    });
}

#[test]
fn sigpipe_and_a_log_that_nobody_reads_end_nobody() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        host.rules(&format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "")));
        let first = host.start("");
        let mut command = host.pcheck(tier);
        // The reading side is closed at once.
        let (reader, writer) = std::io::pipe().unwrap();
        let mut child = command.stdin(std::process::Stdio::null()).stderr(writer).spawn().unwrap();
        drop((reader, command));
        until("it watches", || host.padmin("show param").code == Some(0) && host.entry(1)["proc_sts"] == "AVAIL");
        watcher_tests::host::signal(Pid::new(child.id()).unwrap(), libc::SIGPIPE);
        first.kill();
        until("it restarts", || host.entry(1)["restart_count"] == 1 && host.entry(1)["proc_sts"] == "AVAIL");
        assert_eq!(host.padmin("shutdown").code, Some(0));
        assert_eq!(child.wait().unwrap().code(), Some(0));
    });
}
