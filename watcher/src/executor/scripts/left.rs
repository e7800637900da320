//! Scripts that an earlier pcheck has started but not saved: it was killed in the moment between the two. That it was about
//! to start one had been saved before.

use std::{collections::BTreeMap, fs, path::Path};

use watcher_core::{
    Mono, Pid, ProcId, SavedEntry,
    pfile::{AbsolutePath, Entry, EntryNumber, Pfile, print_entry},
};

use super::environment::{IPC_KEY, ipc_key};
use crate::sys::{clock, proc, proc_table};

/// The programs that run, by the first words of their command lines: read once, however many pfiles ask.
#[derive(Debug, Default)]
pub struct Left {
    by_word: Option<BTreeMap<Vec<u8>, Vec<Pid>>>,
}

impl Left {
    /// Completes what was saved of the entries of the pfile with this folder by the scripts that run.
    pub fn find(&mut self, rules: &Pfile, folder: &Path, saved: &mut [SavedEntry]) {
        for (number, entry, saved) in with_saved(rules, saved) {
            if let (None, Some(since)) = (saved.rare.script, saved.rare.last_restart) {
                let scripts = [Some(&entry.script.value), entry.clear_cmd()].into_iter().flatten();
                let mut running = scripts.flat_map(|script| self.running(script)).collect::<Vec<_>>().into_iter();
                let found = running.find_map(|pid| script_of(pid, (folder, number), entry, since));
                saved.rare.script = found.map(|proc| (proc, since));
            }
        }
    }

    /// Who may run a script: a shell names it in its second word.
    fn running(&mut self, script: &AbsolutePath) -> Vec<Pid> {
        let by_word = self.by_word.get_or_insert_with(|| {
            let mut by_word: BTreeMap<_, Vec<_>> = BTreeMap::new();
            for item in fs::read_dir("/proc").into_iter().flatten().flatten() {
                let Some(pid) = item.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::new) else {
                    continue;
                };
                for word in proc_table::command_line(pid).unwrap_or_default().into_iter().take(2) {
                    by_word.entry(word).or_default().push(pid);
                }
            }
            by_word
        });
        by_word.get(script.as_slice()).cloned().unwrap_or_default()
    }
}

/// What scripts were started for entries, by number: the script, and its process, the last one of each.
pub type Ran = BTreeMap<EntryNumber, (AbsolutePath, ProcId)>;

/// Completes what was saved by what this process itself has started for another one, which was killed before that was saved.
/// Such a script may have ended by now: what it was to bring back comes only a moment later.
pub fn complete(rules: &Pfile, ran: &Ran, saved: &mut [SavedEntry]) {
    if ran.is_empty() {
        return;
    }
    for (number, entry, saved) in with_saved(rules, saved) {
        // Of one that is back nothing is awaited.
        let awaits = saved.rare.script.is_none() && (saved.proc.is_none() || saved.rare.died_at.is_some());
        if awaits
            && let Some(since) = saved.rare.last_restart
            && let Some((script, proc)) = ran.get(&number)
            && *script == entry.script.value
            && began_since(*proc, since)
        {
            saved.rare.script = Some((*proc, since));
        }
    }
}

/// Entries of which something was saved, with that. Those that are alike stand in the same order as then.
fn with_saved<'a>(
    rules: &'a Pfile,
    saved: &'a mut [SavedEntry],
) -> impl Iterator<Item = (EntryNumber, &'a Entry, &'a mut SavedEntry)> {
    let mut places: BTreeMap<_, _> =
        saved.iter_mut().map(|saved| ((saved.text.clone(), saved.occurrence), saved)).collect();
    let mut seen = BTreeMap::new();
    rules.numbered().filter_map(move |(number, entry)| {
        // Printing takes its time.
        if places.is_empty() {
            return None;
        }
        let text = print_entry(&entry.value);
        let occurrence: &mut u32 = seen.entry(text.clone()).or_insert(0);
        let of_it = places.remove(&(text, *occurrence));
        *occurrence += 1;
        Some((number, &entry.value, of_it?))
    })
}

/// The process, if it is one that was started as a script for this entry since then. What scripts leave in the background
/// has the same environment, and may lead a session, but runs another program.
fn script_of(pid: Pid, (folder, number): (&Path, EntryNumber), entry: &Entry, since: Mono) -> Option<ProcId> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let has = |variable: &[u8]| environment.split(|byte| *byte == 0).any(|own| own == variable);
    let is_told = has(&[b"PS_PNAME=", entry.process.value.as_slice()].concat())
        && has(format!("PS_PENT_ID={number}").as_bytes())
        && has(&[IPC_KEY.as_bytes(), b"=", &ipc_key(Some(folder))].concat());
    let facts = proc::facts(pid).ok().flatten()?;
    let leads = facts.session == pid.number();
    (leads && is_told && !facts.leader_zombie && began_since(facts.proc, since)).then_some(facts.proc)
}

/// Start times count on a clock that goes on while the host sleeps, and in ticks.
fn began_since(proc: ProcId, since: Mono) -> bool {
    let ahead = clock::since_boot().0.saturating_sub(clock::now().0);
    let began_before = proc.start.0.saturating_add(1).saturating_mul(watcher_abi::NS_PER_TICK);
    began_before > since.0.saturating_add(ahead)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use watcher_core::{
        Event, Rare,
        pfile::{Bytes, UnknownOptions, read},
    };

    use super::*;
    use crate::executor::scripts::{Scripts, tests::order};

    fn saved(text: Bytes, last_restart: Mono) -> SavedEntry {
        let mut saved = SavedEntry {
            text,
            occurrence: 0,
            proc: None,
            retry_count: 1,
            restart_count: 1,
            paused: false,
            gave_up: false,
            rare: Rare::default(),
        };
        saved.rare.last_restart = Some(last_restart);
        saved
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
        let run_dir = folder.path().join("0000000a");
        fs::create_dir(&run_dir).unwrap();
        scripts.start(order(script), Some(run_dir.join("1.out")));
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
        let find_in = |run_dir: &Path, since| {
            let mut all = [saved(texts[0].clone(), since), saved(texts[1].clone(), since)];
            Left::default().find(&rules, run_dir, &mut all);
            all.map(|saved| saved.rare.script)
        };
        let find = |since| find_in(&run_dir, since);
        assert_eq!(find(before), [Some((proc, before)), None]);
        assert_eq!(find_in(&folder.path().join("0000000b"), before), [None, None], "another pfile has the same entry");
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
