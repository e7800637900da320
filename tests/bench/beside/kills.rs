//! Workers die at random times; who notices, and when does their start script run?

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use watcher::sys::{clock, pidfd};
use watcher_core::Mono;

use crate::{
    arguments::Windows,
    ground::{Ground, Worker, number},
    news::News,
    tools::{Revival, Told, Tool},
};

/// Between two deaths, on average, if there are enough workers.
const PACE: Duration = Duration::from_millis(300);

/// Between two deaths of one worker, on average: more than any tool's pause between two starts, which is one second.
const REST: Duration = Duration::from_millis(3_500);

/// Who dies when. The same for all tools.
pub(crate) struct Kills<'a> {
    ground: &'a Ground,
    tool: &'a Tool,
    chance: Chance,
    /// All workers, in the order of their deaths.
    order: Vec<Worker>,
    next: usize,
    /// Those that were given up: what comes of them later counts no more.
    missed: BTreeSet<Worker>,
}

struct Kill {
    at: Mono,
    asked: Instant,
    known: Option<u64>,
    began: Option<u64>,
}

/// What came of a time of kills, in nanoseconds.
#[derive(Default)]
struct Tally {
    kills: usize,
    known: Vec<u64>,
    began: Vec<u64>,
    missed: usize,
    /// Start scripts for workers who lived.
    needless: usize,
    /// The tool is as it was before the last death.
    recovered: bool,
}

impl<'a> Kills<'a> {
    pub(crate) fn plan(ground: &'a Ground, tool: &'a Tool) -> Self {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let mut order: Vec<_> = ground.workers().collect();
        for at in (1..order.len()).rev() {
            order.swap(at, chance.below(at as u64 + 1) as usize);
        }
        Self { ground, tool, chance, order, next: 0, missed: BTreeSet::new() }
    }

    /// Kills for so long, and waits until all is well again or there is no hope.
    pub(crate) fn happen(&mut self, windows: &Windows, news: &Receiver<News>) -> Value {
        let mut open: BTreeMap<Worker, Kill> = BTreeMap::new();
        let mut tally = Tally { recovered: true, ..Tally::default() };
        let end = Instant::now() + windows.kills;
        let mut next = Instant::now() + self.pause();
        loop {
            let now = Instant::now();
            self.give_up(&mut open, &mut tally, now, windows.patience);
            if now >= end && open.is_empty() {
                break;
            }
            let may_kill = now < end && (!self.tool.one_at_a_time || (open.is_empty() && tally.recovered));
            if may_kill && now >= next {
                if let Some((worker, kill)) = self.kill(&open) {
                    tally.kills += 1;
                    tally.recovered = !self.tool.one_at_a_time;
                    open.insert(worker, kill);
                }
                next = now + self.pause();
                continue;
            }
            let limit = if may_kill { next - now } else { Duration::from_millis(20) };
            match news.recv_timeout(limit) {
                Ok(news) => self.hear(news, &mut open, &mut tally),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("the stamps are read as long as this runs"),
            }
        }
        let Tally { kills, mut known, mut began, missed, needless, recovered: _ } = tally;
        known.sort_unstable();
        began.sort_unstable();
        json!({ "kills": kills, "known_ns": known, "began_ns": began, "missed": missed, "needless": needless })
    }

    fn pause(&mut self) -> Duration {
        let mean = PACE.max(REST / self.order.len() as u32).as_nanos() as u64;
        Duration::from_nanos(mean / 2 + self.chance.below(mean))
    }

    /// The next one who lives and is not waited for.
    fn kill(&mut self, open: &BTreeMap<Worker, Kill>) -> Option<(Worker, Kill)> {
        for _ in 0..self.order.len() {
            let worker = self.order[self.next];
            self.next = (self.next + 1) % self.order.len();
            if open.contains_key(&worker) {
                continue;
            }
            let Some(held) = self.ground.hold(worker) else { continue };
            self.missed.remove(&worker);
            let (at, asked) = (clock::now(), Instant::now());
            pidfd::send(&held, libc::SIGKILL as u8).expect("root may");
            return Some((worker, Kill { at, asked, known: None, began: None }));
        }
        None
    }

    fn hear(&self, news: News, open: &mut BTreeMap<Worker, Kill>, tally: &mut Tally) {
        match news {
            // A change of state is told of whoever died last.
            News::Began(at, 0) => {
                if let Some(kill) = open.values_mut().next() {
                    kill.began.get_or_insert(at.since(kill.at).0);
                }
            }
            News::Began(at, worker) => match open.get_mut(&worker) {
                Some(kill) if kill.began.is_none() => kill.began = Some(at.since(kill.at).0),
                Some(_) => tally.needless += 1,
                None if self.missed.contains(&worker) => {}
                None => tally.needless += 1,
            },
            News::Said(at, line) => match (self.tool.told)(&line) {
                Some(Told::Death(worker)) => {
                    if let Some(kill) = open.get_mut(&worker) {
                        kill.known.get_or_insert(at.since(kill.at).0);
                    }
                }
                Some(Told::Recovered) => tally.recovered = true,
                None => {}
            },
        }
        let done: Vec<_> = open.iter().filter(|(_, kill)| self.is_done(kill)).map(|(worker, _)| *worker).collect();
        for worker in done {
            let Some(Kill { known, began, .. }) = open.remove(&worker) else { continue };
            tally.known.extend(known);
            tally.began.extend(began);
            if matches!(self.tool.revival, Revival::ByHand) {
                self.revive(worker);
            }
        }
    }

    fn is_done(&self, kill: &Kill) -> bool {
        (kill.began.is_some() || !self.tool.runs_scripts) && (kill.known.is_some() || !self.tool.tells_deaths)
    }

    fn give_up(&mut self, open: &mut BTreeMap<Worker, Kill>, tally: &mut Tally, now: Instant, patience: Duration) {
        let hopeless: Vec<_> =
            open.iter().filter(|(_, kill)| now > kill.asked + patience).map(|(worker, _)| *worker).collect();
        for worker in hopeless {
            let Some(Kill { known, began, .. }) = open.remove(&worker) else { continue };
            tally.known.extend(known);
            tally.began.extend(began);
            // Whose script has run was not missed, however little was said about it.
            if began.is_none() && (self.tool.runs_scripts || known.is_none()) {
                tally.missed += 1;
                self.missed.insert(worker);
            }
            tally.recovered = true;
            if matches!(self.tool.revival, Revival::ByHand) {
                self.revive(worker);
            }
        }
    }

    fn revive(&self, worker: Worker) {
        let mut again = Command::new(self.ground.at("again").join(number(worker)));
        assert!(again.status().expect("the workers' program").success(), "it starts a worker");
    }
}

/// xorshift64*: the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit.max(1)
    }
}
