//! `watcher check --fix`: a diff first, and no change without `--write`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pfile_support;

use std::{fs, os::unix::fs::PermissionsExt as _};

use pfile_support::{Folder, sample, watcher};

#[test]
fn nothing_is_written_without_write() {
    let folder = Folder::new();
    let before = fs::read(sample("sample_socket.pfile")).unwrap();
    let file = folder.file("a.pfile", &before);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();

    let ran = watcher(["check", "--no-host", "--fix", &file]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with(&format!("--- {file}\n+++ {file}\n@@ ")), "{}", ran.out);
    let removed = "-    PS_QUIT          DLL:/opt/HA/PSWE/lib/lib_bi_socket.so:DIRECT:-:-:0\n";
    let added = "+    PS_QUIT          DLL:/opt/HA/PSWE/lib/lib_bi_socket.so:DIRECT:-:-:-:0\n";
    assert!(ran.out.contains(removed) && ran.out.contains(added), "{}", ran.out);
    assert!(ran.err.contains("3 problems can be repaired"), "{ran:?}");
    assert_eq!(fs::read(&file).unwrap(), before);

    let ran = watcher(["check", "--no-host", "--fix", "--write", "--deny-warnings", &file]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("--- "), "{ran:?}");
    assert_ne!(fs::read(&file).unwrap(), before);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o604);

    let ran = watcher(["check", "--no-host", "--fix", "--write", "--json", &file]);
    assert_eq!((ran.code, &ran.json()["files"][0]["repair"]), (Some(0), &serde_json::Value::Null));
}

#[test]
fn what_could_be_repaired_and_was_not_is_still_a_warning() {
    let ran = watcher(["check", "--no-host", "--fix", "--deny-warnings", &sample("windows.pfile")]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn a_change_that_cannot_be_shown_is_not_made() {
    let folder = Folder::new();
    let before = fs::read(sample("windows.pfile")).unwrap();
    let file = folder.file("a.pfile", &before);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_watcher"));
    let status = command.args(["check", "--no-host", "--fix", "--write", &file]).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_file_that_cannot_be_changed_keeps_no_other_from_it() {
    let folder = Folder::new();
    let text = fs::read(sample("windows.pfile")).unwrap();
    // The file that is written aside has nowhere to go: its name would be too long.
    let bad = folder.file(&"b".repeat(255), &text);
    let good = folder.file("good.pfile", &text);
    let ran = watcher(["check", "--no-host", "--fix", "--write", "--json", &bad, &good]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report = ran.json();
    let repair = |index: usize| &report["files"][index]["repair"];
    assert_eq!((&repair(0)["written"], &repair(1)["written"]), (&false.into(), &true.into()), "{report}");
    assert!(repair(0)["error"].is_string() && repair(1)["error"].is_null(), "{report}");
    assert_eq!(fs::read(&bad).unwrap(), text);
    assert_ne!(fs::read(&good).unwrap(), text);
}

#[test]
fn write_alone_is_a_wrong_command_line() {
    assert_eq!(watcher(["check", "--write", &sample("tomcat.pfile")]).code, Some(2));
}

#[test]
fn json_has_the_diff() {
    let ran = watcher(["check", "--no-host", "--fix", "--json", &sample("windows.pfile")]);
    let repair = &ran.json()["files"][0]["repair"];
    assert_eq!((&repair["problems"], &repair["written"]), (&2.into(), &false.into()));
    assert!(repair["diff"].as_str().unwrap().starts_with("--- "), "{repair}");
}
