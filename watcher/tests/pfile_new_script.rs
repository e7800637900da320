//! Restart scripts that `watcher new` writes, run on real processes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pfile_support;

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use pfile_support::{Folder, Ran, Service, shown, until_seen, watcher};

/// Writes pfile and script for a process; no script if it would restart the unit in which these tests run.
fn written(folder: &Folder, pid: u32) -> (Ran, String, Option<PathBuf>) {
    let output = shown(&folder.path("daemon.pfile"));
    let ran = watcher(["new", "--pid", &pid.to_string(), "-o", &output]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut scripts = fs::read_dir(folder.path(".")).unwrap().map(|item| item.unwrap().path());
    let script = scripts.find(|path| shown(path).ends_with("_restart.sh")).unwrap();
    // Where it is not installed, nothing can be said.
    if let Ok(output) = Command::new("shellcheck").arg(&script).output() {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let is_unit = fs::read_to_string(&script).unwrap().contains("systemctl");
    (ran, output, (!is_unit).then_some(script))
}

fn matches(output: &str) -> Vec<u64> {
    let explained = watcher(["explain", "--json", output]).json();
    let matches = explained["entries"][0]["matches"].as_array().unwrap().iter();
    matches.map(|process| process["pid"].as_u64().unwrap()).collect()
}

/// What runs once the script, which does not wait for it, has started it.
fn started(output: &str, but: u64) -> Vec<u64> {
    (0..2_000).map(|_| matches(output)).find(|found| found.iter().any(|pid| *pid != but)).unwrap()
}

/// A copy that another process writes: a program that one of our own threads has open for writing, in a child that is being
/// made at that moment, could not be run.
fn copy(from: &str, to: &std::path::Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn it_leaves_one_running_however_often_it_runs_and_ends_nothing_else() {
    let folder = Folder::new();
    let service = folder.service("daemon", &["600", "600.5"]);
    let (_, output, Some(script)) = written(&folder, service.pid()) else { return };
    // Like it, but not the same.
    let others = [folder.service("daemon", &["600", "600.5", "1"]), folder.service("daemon", &["600"])];
    let run = || assert!(Command::new(&script).status().unwrap().success());
    fs::write(
        &output,
        format!("{}include_strings=600.5:exclude_strings=600.5 1\n", {
            let text = fs::read_to_string(&output).unwrap();
            let (head, _) = text.rsplit_once("\n").unwrap();
            format!("{head}:")
        }),
    )
    .unwrap();
    // What `kill -9` of a master leaves behind looks the same as it.
    let orphan = folder.service("daemon", &["600", "600.5"]);
    run();
    let first = started(&output, 0);
    let [pid] = first.as_slice() else { panic!("one is wanted: {first:?}") };
    assert!(![u64::from(service.pid()), u64::from(orphan.pid())].contains(pid), "these have been ended");
    run();
    let second = started(&output, *pid);
    let [last] = second.as_slice() else { panic!("one is wanted: {second:?}") };
    for other in &others {
        let state = fs::read_to_string(format!("/proc/{}/stat", other.pid())).unwrap();
        assert!(state.contains(") S "), "it is none of its concern: {state}");
    }
    assert!(Command::new("kill").arg(last.to_string()).status().unwrap().success());
}

#[test]
fn what_it_starts_writes_where_the_process_wrote() {
    let folder = Folder::new();
    let program = folder.path("daemon");
    std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
    // Nobody will ever write into this: the shell waits, and runs nothing else.
    let fifo = folder.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let script = folder.file("serve.sh", format!("echo out\necho err >&2\nread -r _ <'{}'\n", fifo.display()));
    let log = fs::File::create(folder.path("out log")).unwrap();
    let err = fs::File::create(folder.path("err")).unwrap();
    let mut child = Command::new(&program).arg(&script).stdin(Stdio::null()).stdout(log).stderr(err).spawn().unwrap();
    until_seen(child.id(), &shown(&program));
    let written = written(&folder, child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    let (ran, output, Some(script)) = written else { return };
    assert!(!ran.err.contains("thrown away") && !ran.err.contains("throws it away"), "{ran:?}");
    for file in ["out log", "err"] {
        fs::write(folder.path(file), "before\n").unwrap();
    }
    assert!(Command::new(&script).status().unwrap().success());
    let second = started(&output, 0);
    let both = || ["out log", "err"].map(|file| fs::read_to_string(folder.path(file)).unwrap());
    let seen = (0..20_000).map(|_| both()).find(|[_, err]| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        err.ends_with("err\n")
    });
    for pid in second {
        Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    }
    assert_eq!(seen.unwrap(), ["before\nout\n", "before\nerr\n"]);
}

#[test]
fn a_daemon_that_goes_to_the_background_is_waited_for() {
    if !Path::new("/usr/sbin/nginx").exists() {
        return;
    }
    let folder = Folder::new();
    // A program of its own: other servers of the host are none of this test's concern.
    let nginx = folder.path("nginx");
    copy("/usr/sbin/nginx", &nginx);
    let at = shown(&folder.path(""));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let paths =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path {at}{name};"));
    let settings = format!(
        "pid {at}pid; error_log {at}log; events {{}}\nhttp {{ access_log off; {} server {{ listen 127.0.0.1:{port}; }} }}\n",
        paths.join(" ")
    );
    let settings = folder.file("n.conf", settings);
    assert!(Command::new(&nginx).args(["-p", &at, "-c", &settings]).status().unwrap().success());
    let master = || fs::read_to_string(folder.path("pid")).ok()?.trim().parse::<u32>().ok();
    let first = (0..20_000).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        master()
    });
    let first = first.unwrap();
    // Until then it has its master's title, and would be taken for it.
    let has_title = |pid: &str| {
        let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        title.starts_with(b"nginx: worker process")
    };
    let workers = || fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
    let is_settled = || workers().split_whitespace().next().is_some_and(has_title);
    let looks = (0..20_000).take_while(|_| !is_settled());
    looks.for_each(|_| std::thread::sleep(std::time::Duration::from_millis(1)));
    let (_, output, script) = written(&folder, first);
    let end = |pid: u32| assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    let text = fs::read_to_string(&output).unwrap();
    let Some(script) = script else { return end(first) };
    // Its workers live on, and are not taken for it.
    end(first);
    let ran = Command::new(&script).output().unwrap();
    let second = started(&output, u64::from(first));
    // A worker has its master's title for the moment until it sets its own; it goes with its master.
    for pid in &second {
        let _may_have_gone = Command::new("kill").arg(pid.to_string()).output();
    }
    assert!(ran.status.success() && !second.is_empty(), "{second:?} {ran:?}");
    assert!(text.contains("include_strings=master process"), "{text}");
    assert!(fs::read_to_string(script).unwrap().ends_with("\n\"$@\" </dev/null\n"), "it is waited for");
}

#[test]
fn a_title_that_is_no_command_is_said_and_the_script_waits_for_it() {
    let folder = Folder::new();
    // A program of its own: other tests have `sleep` running, by other names.
    let program = folder.path("titled");
    copy("/bin/sleep", &program);
    let child = Service::of(Command::new(&program).arg0("gunicorn: master [app]").arg("600"));
    until_seen(child.pid(), "gunicorn");
    let (ran, _, script) = written(&folder, child.pid());
    if let Some(script) = &script {
        let refused = Command::new(script).output().unwrap();
        let error = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1));
        assert!(error.contains("it has changed its title since it was started: edit this script"), "{error}");
        assert!(ran.err.contains("is not known, because it has changed its title"), "{ran:?}");
    }
}
