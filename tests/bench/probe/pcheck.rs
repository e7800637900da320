//! pcheck, with a pfile whose entries have ten stall checks each.

use std::{fmt::Write as _, fs, os::unix::fs::symlink, path::Path, process::Command};

use watcher::sys::proc_table;
use watcher_tests::{program::built, wait::until};

use crate::{
    endpoints::{Endpoints, Scheme},
    kept::Kept,
};

/// Blocks of one entry.
const BLOCKS: usize = 10;

pub(crate) struct Pcheck {
    pub(crate) kept: Kept,
    _processes: Kept,
}

impl Pcheck {
    /// Starts the processes that are watched, and then pcheck. Without an interval nothing is asked.
    pub(crate) fn start(folder: &Path, endpoints: &Endpoints, interval: Option<u64>) -> Self {
        let at = |name: &str| folder.join(name).display().to_string();
        let entries = endpoints.count.div_ceil(BLOCKS);
        let sleep = at("sleep");
        if !folder.join("sleep").exists() {
            symlink("/usr/bin/sleep", &sleep).expect("a link");
        }
        let mut command = Command::new("sh");
        let each = format!("for i in $(seq {entries}); do {sleep} infinity ${{i}}s & done; wait");
        let processes = Kept::start(command.arg("-c").arg(each), &folder.join("processes.said"));
        let lives = || {
            proc_table::processes().expect("/proc").iter().filter(|it| it.name.as_slice() == sleep.as_bytes()).count()
        };
        until("all processes are there", || lives() == entries);
        let mut text = format!("IPCKEY 0x1f000001\nSHM_DUMP_FILE {}\n", at("dump"));
        let all: Vec<_> = endpoints.all().collect();
        for (number, endpoints_of) in (1..).zip(all.chunks(BLOCKS)) {
            writeln!(text, "{sleep}:/usr/bin/true:86400:3:continue:include_strings=infinity {number}s").expect("text");
            for endpoint in interval.iter().flat_map(|_| endpoints_of) {
                let (host, port) = (endpoint.ip(), endpoint.port());
                let interval = interval.unwrap_or_default();
                let (block, arguments) = match endpoints.scheme {
                    Scheme::Http => ("_bi_webserv", format!("3:600:{port}:{host}")),
                    Scheme::Https => ("_bi_webservs", format!("5:600:{port}:{host}:5:/")),
                };
                let part = format!("DLL:/opt/HA/PSWE/lib/lib{block}.so:DIRECT:-");
                write!(
                    text,
                    "{block} {{\nPS_INIT {part}:-:-:0\nPS_EXEC {part}:{interval}:0:{arguments}\nPS_ACTION {part}:-:1:0\n\
                     PS_QUIT {part}:-:-:0\n}}\n"
                )
                .expect("text");
            }
        }
        fs::write(folder.join("pfile"), text).expect("room");
        let mut command = Command::new(built("watcher"));
        command.args(["pcheck", "-f", &at("pfile"), "--run-dir", &at("run"), "--log", "stderr"]);
        let kept = Kept::start(&command, &folder.join("pcheck.said"));
        until("all entries are up", || {
            let said = kept.said();
            assert!(!said.contains("Set pid fail"), "{said}");
            said.matches(") Up").count() == entries
        });
        Self { kept, _processes: processes }
    }

    /// How deaths are told to it.
    pub(crate) fn tier(&self) -> String {
        let said = self.kept.said();
        let tier = said.lines().find_map(|line| line.split_once(", tier ")).expect("it says so at its start");
        tier.1.trim().to_owned()
    }

    /// How often it has said that somebody does not answer.
    pub(crate) fn failures(&self) -> usize {
        self.kept.said().lines().skip_while(|line| !line.contains(") Up")).filter(|line| !line.contains(") Up")).count()
    }
}
