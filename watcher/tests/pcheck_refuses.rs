//! Stall checks that cannot be meant are refused before anything is watched: by `pcheck`, and where they stand.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pfile_support;

use pfile_support::{Folder, shown, watcher};

/// What stands between `DIRECT:-:` and the end of a `PS_EXEC` line of a socket block, and what is wrong: in which column from
/// there on, and what.
const MISTAKES: &[(&str, usize, &str)] = &[
    ("9:0:2:600:80", 0, "interval-too-short"),
    ("0:0:2:600:80", 0, "interval-too-short"),
    ("-1:0:2:600:80", 0, "invalid-value"),
    ("60:0:2:59:80", 7, "retry-over-too-short"),
    ("10:0:2:9:80", 7, "retry-over-too-short"),
    ("60:0:2:600:0", 11, "invalid-value"),
    ("60:0:2:600:65536", 11, "invalid-value"),
    ("60:0:2:600:4294967376", 11, "invalid-value"),
    ("60:0:2:600:http", 11, "invalid-value"),
    ("60:0:2:600:80/tcp", 11, "invalid-value"),
    ("60:0:2:600:", 5, "field-count"),
    ("60:0:2:600:-", 11, "invalid-value"),
    ("60:0:2:600", 5, "field-count"),
    ("60:0:1:600", 5, "argument-count"),
];

#[test]
fn ports_and_times_that_cannot_be_meant_are_refused_where_they_stand() {
    let folder = Folder::new();
    let script = folder.script("start.sh", "#!/bin/sh\n");
    for kind in ["webserv", "webservs", "socket"] {
        let part = format!("DLL:/opt/HA/PSWE/lib/lib_bi_{kind}.so:DIRECT:-");
        for (exec, column, name) in MISTAKES {
            let head = format!("PS_EXEC {part}:");
            let text = format!(
                "IPCKEY 0x1\n{script}:{script}:86400:3:continue\n_bi_{kind} {{\nPS_INIT {part}:-:-:0\n{head}{exec}\n\
                 PS_ACTION {part}:-:1:0\nPS_QUIT {part}:-:-:0\n}}\n"
            );
            let file = folder.file("a.pfile", text);
            let run_dir = folder.path("run");
            let ran = watcher(["pcheck", "-f", &file, "--run-dir", &shown(&run_dir), "--log", "stderr"]);
            let place = format!("{file}:5:{}: ", head.len() + column + 1);
            let is_told =
                ran.err.contains(&place) && watcher(["check", "--no-host", &file]).out.contains(&format!("[{name}]"));
            assert!(ran.code == Some(1) && is_told, "{kind} {exec}: {place}[{name}] {ran:?}");
            assert!(!run_dir.exists() && !ran.err.contains("Start pcheck"), "{ran:?}");
        }
    }
}
