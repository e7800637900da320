//! A pcheck that is kept: whatever its scripts start ends with the test.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
};

use rustix::process::{Pid as RawPid, Signal, kill_process};
use serde_json::Value;
use watcher_core::Pid;
use watcher_tests::{
    program::{Ended, built, run, watcher},
    wait::DEADLINE,
};

use super::site::Site;

/// A pcheck, what it says, and all that it starts.
pub(super) struct Kept {
    keeper: Child,
    /// Its end is the end of everything.
    leash: Option<ChildStdin>,
    words: Receiver<String>,
    log: Receiver<String>,
    seen: Vec<String>,
    pfile: String,
    run_dir: String,
}

impl Kept {
    /// Starts a pcheck for these entries, with a `MONITOR_INTERVAL` of one second, when this script has ended.
    pub(super) fn start_after(script: &str, site: &Site, entries: &str, options: &[&str]) -> Self {
        Self::start_every(1, script, site, entries, options)
    }

    /// The same with another interval.
    pub(super) fn start_every(seconds: u32, script: &str, site: &Site, entries: &str, options: &[&str]) -> Self {
        let dump = site.at("dump");
        let param =
            format!("IPCKEY 0x1f000001\nMSG_CHECK_INTERVAL 1\nMONITOR_INTERVAL {seconds}\nSHM_DUMP_FILE {dump}\n");
        let pfile = site.write("pfile", &format!("##### PARAM #####\n{param}##### PENT #####\n{entries}\n"));
        let run_dir = site.at("run");
        let mut command = Command::new(built("keeps"));
        command.args(["/bin/sh", "-c", r#""$0" >/dev/null 2>&1; exec "$@""#, script]);
        command.arg(built("watcher")).args(["pcheck", "-f", &pfile, "--run-dir", &run_dir, "--log", "stderr"]);
        // What stands in the environment of whoever runs the tests is not for the services.
        let named =
            |name: &str| ["JAVA", "JRE", "CATALINA", "WATCHER", "APACHE"].iter().any(|word| name.starts_with(word));
        for (name, _) in std::env::vars().filter(|(name, _)| named(name)) {
            command.env_remove(name);
        }
        command.args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = command.spawn().unwrap();
        let leash = keeper.stdin.take();
        let words = lines(keeper.stdout.take().unwrap());
        let log = lines(keeper.stderr.take().unwrap());
        let _pid = words.recv_timeout(*DEADLINE).unwrap();
        Self { keeper, leash, words, log, seen: Vec::new(), pfile, run_dir }
    }

    /// The next message that contains this.
    pub(super) fn expect(&mut self, wanted: &str) -> String {
        loop {
            let Ok(line) = self.log.recv_timeout(*DEADLINE) else { panic!("no {wanted:?} after:\n{}", self.told()) };
            let (_, message) = line.split_once("]: ").unwrap_or(("", &line));
            self.seen.push(message.to_owned());
            if message.contains(wanted) {
                return message.to_owned();
            }
        }
    }

    /// The process that is up next.
    pub(super) fn up(&mut self) -> Pid {
        let message = self.expect(") Up");
        let pid = message.split_once(",pid=").and_then(|(_, rest)| rest.strip_suffix(") Up")?.parse().ok());
        pid.and_then(Pid::new).unwrap_or_else(|| panic!("{message}"))
    }

    /// Takes messages until so many of them have contained this. What is known to padmin may still be on its way.
    pub(super) fn expect_in_all(&mut self, wanted: &str, times: usize) {
        while self.seen.iter().filter(|message| message.contains(wanted)).count() < times {
            self.expect(wanted);
        }
    }

    /// Everything up to now, without what comes to light by chance: what scripts say, and who sent signals.
    pub(super) fn story(&mut self) -> Vec<String> {
        self.seen.extend(
            self.log.try_iter().map(|line| line.split_once("]: ").map_or(line.clone(), |(_, line)| line.into())),
        );
        let is_published = |line: &&String| {
            ["Up", "Down", "FATAL"].iter().any(|end| line.ends_with(end))
                || ["Try to restart", "Set pid fail"].iter().any(|start| line.starts_with(start))
                || line.contains("RETRY_OVER")
        };
        self.seen.iter().filter(is_published).cloned().collect()
    }

    /// Everything that was told.
    pub(super) fn told(&self) -> String {
        self.seen.join("\n")
    }

    /// Its exit code.
    pub(super) fn code(&mut self) -> i32 {
        let word = self.words.recv_timeout(*DEADLINE).unwrap();
        word.strip_prefix("ended ").and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{word}"))
    }

    /// Asks it something. What was watched and has died before is known by then.
    pub(super) fn padmin(&self, command: &str) -> Ended {
        let ended = run(&mut watcher(["padmin", "-f", &self.pfile, "--run-dir", &self.run_dir, "-c", command]));
        assert_eq!(ended.code, Some(0), "{command}: {ended:?}");
        ended
    }

    /// Every entry, as `padmin show pent --json` tells of it.
    pub(super) fn entries(&self) -> Vec<Value> {
        let run_dir = ["--run-dir", &self.run_dir];
        let mut padmin = watcher(["padmin", "-f", &self.pfile, "--json", "-c", "show pent"]);
        let shown: Value = serde_json::from_str(&run(padmin.args(run_dir)).stdout).unwrap();
        shown["entries"].as_array().unwrap().clone()
    }

    /// A value that `padmin show pent` shows, of a pfile with one entry.
    pub(super) fn shows(&self, name: &str) -> String {
        let shown = self.padmin("show pent").stdout;
        let values = shown.lines().filter_map(|line| line.split_once(" = "));
        let mut found = values.filter(|(shown, _)| shown.trim_end() == name).map(|(_, value)| value.to_owned());
        found.next().unwrap_or_else(|| panic!("no {name} in\n{shown}"))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.leash.take());
        let _reaped = self.keeper.wait();
    }
}

/// Kills a process at once.
pub(super) fn kill(pid: Pid) {
    signal(pid, Signal::KILL);
}

/// Sends a signal.
pub(super) fn signal(pid: Pid, signal: Signal) {
    kill_process(RawPid::from_raw(pid.number() as i32).unwrap(), signal).unwrap();
}

/// Lines as they come.
fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    told
}
