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
