//! `watcher check` on the command line: what it prints, and how it ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pfile_support;

use std::{fs, os::unix::fs::PermissionsExt as _};

use pfile_support::{Folder, Ran, sample, shown, watcher};

/// Names of all problems in the `--json` report.
fn names(ran: &Ran) -> Vec<String> {
    let report = ran.json();
    let files = report["files"].as_array().unwrap().iter();
    let problems = files.flat_map(|file| file["problems"].as_array().unwrap());
    problems.map(|problem| problem["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_diagnostic_begins_with_file_line_and_column() {
    let folder = Folder::new();
    let file = folder.file("bad.pfile", "IPCKEY 0x1\n/a:/b:86400:3:exitt\n/c:d:x:3:exit\n");
    let ran = watcher(["check", "--no-host", &file]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let first: Vec<_> = ran.out.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!(
        first,
        [
            format!("{file}:2:15: error: `exitt` is not a retry-over action [unknown-action]"),
            format!("{file}:3:4: error: the restart script `d` is not an absolute path [relative-path]"),
            format!("{file}:3:6: error: the grace value is `x`, not a number [invalid-value]"),
        ]
    );
    assert!(ran.out.contains(" 2 | /a:/b:86400:3:exitt\n   |               ^^^^^\n   = hint: did you mean `exit`?"));
    assert_eq!(ran.err, "watcher: 1 file checked: 3 errors, 0 warnings\n");
}

#[test]
fn samples_load_and_warnings_can_be_denied() {
    for name in ["tomcat", "sample_web", "sample_https", "sample_socket", "misspelt", "windows", "comments_euc_jp"] {
        let ran = watcher(["check", "--no-host", &sample(&format!("{name}.pfile"))]);
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
    }
    assert_eq!(watcher(["check", "--no-host", "--deny-warnings", &sample("tomcat.pfile")]).code, Some(0));
    assert_eq!(watcher(["check", "--no-host", "--deny-warnings", &sample("sample_web.pfile")]).code, Some(1));
}

#[test]
fn json_has_everything_that_the_text_has() {
    let folder = Folder::new();
    let file = folder.file("bad.pfile", "IPCKEY 0x1\nIPCKEY 0x2\n/a:/b:86400:3:exit:\n");
    let ran = watcher(["check", "--no-host", "--json", &file]);
    assert_eq!(ran.code, Some(1));
    let report = ran.json();
    assert_eq!(report["schema"], 1);
    assert_eq!((&report["errors"], &report["warnings"]), (&1.into(), &1.into()));
    let problem = &report["files"][0]["problems"][0];
    let expected = serde_json::json!({
        "name": "duplicate-parameter", "severity": "error", "line": 2, "column": 1, "end_line": 2, "end_column": 7,
        "entry": null, "message": "`IPCKEY` is given a second time", "hint": "keep one of the two lines",
        "related": {"line": 1, "column": 1, "note": "it was given here first"}, "fixable": false,
    });
    assert_eq!(problem, &expected);
    assert_eq!(report["files"][0]["problems"][1]["entry"], 1);
}

#[test]
fn a_wrong_command_line_a_missing_file_and_a_folder_are_told_apart() {
    assert_eq!(watcher(["check"]).code, Some(2));
    let folder = Folder::new();
    let missing = folder.path("missing").to_str().unwrap().to_owned();
    let ran = watcher(["check", "--no-host", &missing, &sample("tomcat.pfile")]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains(&format!("{missing} cannot be read")), "{ran:?}");
    assert_eq!(watcher(["check", "--no-host", "/tmp"]).code, Some(1));
}

#[test]
fn what_hurts_on_this_host_is_found_by_name() {
    let folder = Folder::new();
    let one = folder.service("daemon", &["600", "600.1"]);
    let two = folder.service("daemon", &["600", "600.2"]);
    let daemon = folder.path("daemon");
    let script = folder.script("restart", "#!/bin/sh\n");
    let head = |name: &str| format!("IPCKEY 0x7001\nSHM_DUMP_FILE {}\n", folder.path(name).display());
    let entry = |rest: &str| format!("{}:{script}:86400:3:exit{rest}\n", daemon.display());
    let lints = |text: String| names(&watcher(["check", "--json", &folder.file("a.pfile", text)]));

    assert_eq!(lints(head("dump") + &entry(":include_strings=600.1")), [""; 0], "{}", one.pid());
    assert_eq!(lints(head("dump") + &entry("")), ["several-matches"], "{}", two.pid());
    assert_eq!(lints(head("dump") + &entry(":include_strings=600.3")), ["no-match"]);
    assert_eq!(lints(head("no/dump") + &entry(":include_strings=600.1")), ["dump-not-writable"]);
    let overlap = entry(":include_strings=600.1") + &entry(":include_strings=daemon:exclude_strings=600.2");
    assert_eq!(lints(head("dump") + &overlap), ["overlapping-entries"]);
    let own = entry("").replace(daemon.to_str().unwrap(), env!("CARGO_BIN_EXE_watcher"));
    assert_eq!(lints(head("dump") + &own), ["matches-watcher"]);
    let missing = entry("").replace(daemon.to_str().unwrap(), "/no/such/program").replace(&script, "/no/such/script");
    assert_eq!(lints(head("dump") + &missing), ["process-missing", "script-missing"]);

    folder.script("restart", "#!/bin/nosuchshell\n");
    assert_eq!(lints(head("dump") + &entry(":include_strings=600.1")), ["script-interpreter"]);
    folder.script("restart", "#!/bin/sh\n");

    for (mode, expected) in [(0o644, "script-not-executable"), (0o757, "script-writable")] {
        fs::set_permissions(&script, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(lints(head("dump") + &entry(":include_strings=600.1")), [expected]);
    }
}

#[test]
fn a_port_is_silent_until_somebody_listens() {
    let folder = Folder::new();
    let _service = folder.service("daemon", &["600"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = folder.script("restart", "#!/bin/sh\n");
    let library = "DLL:/opt/HA/PSWE/lib/lib_bi_socket.so:DIRECT:-";
    let text = format!(
        "IPCKEY 0x7002\n{}:{script}:86400:3:exit\n_bi_socket {{\nPS_INIT {library}:-:-:0\nPS_EXEC \
         {library}:60:0:2:600:{port}\nPS_ACTION {library}:-:1:0\nPS_QUIT {library}:-:-:0\n}}\n",
        folder.path("daemon").display()
    );
    let file = folder.file("a.pfile", text);
    assert_eq!(names(&watcher(["check", "--json", &file])), [""; 0]);
    drop(listener);
    // A child that another test is making at that moment has it for a while.
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
        std::thread::yield_now();
    }
    assert_eq!(names(&watcher(["check", "--json", &file])), ["port-not-listening"]);
}

#[test]
fn files_are_compared_with_each_other() {
    let folder = Folder::new();
    let text = "IPCKEY 0x1\nSHM_DUMP_FILE /tmp/same\n/a:/b:86400:3:exit\n";
    let (one, two) = (folder.file("1.pfile", text), folder.file("2.pfile", text));
    let ran = watcher(["check", "--no-host", "--json", &one, &two]);
    assert_eq!(names(&ran), ["duplicate-ipckey", "duplicate-dump-file", "overlapping-entries"]);
    let allowed = folder.file("2.pfile", format!("#@ allow=duplicate-ipckey,duplicate-dump-file\n{text}"));
    assert_eq!(names(&watcher(["check", "--no-host", "--json", &one, &allowed])), ["overlapping-entries"]);
}

#[test]
fn every_name_is_listed() {
    let ran = watcher(["check", "--list"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.out.lines().any(|line| line.starts_with("grace-too-short ") && line.contains(" warning ")));
}

#[test]
fn what_is_no_file_is_refused_and_counted() {
    let ran = watcher(["check", "--no-host", "/dev/zero", "/no/such/file", "/tmp"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("/dev/zero cannot be read: it is a device, not a file"), "{ran:?}");
    assert!(ran.err.ends_with("0 files checked; 3 could not be read\n"), "{ran:?}");
}

#[test]
fn a_script_that_others_can_replace_is_told_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let (process, script) = (folder.service("replaceable", &["600"]), folder.script("restart.sh", "#!/bin/sh\n"));
    let program = folder.path("replaceable").display().to_string();
    let file = folder.file("a.pfile", format!("IPCKEY 0x1\n{program}:{script}:86400:3:exit\n"));
    let told = |mode: u32| {
        let open = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path("").as_path(), open).unwrap();
        watcher(["check", &file]).out.contains("[script-writable]")
    };
    assert!(!told(0o755));
    assert!(told(0o777));
    assert!(!told(0o1777), "in a sticky folder only its owner can");
    drop(process);
}

#[test]
fn what_is_an_error_cannot_be_allowed() {
    let folder = Folder::new();
    let file = folder.file("a.pfile", "#@ allow=interval-too-short\nIPCKEY 0x1\n/a:/b:86400:3:exit\n");
    let ran = watcher(["check", "--no-host", &file]);
    assert!(ran.out.contains("`interval-too-short` is an error, which cannot be allowed"), "{}", ran.out);
}

#[test]
fn a_host_that_has_no_address_is_refused_where_it_stands() {
    let folder = Folder::new();
    let script = folder.script("start.sh", "#!/bin/sh\n");
    let text = format!(
        "IPCKEY 0x1\n{script}:{script}:86400:3:continue\n_bi_webserv {{\n\
         PS_INIT DLL:/lib_bi_webserv.so:DIRECT:-:-:-:0\n\
         PS_EXEC DLL:/lib_bi_webserv.so:DIRECT:-:60:0:3:600:80:no.such.host.invalid\n\
         PS_ACTION DLL:/lib_bi_webserv.so:DIRECT:-:-:1:0\nPS_QUIT DLL:/lib_bi_webserv.so:DIRECT:-:-:-:0\n}}\n"
    );
    let file = folder.file("a.pfile", text);
    let place = format!("{file}:5:55: ");
    let checked = watcher(["check", &file]);
    assert!(checked.out.contains(&place) && checked.out.contains("no.such.host.invalid"), "{checked:?}");
    if checked.out.contains("the host `no.such.host.invalid` has no address") {
        // Where the resolver knows that there is no such name. Another one may be silent.
        assert_eq!(checked.code, Some(1), "{checked:?}");
        let ran = watcher(["pcheck", "-f", &file, "--run-dir", &shown(&folder.path("run")), "--log", "stderr"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains(&format!("{place}the host `no.such.host.invalid` has no address")), "{ran:?}");
    }
    let by_text = watcher(["check", "--no-host", &file]);
    assert_eq!(by_text.code, Some(0), "{by_text:?}");
}

#[test]
fn a_file_of_authorities_must_hold_certificates() {
    let folder = Folder::new();
    let ca = folder.file("ca.pem", "nothing of the kind\n");
    let check = |extensions: &str| {
        let text = format!("IPCKEY 0x1\n/bin/sh:/bin/sh:0:3:continue\n#@ ca={ca} verify=on {extensions}\n");
        let file = folder.file("a.pfile", text);
        (watcher(["check", "--json", &file]), watcher(["check", "--no-host", "--json", &file]))
    };
    let told = |ran: &Ran| names(ran).contains(&"ca-unusable".to_owned());
    let (by_host, by_text) = check("");
    assert!(told(&by_host) && !told(&by_text), "{by_host:?} {by_text:?}");
    assert!(by_host.out.contains("ca.pem has no certificate in it"), "{by_host:?}");
    assert!(!told(&check("allow=ca-unusable").0));
    assert!(watcher(["check", "--list"]).out.contains("\nca-unusable "));
}
