//! Scripts that an earlier pcheck has started but not saved: it was killed in the moment between the two. That it was about
//! to start one had been saved before.

use std::fs;

use watcher_core::{
    Mono, Pid, ProcId, SavedEntry,
    pfile::{AbsolutePath, Entry, EntryNumber, Pfile, print_entry},
};

use crate::sys::{clock, proc, proc_table};

/// Completes what was saved of these entries by the scripts that run.
pub fn find_left(rules: &Pfile, saved: &mut [SavedEntry]) {
    let mut seen = std::collections::BTreeMap::new();
    let mut wanted = Vec::new();
    for (number, entry) in rules.numbered() {
        let text = print_entry(&entry.value);
        let occurrence = seen.entry(text.clone()).or_insert(0);
        let of_it = |saved: &&SavedEntry| saved.text == text && saved.occurrence == *occurrence;
        if let Some(saved) = saved.iter().find(of_it).filter(|saved| saved.script.is_none())
            && let Some(since) = saved.last_restart
        {
            wanted.push((text.clone(), *occurrence, number, &entry.value, since));
        }
        *occurrence += 1;
    }
    for item in fs::read_dir("/proc").into_iter().flatten().flatten().filter(|_| !wanted.is_empty()) {
        let Some(pid) = item.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::new) else {
            continue;
        };
        let words = proc_table::command_line(pid).unwrap_or_default();
        let runs = |script: &AbsolutePath| words.iter().take(2).any(|word| word == script.as_slice());
        let it = wanted.iter().find_map(|(text, occurrence, number, entry, since)| {
            let runs = runs(&entry.script.value) || entry.clear_cmd().is_some_and(runs);
            let proc = runs.then(|| script_of(pid, *number, entry, *since)).flatten()?;
            Some((text, occurrence, proc, *since))
        });
        let Some((text, occurrence, proc, since)) = it else { continue };
        let of_it = |saved: &&mut SavedEntry| saved.text == *text && saved.occurrence == *occurrence;
        if let Some(saved) = saved.iter_mut().find(of_it) {
            saved.script = Some((proc, since));
        }
    }
}

/// The process, if it is one that was started as a script for this entry since then. What scripts leave in the background
/// has the same environment, and may lead a session, but runs another program.
fn script_of(pid: Pid, number: EntryNumber, entry: &Entry, since: Mono) -> Option<ProcId> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let has = |variable: &[u8]| environment.split(|byte| *byte == 0).any(|own| own == variable);
    let is_told =
        has(&[b"PS_PNAME=", entry.process.value.as_slice()].concat()) && has(format!("PS_PENT_ID={number}").as_bytes());
    let facts = proc::facts(pid).ok().flatten()?;
    let leads = facts.session == pid.number();

    // Start times count on a clock that goes on while the host sleeps, and in ticks.
    let ahead = clock::since_boot().0.saturating_sub(clock::now().0);
    let began_before = facts.proc.start.0.saturating_add(1).saturating_mul(watcher_abi::NS_PER_TICK);
    let began_since = began_before > since.0.saturating_add(ahead);
    (leads && is_told && !facts.leader_zombie && began_since).then_some(facts.proc)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use watcher_core::{
        Event,
        pfile::{Bytes, UnknownOptions, read},
    };

    use super::*;
    use crate::executor::scripts::{Scripts, tests::order};

    fn saved(text: Bytes, last_restart: Mono) -> SavedEntry {
        SavedEntry {
            text,
            occurrence: 0,
            proc: None,
            died_at: None,
            retry_count: 1,
            window_opened: None,
            last_restart: Some(last_restart),
            restart_count: 1,
            rerun: None,
            paused: false,
            gave_up: false,
            set_retries: None,
            set_grace: None,
            script: None,
            stalls: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_script_that_was_started_but_not_saved_is_found_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        let made = std::process::Command::new("/bin/sh")
            .args(["-c", "printf '#!/bin/sh\\nsleep 1000 &\\nsleep 1000\\n' >\"$1\" && chmod 755 \"$1\"", "-"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        let script = path.to_str().unwrap();
        let text = format!("IPCKEY 0x1\n/usr/bin/java:{script}:1:1:exit\n/usr/bin/java:{script}:1:2:exit\n");
        let rules = read(text.as_bytes(), UnknownOptions::Refuse).pfile.unwrap();
        let texts: Vec<_> = rules.entries.iter().map(|entry| print_entry(&entry.value)).collect();
        let before = clock::now();
        let mut scripts = Scripts::new().unwrap();
        scripts.start(order(script), None);
        let (mut events, mut lines, end) = (Vec::new(), Vec::new(), Instant::now() + Duration::from_secs(20));
        let proc = loop {
            assert!(Instant::now() < end);
            scripts.ready().await;
            scripts.collect(&mut events, &mut lines);
            if let Some(Event::RunStarted { script, .. }) = events.first() {
                break *script;
            }
        };
        // That it runs is known a moment before its command line and its environment can be read.
        while fs::read(format!("/proc/{}/environ", proc.pid)).unwrap().is_empty() {
            assert!(Instant::now() < end);
            tokio::task::yield_now().await;
        }
        let find = |since| {
            let mut all = [saved(texts[0].clone(), since), saved(texts[1].clone(), since)];
            find_left(&rules, &mut all);
            all.map(|saved| saved.script)
        };
        assert_eq!(find(before), [Some((proc, before)), None]);
        let long_after = Mono(clock::now().0 + 1_000_000_000);
        assert_eq!(find(long_after), [None, None], "it began before that");
        scripts.end(watcher_core::RunId(1), true, &mut events);
        while scripts.must_tend() {
            scripts.ready().await;
            scripts.collect(&mut events, &mut lines);
        }
        assert_eq!(find(before), [None, None]);
    }
}
