//! Whoever asks is stopped in the middle of it, and goes on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod probe_support;

use std::{
    process::{Command, Stdio},
    sync::mpsc::sync_channel,
    thread::sleep,
    time::Duration,
};

use probe_support::{Peer, request, until_closed};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn that_it_was_stopped_is_not_held_against_the_service() {
    let (heard, asked) = sync_channel(1);
    let peer = Peer::new(move |mut stream| {
        request(&mut stream);
        heard.send(()).unwrap();
        until_closed(&mut stream);
    });
    let mut probe = Command::new(env!("CARGO_BIN_EXE_watcher"));
    probe.args(["probe", "--json", "--timeout", "3", &format!("http://{}/", peer.address)]).stdout(Stdio::piped());
    let probe = probe.spawn().unwrap();
    asked.recv().unwrap();
    let pid = Pid::from_child(&probe);
    kill_process(pid, Signal::STOP).unwrap();
    // Most of its time: the service would have had the rest to answer in.
    sleep(Duration::from_millis(2_500));
    kill_process(pid, Signal::CONT).unwrap();
    let report = String::from_utf8(probe.wait_with_output().unwrap().stdout).unwrap();
    assert!(report.contains("\"fault\": \"overrun\"") && report.contains("\"of_service\": false"), "{report}");
    peer.end();
}
