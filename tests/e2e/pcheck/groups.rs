//! Groups, counts, and what may surround a restart script, with real processes (section 10.3 of the spec).

use std::time::Duration;

use watcher_core::Pid;
use watcher_tests::{
    host::{Host, kill, lives, on_each_tier},
    pcheck::{Pcheck, is_published},
};

#[test]
fn a_group_is_stopped_from_last_to_first_and_started_from_first_to_last() {
    on_each_tier(|tier| {
        let host = Host::new();
        let names = ["db", "app", "web"];
        let paths = names.map(|name| host.install(name));
        let entry = |name: &str| {
            let body = format!("echo {name} >> ${{H}}order\n${{H}}{name} </dev/null >/dev/null 2>&1 &");
            format!("{}:{}:86400:3:exit:grp_tag=shop", host.path(name), host.script(&format!("{name}.sh"), &body))
        };
        host.rules(&names.map(entry).join("\n"));
        let [db, app, web] = names.map(|name| host.start_as(name, ""));
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        for path in &paths {
            pcheck.up(path);
        }
        app.kill();
        let [db_path, app_path, web_path] = paths.each_ref().map(String::as_str);
        pcheck.expect([
            format!("Process [{app_path},pid={}] Down", app.pid),
            format!("({app_path}) Restart group [shop]"),
            format!("Try to restart ({db_path})"),
        ]);
        // They were asked to end, not killed.
        assert_eq!((db.end(), web.end()), (Some(libc::SIGTERM), Some(libc::SIGTERM)));
        let db_again = pcheck.up(db_path);
        pcheck.expect([format!("Try to restart ({app_path})")]);
        pcheck.up(app_path);
        pcheck.expect([format!("Try to restart ({web_path})")]);
        pcheck.up(web_path);
        assert_eq!(host.read("order"), "db\napp\nweb\n");
        assert!(lives(db_again));
        for entry in 1..=3 {
            let entry = host.entry(entry);
            assert_eq!(
                (&entry["retry_count"], &entry["restart_count"], &entry["group"]),
                (&1.into(), &1.into(), &"shop".into())
            );
        }
        assert_eq!(pcheck.stop(), [] as [String; 0]);
    });
}

#[test]
fn a_member_that_ignores_sigterm_is_killed_after_its_time() {
    let host = Host::new();
    let (svc, other) = (host.svc(), host.install("other"));
    let script = |name: &str| host.script(&format!("{name}.sh"), &format!("${{H}}{name} </dev/null >/dev/null 2>&1 &"));
    let entries = ["svc", "other"].map(|name| format!("{}:{}:86400:3:exit:grp_tag=g", host.path(name), script(name)));
    host.rules(&entries.join("\n"));
    let (stubborn, dies) = (host.start("ignore_term"), host.start_as("other", ""));
    let mut pcheck = Pcheck::started(&mut host.pcheck(watcher_tests::host::Tier::best()));
    assert_eq!([pcheck.up(&svc), pcheck.up(&other)], [stubborn.pid, dies.pid]);
    let began = std::time::Instant::now();
    dies.kill();
    pcheck.expect([
        format!("Process [{other},pid={}] Down", dies.pid),
        format!("({other}) Restart group [g]"),
        format!("Killed Process: pid= {}", stubborn.pid),
        format!("Try to restart ({svc})"),
    ]);
    assert!(began.elapsed() >= Duration::from_secs(10), "it has ten seconds: {:?}", began.elapsed());
    assert_eq!(stubborn.end(), Some(libc::SIGKILL));
    assert_ne!(pcheck.up(&svc), stubborn.pid);
}

#[test]
fn too_few_and_too_many_processes_are_put_right_by_the_script() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        // It leaves exactly two.
        let body = "pids=$(cat ${H}pids); for pid in $pids; do kill -9 $pid; done\n\
                    for pid in $pids; do while grep -qs '^State:.[^Z]' /proc/$pid/status; do sleep 0.01; done; done\n\
                    ${H}svc one </dev/null >/dev/null 2>&1 & ${H}svc two </dev/null >/dev/null 2>&1 &";
        let script = host.script("start.sh", body);
        host.rules(&format!("{svc}:{script}:86400:3:exit:min_proc_count=2:max_proc_count=3"));
        let [one, two, three] = [host.start("1"), host.start("2"), host.start("3")];
        let pids = |pids: &[Pid]| host.write("pids", &pids.iter().map(|pid| format!("{pid}\n")).collect::<String>());
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        assert_eq!(pcheck.up(&svc), one.pid);
        pids(&[one.pid]);
        // The one that is watched stays: only their number is wrong.
        two.kill();
        three.kill();
        pcheck.expect([format!("Process [{svc}] has 1 process, wanted are 2 to 3"), format!("Try to restart ({svc})")]);
        let first = pcheck.up(&svc);
        assert_ne!(first, one.pid);
        assert_eq!(one.end(), Some(libc::SIGKILL), "by the script");
        let all = || {
            let processes = watcher::sys::proc_table::processes().unwrap();
            let ours =
                processes.into_iter().filter(|process| !process.zombie && process.name.as_slice() == svc.as_bytes());
            ours.map(|process| process.proc.pid).collect::<Vec<_>>()
        };
        // The script is not to run before it is told which they are.
        pcheck.signal(libc::SIGSTOP);
        let two_more = [host.start("3"), host.start("4")];
        pids(&all());
        pcheck.signal(libc::SIGCONT);
        pcheck
            .expect([format!("Process [{svc}] has 4 processes, wanted are 2 to 3"), format!("Try to restart ({svc})")]);
        pcheck.up(&svc);
        assert_eq!(two_more.map(|service| service.end()), [Some(libc::SIGKILL); 2]);
        assert_eq!(all().len(), 2);
        let lines = pcheck.stop();
        assert!(!lines.iter().any(|line| is_published(line)), "{lines:#?}");
    });
}

#[test]
fn clear_cmd_runs_before_the_script_and_the_look_comes_after_restart_waittime() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let clear = host.script("clear.sh", "echo clear $PS_PID >> ${H}order");
        let start = host.script("start.sh", "echo start $PS_PID >> ${H}order\n${H}svc </dev/null >/dev/null 2>&1 &");
        host.rules(&format!("{svc}:{start}:86400:3:exit:clear_cmd={clear}:restart_waittime=2"));
        let first = host.start("");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        assert_eq!(pcheck.up(&svc), first.pid);
        first.kill();
        pcheck.expect([format!("Process [{svc},pid={}] Down", first.pid), format!("Try to restart ({svc})")]);
        let tried = pcheck.last;
        let second = pcheck.up(&svc);
        assert!(pcheck.last.duration_since(tried) >= Duration::from_secs(2), "{:?}", pcheck.last.duration_since(tried));
        assert_eq!(host.read("order"), format!("clear {0}\nstart {0}\n", first.pid));
        kill(second);
        pcheck.until("Try to restart");
        pcheck.up(&svc);
        assert_eq!(host.read("order").lines().count(), 4);
    });
}
