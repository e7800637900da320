//! The layout of the original: a name, padded to 20, `=`, a value.

use std::{fmt::Display, io::Write as _};

use watcher_core::Wall;

use crate::{
    control::{EntryLine, ParamLine, StallLine},
    sys::local_time,
};

/// Where there has been no restart, as the original shows it; and where no process was ever known, which is this project's
/// own choice: scripts hand the pid to `kill`, and 0 there would mean the caller's own group.
const NONE: &str = "--------";

/// `show pent`. Entries are separated by one empty line.
pub(super) fn entries(entries: &[EntryLine]) -> Vec<u8> {
    let mut out = Lines::default();
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            out.0.push(b'\n');
        }
        out.entry(entry);
    }
    out.0
}

/// `show param`
pub(super) fn param(param: &ParamLine) -> Vec<u8> {
    let mut out = Lines::default();
    out.text("ipckey", &param.ipckey);
    out.text("msg_check_interval", param.msg_check_interval);
    out.text("monitor_interval", param.monitor_interval);
    if let Some(path) = param.shm_dump_file() {
        out.bytes("shm_dump_file", &path);
    }
    out.0
}

fn time(unix_seconds: f64) -> String {
    local_time::ctime(Wall { unix_ns: (unix_seconds * 1e9) as u64 })
}

#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn entry(&mut self, entry: &EntryLine) {
        self.bytes("pname", &entry.process());
        match entry.pid {
            Some(pid) => self.text("pid", pid),
            None => self.text("pid", NONE),
        }
        self.text("retry_count", entry.retry_count);
        self.text("restart_count", entry.restart_count);
        self.text("proc_sts", &entry.proc_sts);
        for StallLine { kind, status, .. } in &entry.stall_checks {
            self.text(&format!("stall_chk ({kind})"), status);
        }
        self.text("retry_over_act", &entry.retry_over_act);
        match entry.rerun_unix_time {
            Some(rerun) => self.text("rerun_time", time(rerun)),
            None => self.text("rerun_time", NONE),
        }
        if let Some(strings) = entry.include_strings() {
            self.bytes("include_strings", &strings);
        }
        self.text("pent_id", entry.entry);
        self.text("monitor_sts", if entry.monitored { "on" } else { "off" });
    }

    fn text(&mut self, name: &str, value: impl Display) {
        // Writing to memory cannot fail.
        let _written = writeln!(self.0, "{name:<20} = {value}");
    }

    fn bytes(&mut self, name: &str, value: &[u8]) {
        self.text(name, "");
        self.0.pop();
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(process: &str) -> EntryLine {
        EntryLine {
            entry: 1,
            process: process.to_owned(),
            process_hex: None,
            pid: Some(26206),
            retry_count: 0,
            retries: 3,
            grace_s: 86_400,
            restart_count: 0,
            proc_sts: "AVAIL".to_owned(),
            doing: "watching".to_owned(),
            until_s: None,
            stall_checks: Vec::new(),
            retry_over_act: "continue".to_owned(),
            down_s: None,
            script_failed: None,
            health: "ok".to_owned(),
            troubles: Vec::new(),
            rerun_unix_time: None,
            include_strings: None,
            include_strings_hex: None,
            monitored: true,
            group: None,
            script: "/s".to_owned(),
            script_hex: None,
        }
    }

    fn shown(entry: &EntryLine) -> String {
        String::from_utf8(entries(std::slice::from_ref(entry))).unwrap()
    }

    #[test]
    fn the_newer_published_sample_is_met_to_the_byte() {
        let stall = StallLine {
            kind: "web".to_owned(),
            status: "AVAIL".to_owned(),
            port: 80,
            failures: 0,
            failing_s: None,
            why: None,
            alarms: Vec::new(),
            held: false,
            ended: false,
            took_ms: None,
            certificate_days: None,
        };
        let entry = EntryLine { stall_checks: vec![stall], ..plain("/opt/HA/PS/test_pm") };
        let sample = "\
pname                = /opt/HA/PS/test_pm
pid                  = 26206
retry_count          = 0
restart_count        = 0
proc_sts             = AVAIL
stall_chk (web)      = AVAIL
retry_over_act       = continue
rerun_time           = --------
pent_id              = 1
monitor_sts          = on
";
        assert_eq!(shown(&entry), sample);
    }

    #[test]
    fn the_published_sample_with_an_option_is_met_to_the_byte() {
        let entry = EntryLine {
            pid: Some(12742),
            retry_count: 1,
            restart_count: 1,
            retry_over_act: "exit".to_owned(),
            rerun_unix_time: Some(1_318_416_048.25),
            include_strings: Some("apache&tomcat".to_owned()),
            ..plain("/usr/bin/java")
        };
        // The zone is that of whoever runs the test.
        let rerun = local_time::ctime(Wall { unix_ns: 1_318_416_048_000_000_000 });
        assert_eq!(rerun.len(), "Wed Oct 12 10:40:48 2011".len());
        let sample = "\
pname                = /usr/bin/java
pid                  = 12742
retry_count          = 1
restart_count        = 1
proc_sts             = AVAIL
retry_over_act       = exit
rerun_time           = Wed Oct 12 10:40:48 2011
include_strings      = apache&tomcat
pent_id              = 1
monitor_sts          = on
";
        assert_eq!(shown(&entry), sample.replace("Wed Oct 12 10:40:48 2011", &rerun));
    }

    #[test]
    fn names_are_bytes_and_entries_stand_apart() {
        let first =
            EntryLine { process_hex: Some("2fff".to_owned()), pid: None, monitored: false, ..plain("/\u{fffd}") };
        let text = entries(&[first, plain("/b")]);
        assert!(text.starts_with(b"pname                = /\xff\npid                  = --------\n"));
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("monitor_sts          = off\n\npname                = /b\n"), "{text}");
        assert!(!text.ends_with("\n\n"));
    }

    #[test]
    fn parameters_are_shown_in_the_same_layout() {
        let shown = |dump: Option<&str>| {
            let param = ParamLine {
                ipckey: "0x1F000001".to_owned(),
                msg_check_interval: 5,
                monitor_interval: 10,
                shm_dump_file: dump.map(str::to_owned),
                shm_dump_file_hex: None,
                entries: 1,
                tier: "ebpf".to_owned(),
            };
            String::from_utf8(super::param(&param)).unwrap()
        };
        let lines = "ipckey               = 0x1F000001\nmsg_check_interval   = 5\nmonitor_interval     = 10\n";
        assert_eq!(shown(None), lines);
        assert_eq!(shown(Some("/d")), format!("{lines}shm_dump_file        = /d\n"));
    }
}
