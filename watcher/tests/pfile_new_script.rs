//! Restart scripts that `watcher new` writes, run on real processes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pfile_support;

use std::{fs, os::unix::process::CommandExt as _, path::PathBuf, process::Command};

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
fn a_title_that_is_no_command_is_said_and_the_script_waits_for_it() {
    let folder = Folder::new();
    // A program of its own: other tests have `sleep` running, by other names.
    let program = folder.path("titled");
    fs::copy("/bin/sleep", &program).unwrap();
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
