//! Starts of programs that are waited for, as the process connector tells them: on its own tier, and where pidfds tell of
//! deaths, only for as long as somebody is waited for.

use std::{collections::BTreeMap, os::unix::fs::symlink, process::Command};

use watcher::executor::{
    means::{Means, OnDemand},
    proc_events::ProcEvents,
    watch::Watch,
};
use watcher_core::{Event, Pid};
use watcher_tests::{host::tier_is_wanted, wait};

const NAME: &str = "is-waited-for";

#[test]
fn the_process_connector_tells_of_starts_exactly_while_they_are_expected() {
    if !tier_is_wanted("connector") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join(NAME);
    symlink("/bin/sleep", &program).unwrap();
    let on_its_own = || Means::Connector { events: ProcEvents::open(64).unwrap().into(), watched: BTreeMap::new() };
    let beside_pidfds = || Means::Pidfd { starts: OnDemand::default() };
    runtime.block_on(async {
        for means in [on_its_own(), beside_pidfds()] {
            let mut watch = Watch::new(means);
            assert!(watch.expect(NAME.as_bytes()));
            assert!(Command::new("true").status().unwrap().success(), "not waited for");
            let mut child = Command::new(&program).arg("600").spawn().unwrap();
            let told = loop {
                let readable = tokio::time::timeout(*wait::DEADLINE, watch.readable()).await.expect("it is told");
                let mut events = Vec::new();
                watch.drain(readable, &mut events);
                if !events.is_empty() {
                    break events;
                }
            };
            let pid = Pid::new(child.id()).unwrap();
            assert!(matches!(told[..], [Event::Exec { proc }] if proc.pid == pid), "{told:?}");
            child.kill().unwrap();
            child.wait().unwrap();
            watch.expect_no_more(NAME.as_bytes());
            assert!(Command::new(&program).arg("0").status().unwrap().success());
            let mut events = Vec::new();
            watch.drain(Ok(()), &mut events);
            assert!(events.is_empty() && watch.take_trouble().is_none(), "{events:?}");
        }
    });
}
