//! Places that cannot be used: full disks, folders that are something else, and places that another pcheck has.

use std::{fs, os::unix::fs::symlink, process::Command};

use watcher_core::Pid;
use watcher_tests::{
    host::{Host, Tier, kill, on_each_tier},
    pcheck::{Pcheck, die_with_the_test},
    program::built,
};

/// pcheck in a mount namespace of its own, after these mounts.
fn behind_mounts(host: &Host, tier: Tier, mounts: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!(r#"{mounts} && exec "$@""#);
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(built("watcher"));
    command.args(["pcheck", "-f", &host.pfile(), "--run-dir", &host.run_dir()]);
    command.args(["--log", "stderr", "--tier", tier.name()]);
    die_with_the_test(&mut command);
    command
}

#[test]
fn a_full_disk_is_told_once_for_each_file_and_restarts_go_on() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        fs::create_dir(host.path("run")).unwrap();
        fs::create_dir(host.path("small")).unwrap();
        let start = host.restarts("start.sh", "");
        let text = format!(
            "{}SHM_DUMP_FILE {}\n{svc}:{start}:86400:9:exit\n",
            watcher_tests::host::PARAM,
            host.path("small/dump")
        );
        host.write("pfile", &text);
        let first = host.start("");
        let (run, small) = (host.run_dir(), host.path("small"));
        // Room for folders, sockets, empty files, and the page of the lock; the next page is one too many.
        let mounts = format!(
            "mount -t tmpfs -o size=8k,mode=755 none {run} && mount -t tmpfs -o size=4k,mode=755 none {small} && \
             head -c 4096 /dev/zero > {small}/full && mkdir -m 700 {run}/00000001 && \
             echo > {run}/00000001/full"
        );
        let mut pcheck = Pcheck::start(&mut behind_mounts(&host, tier, &mounts));
        let mut lines = pcheck.until(") Up");
        let mut service = first.pid;
        for _ in 0..3 {
            kill(service);
            lines.extend(pcheck.until(&format!("Process [{svc},pid={service}] Down")));
            lines.extend(pcheck.until("Try to restart"));
            lines.extend(pcheck.until(") Up"));
            let up = lines.last().unwrap();
            let pid = up.split("pid=").nth(1).unwrap().split(')').next().unwrap();
            service = Pid::new(pid.parse().unwrap()).unwrap();
        }
        pcheck.signal(libc::SIGTERM);
        let (rest, code) = pcheck.end();
        lines.extend(rest);
        assert_eq!(code, Some(0), "{lines:#?}");
        let full: Vec<_> = lines.iter().filter(|line| line.contains("No space left on device")).collect();
        let about = |what: &str| full.iter().filter(|line| line.contains(what)).count();
        assert_eq!(about("/00000001/state cannot be written: "), 1, "{lines:#?}");
        assert_eq!(about("small/dump cannot be written: "), 1, "{lines:#?}");
        assert_eq!(full.len(), 2, "{lines:#?}");
    });
}

#[test]
fn a_run_directory_that_is_something_else_is_refused_with_a_sentence() {
    on_each_tier(|tier| {
        let host = Host::new();
        host.rules(&format!("{}:{}:86400:9:exit", host.svc(), host.restarts("start.sh", "")));
        let run = host.run_dir();
        fs::write(&run, "a file").unwrap();
        let (lines, code) = Pcheck::start(&mut host.pcheck(tier)).end();
        let sentence = format!("{run} cannot be used: it is not a folder; --run-dir chooses another place");
        assert_eq!((lines, code), (vec![sentence], Some(1)));
        fs::remove_file(&run).unwrap();

        symlink(host.path(""), &run).unwrap();
        let (lines, code) = Pcheck::start(&mut host.pcheck(tier)).end();
        let sentence = format!("{run} cannot be used: it is a symbolic link; --run-dir chooses another place");
        assert_eq!((lines, code), (vec![sentence], Some(1)));
        fs::remove_file(&run).unwrap();

        fs::create_dir(&run).unwrap();
        let read_only = format!("mount --bind {run} {run} && mount -o remount,bind,ro {run}");
        let (lines, code) = Pcheck::start(&mut behind_mounts(&host, tier, &read_only)).end();
        let sentence = format!(
            "{run}/00000001 cannot be used: Read-only file system (os error 30); --run-dir chooses another place"
        );
        assert_eq!((lines, code), (vec![sentence], Some(1)));
    });
}

#[test]
fn one_pfile_is_watched_once_whatever_it_is_called_and_a_key_is_for_one_pfile() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        host.rules(&format!("{svc}:{}:86400:9:exit", host.restarts("start.sh", "")));
        let service = host.start("");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        assert_eq!(pcheck.up(&svc), service.pid);
        symlink(host.pfile(), host.path("symlink")).unwrap();
        fs::hard_link(host.pfile(), host.path("hardlink")).unwrap();
        fs::copy(host.pfile(), host.path("copy")).unwrap();
        let second = |name: &str| {
            let mut command = watcher_tests::program::watcher(["pcheck", "-f", &host.path(name)]);
            command.args(["--run-dir", &host.run_dir(), "--log", "stderr", "--tier", tier.name()]);
            die_with_the_test(&mut command);
            Pcheck::start(&mut command).end()
        };
        let (pid, pfile) = (pcheck.pid(), fs::canonicalize(host.pfile()).unwrap());
        let already = format!("already watched by pcheck[{pid}], pfile {}, IPCKEY 0x00000001", pfile.display());
        for name in ["pfile", "symlink", "hardlink"] {
            assert_eq!(second(name), (vec![already.clone()], Some(2)), "{name}");
        }
        let taken = format!(
            "IPCKEY 0x00000001 is in use by pcheck[{pid}] for another pfile {}: give each pfile its own",
            pfile.display()
        );
        assert_eq!(second("copy"), (vec![taken], Some(2)));
        // Another key for the same file, because it was changed meanwhile.
        let text = fs::read_to_string(host.pfile()).unwrap().replace("IPCKEY 0x1", "IPCKEY 0x2");
        fs::write(host.pfile(), text).unwrap();
        assert_eq!(second("pfile"), (vec![already], Some(2)));
        assert_eq!(pcheck.stop(), [] as [String; 0]);
    });
}
