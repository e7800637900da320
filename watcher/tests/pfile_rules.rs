//! What operators copy from `rules/` is in order.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pfile_support;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use pfile_support::{shown, watcher};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules");

/// Files in `rules/`, however deep, whose names end so.
fn files(ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut left = vec![PathBuf::from(RULES)];
    while let Some(folder) = left.pop() {
        for path in fs::read_dir(folder).unwrap().map(|item| item.unwrap().path()) {
            if path.is_dir() {
                left.push(path);
            } else if shown(&path).ends_with(ending) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn every_pfile_loads_without_a_warning() {
    let pfiles = files(".pfile");
    assert!(pfiles.len() >= 12, "{pfiles:?}");
    for pfile in &pfiles {
        let ran = watcher(["check", "--no-host", "--deny-warnings", &shown(pfile)]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}

#[test]
fn they_can_all_be_used_on_one_host() {
    let pfiles = files(".pfile");
    let ran =
        watcher(["check".to_owned(), "--no-host".to_owned()].into_iter().chain(pfiles.iter().map(|path| shown(path))));
    assert!(!ran.out.contains("[duplicate-"), "{}", ran.out);
}

#[test]
fn every_folder_says_what_to_adapt_and_every_script_that_is_named_is_there() {
    let scripts = files(".sh");
    for pfile in files(".pfile") {
        assert!(pfile.with_file_name("README.md").is_file(), "{}", pfile.display());
        let text = fs::read_to_string(&pfile).unwrap();
        let named = text.split(':').filter(|field| field.ends_with(".sh"));
        for name in named.map(|path| Path::new(path).file_name().unwrap()) {
            assert!(
                scripts.iter().any(|script| script.file_name() == Some(name)),
                "{} names {name:?}",
                pfile.display()
            );
        }
    }
}

#[test]
fn scripts_are_executable_and_clean() {
    for script in files(".sh") {
        assert_eq!(fs::metadata(&script).unwrap().permissions().mode() & 0o777, 0o755, "{}", script.display());
        assert!(Command::new("sh").arg("-n").arg(&script).status().unwrap().success(), "{}", script.display());
        match Command::new("shellcheck").arg(&script).output() {
            // Not on every developer's machine; `sh -n` has looked at it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => panic!("{error}"),
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        }
    }
}
