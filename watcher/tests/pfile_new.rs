//! `watcher new` on the command line: what it writes is in order.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pfile_support;

use std::{fs, process::Command};

use pfile_support::{Folder, Ran, shown, watcher};

fn new(arguments: &[&str]) -> Ran {
    watcher([&["new"], arguments].concat())
}

fn assert_in_order(file: &str) {
    let ran = watcher(["check", "--deny-warnings", file]);
    assert_eq!(ran.code, Some(0), "{ran:?}\n{}", fs::read_to_string(file).unwrap());
}

#[test]
fn each_of_several_alike_gets_strings_of_its_own() {
    let folder = Folder::new();
    let services = [["600", "600.1"], ["600", "600.2"]].map(|words| folder.service("daemon", &words));
    let pids = services.each_ref().map(|service| service.pid().to_string());
    let output = shown(&folder.path("a.pfile"));
    let ran = new(&["--pid", &pids[0], &pids[1], "-o", &output, "--action", "continue", "--ipckey", "0x77"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_in_order(&output);
    let text = fs::read_to_string(&output).unwrap();
    assert!(text.contains("IPCKEY              0x00000077\n"), "{text}");
    assert!(text.contains(":86400:3:continue:include_strings=600.1\n"), "{text}");
    assert!(text.contains(":86400:3:continue:include_strings=600.2\n"), "{text}");
    let explained = watcher(["explain", "--json", &output]).json();
    for (index, service) in services.iter().enumerate() {
        assert_eq!(explained["entries"][index]["watched"], service.pid());
    }
}

#[test]
fn by_name_and_with_a_block_for_the_port() {
    let folder = Folder::new();
    // An interpreter of our own, so that no other process of the host is in the way.
    let python = folder.path("python3");
    std::os::unix::fs::symlink("/usr/bin/python3", &python).unwrap();
    let program = "import http.server, sys, threading\n\
                   s = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n\
                   threading.Thread(target=s.serve_forever, daemon=True).start()\n\
                   print(s.server_port, flush=True)\nsys.stdin.read()\n";
    let script = folder.file("serve.py", program);
    let mut child = Command::new(&python)
        .arg(&script)
        .current_dir(folder.path("."))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut port).unwrap();
    let [output, unasked] = ["web.pfile", "unasked.pfile"].map(|name| shown(&folder.path(name)));
    let ran = new(&["--pid", &child.id().to_string(), "-o", &output]);
    let silent = new(&["--pid", &child.id().to_string(), "-o", &unasked, "--no-stall-checks"]);
    let checked = watcher(["check", "--deny-warnings", &output]);
    drop(child.stdin.take());
    let log = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert_eq!((ran.code, checked.code, silent.code), (Some(0), Some(0), Some(0)), "{ran:?} {checked:?} {silent:?}");
    assert_eq!(log.matches("GET / ").count(), 1, "asked once by the one, and not by the other: {log}");
    let text = fs::read_to_string(&output).unwrap();
    assert!(text.contains(&format!(":60:0:2:600:{}\n", port.trim())) && text.contains("_bi_webserv {"), "{text}");
    assert!(text.contains(&format!("include_strings={script}\n")), "{text}");
}

#[test]
fn in_a_pid_namespace_whose_sessions_began_outside_of_it() {
    let folder = Folder::new();
    let (daemon, output) = (shown(&folder.path("daemon")), folder.path("daemon.pfile"));
    std::os::unix::fs::symlink("/bin/sleep", &daemon).unwrap();
    let script = r#""$0" 600 & until grep -q "^$0" "/proc/$!/cmdline"; do :; done
                    "$1" new --pid $! -o "$2"; status=$?; kill $!; exit $status"#;
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", script, &daemon, env!("CARGO_BIN_EXE_watcher")]);
    let ran = command.arg(&output).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert!(fs::read_to_string(&output).unwrap().contains(&format!("{daemon}:")), "{ran:?}");
}

#[test]
fn what_is_there_is_not_written_over() {
    let folder = Folder::new();
    let service = folder.service("daemon", &["600"]);
    let (pid, output) = (service.pid().to_string(), folder.file("daemon.pfile", "mine\n"));
    let ran = new(&["--pid", &pid, "-o", &output]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(fs::read_to_string(&output).unwrap(), "mine\n");
    assert!(!folder.path("daemon_restart.sh").exists(), "nothing else is written either");
    assert_eq!(new(&["--pid", &pid, "-o", &output, "--force"]).code, Some(0));
    assert_in_order(&output);
}

#[test]
fn what_cannot_be_told_apart_is_refused() {
    let folder = Folder::new();
    let twins = [folder.service("daemon", &["600"]), folder.service("daemon", &["600"])];
    let output = shown(&folder.path("a.pfile"));
    let ran = new(&["--name", "daemon", "--pid", &twins[0].pid().to_string(), "-o", &output]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains(&format!("cannot be told from process {}", twins[1].pid())), "{ran:?}");
    assert!(!folder.path("a.pfile").exists());
    assert_eq!(new(&[]).code, Some(2), "nobody can be asked");
    assert_eq!(new(&["--pid", "4000000", "-o", &output]).code, Some(1));
}
