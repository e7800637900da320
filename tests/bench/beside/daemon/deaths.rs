//! Very many deaths at once: none is lost, nobody is restarted twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use watcher::sys::pidfd;

use super::{
    scene::{LIMIT, Scene},
    table,
};
use crate::{
    ground::Worker,
    news::News,
    tools::{Told, watcher::told},
};

/// After so long without a script nothing more is to come: longer than any pause between two restarts.
const SILENCE: Duration = Duration::from_secs(3);

pub(super) fn run(count: usize) {
    let scene = Scene::of(count);
    let (pcheck, _) = scene.pcheck();
    let held: Vec<_> = scene.ground.workers().filter_map(|worker| scene.ground.hold(worker)).collect();
    let begun = Instant::now();
    for pidfd in &held {
        pidfd::send(pidfd, libc::SIGKILL as u8).expect("root may");
    }
    let (mut known, mut restarted) = (BTreeSet::new(), BTreeMap::<Worker, usize>::new());
    let (mut all_known, mut all_restarted) = (Duration::ZERO, Duration::ZERO);
    while begun.elapsed() < LIMIT {
        let limit = if restarted.len() == count { SILENCE } else { LIMIT.saturating_sub(begun.elapsed()) };
        let Ok(news) = scene.news.recv_timeout(limit) else { break };
        match news {
            News::Began(_, worker) => {
                *restarted.entry(worker).or_default() += 1;
                all_restarted = begun.elapsed();
            }
            News::Said(_, line) => {
                if let Some(Told::Death(worker)) = told(&line)
                    && known.insert(worker)
                {
                    all_known = begun.elapsed();
                }
            }
        }
    }
    drop(pcheck);
    table(
        "killed at once",
        &[
            ("killed", held.len() as f64),
            ("known", known.len() as f64),
            ("restarted", restarted.len() as f64),
            ("twice", restarted.values().filter(|times| **times > 1).count() as f64),
            ("until all were known, ms", all_known.as_secs_f64() * 1e3),
            ("until all were restarted, ms", all_restarted.as_secs_f64() * 1e3),
        ],
    );
}
