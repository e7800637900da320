//! The loop of `watcher reboot-guard`: a pcheck runs, and when it has given up the host may be rebooted. Once pcheck has ended
//! there is nothing else to do, so files are read and written here and now.

use std::{ffi::OsString, os::unix::ffi::OsStrExt as _, path::PathBuf, time::Duration};

use tokio::time::{Instant, sleep_until};
use tracing::debug;
use watcher_core::{
    Ending, Event, Level, Order, Signal,
    reboot::{self, Limits, Reboot, Verdict},
};

use crate::{
    executor::{
        log::Log,
        percent,
        reboots::{Reboots, Turn, date},
        wards::{self, Ends},
    },
    sources::os_signals::OsSignals,
    sys::{own, ward::Ward},
};

/// How long the end may take: the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How often is looked whether another guard has let go of the counter.
const ITS_TURN: Duration = Duration::from_millis(200);

/// Everything that it needs.
#[derive(Debug)]
pub struct Parts {
    /// The pfile that is watched.
    pub pfile: PathBuf,
    /// With which code pcheck ends when it gives up.
    pub gave_up: u8,
    /// Where reboots are counted.
    pub reboots: Reboots,
    /// How many there may be.
    pub limits: Limits,
    /// How long a reboot can be called off.
    pub grace: Duration,
    /// What reboots the host.
    pub command: OsString,
    /// It is only said.
    pub dry_run: bool,
    /// Where messages go.
    pub log: Log,
    /// Signals to this process.
    pub signals: OsSignals,
    /// The ends of its children.
    pub ends: Ends,
}

/// How it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The reboot was called off.
    CalledOff,
    /// There have been too many reboots.
    Enough,
    /// There should be a reboot, and there is none.
    Failed,
    /// The reboot is on its way, or was said.
    Ordered,
    /// The watch has ended, and is not to be followed by a reboot.
    Watch(Ending),
}

/// Guards a pcheck that has just been started.
pub async fn run(parts: Parts, pcheck: Ward) -> Finish {
    let mut guard = Guard(parts);
    let finish = guard.watch(pcheck).await;
    debug!(?finish);
    guard.0.log.flush(LAST_LINES);
    finish
}

#[derive(Debug)]
struct Guard(Parts);

impl Guard {
    async fn watch(&mut self, pcheck: Ward) -> Finish {
        let window = Duration::from_secs(self.0.limits.window);
        self.say(Level::Notice, &format!("Start reboot-guard: pcheck is process {}", pcheck.pid()));
        // None: never.
        let mut forget_at = Instant::now().checked_add(window);
        let mut is_asked_to_end = false;
        loop {
            let forget = async move {
                match forget_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let Parts { signals, ends, log, .. } = &mut self.0;
            tokio::select! {
                biased;
                event = signals.next() => is_asked_to_end |= self.pass_on(&event, &pcheck),
                () = ends.of(&pcheck) => break,
                () = forget => {
                    forget_at = None;
                    self.forget();
                }
                () = log.ready() => log.retry(),
            }
        }
        match pcheck.reap() {
            Ending::Exited { code } if code == self.0.gave_up && !is_asked_to_end => self.decide().await,
            ending @ (Ending::Exited { .. } | Ending::Killed { .. } | Ending::Unknown) => Finish::Watch(ending),
        }
    }

    /// What is meant for pcheck. Says whether it asks it to end.
    fn pass_on(&mut self, event: &Event, pcheck: &Ward) -> bool {
        let (signal, is_end) = if let Event::Stop { signal } = event {
            (*signal, true)
        } else if let Event::Order { order: Order::Dump, .. } = event {
            (Signal(libc::SIGUSR1 as u8), false)
        } else {
            // The only other one that is listened to.
            (Signal(libc::SIGHUP as u8), false)
        };
        if let Err(error) = pcheck.signal(signal) {
            self.say(Level::Error, &format!("{signal} cannot be passed on to process {}: {error}", pcheck.pid()));
        }
        is_end
    }

    /// The service has been kept for the whole window: the reboots have been worth it.
    fn forget(&mut self) {
        let Parts { reboots, dry_run, limits, .. } = &self.0;
        let left = match reboots.read() {
            Ok(found) if found.reboots.is_empty() => return,
            Ok(found) => reboot::after_a_good_window(found.reboots, *dry_run),
            Err(why) => return self.say(Level::Warning, &why),
        };
        let window = limits.window;
        match reboots.turn().and_then(|turn| turn.map(|turn| reboots.write(&turn, &left)).transpose()) {
            Ok(Some(())) => {
                self.say(Level::Notice, &format!("pcheck has run for {window} s: the reboots before are forgotten"));
            }
            // Another guard is about to reboot this host.
            Ok(None) => {}
            Err(why) => self.say(Level::Warning, &why),
        }
    }

    async fn decide(&mut self) -> Finish {
        let turn = match self.turn().await {
            Ok(Some(turn)) => turn,
            Ok(None) => return Finish::CalledOff,
            Err(why) => return self.uncounted(&why),
        };
        let found = match self.0.reboots.read() {
            Ok(found) => found,
            Err(why) => return self.uncounted(&why),
        };
        let path = self.0.reboots.path().display().to_string();
        for damage in &found.damage {
            self.say(Level::Warning, &format!("{path}:{damage}"));
        }
        let Parts { limits, dry_run, pfile, .. } = &self.0;
        let name = pfile.as_os_str().as_bytes();
        let (threshold, window, shown) = (limits.threshold, limits.window, percent::encode(name));
        match reboot::decide(&found.reboots, (date(), *dry_run), name.into(), *limits) {
            Verdict::Enough { count } => {
                self.say(
                    Level::Critical,
                    &format!(
                        "pcheck has given up ({shown}), and {count} reboots within {window} s were in vain: no reboot. \
                         watcher reboot-guard --clear begins anew"
                    ),
                );
                Finish::Enough
            }
            Verdict::Reboot { number, history } => {
                if let Err(why) = self.0.reboots.write(&turn, &history) {
                    return self.uncounted(&why);
                }
                let (grace, own) = (self.0.grace.as_secs(), own::pid());
                self.say(
                    Level::Critical,
                    &format!(
                        "pcheck has given up ({shown}): reboot {number} of {threshold} within {window} s comes in {grace} s; \
                         kill {own} calls it off"
                    ),
                );
                if self.is_called_off_within(self.0.grace).await {
                    self.take_back(&turn, history);
                    return Finish::CalledOff;
                }
                self.reboot().await
            }
        }
    }

    /// The right to decide, once nobody else is about to reboot this host; `None` when it is called off before.
    async fn turn(&mut self) -> Result<Option<Turn>, String> {
        let mut is_told = false;
        loop {
            if let Some(turn) = self.0.reboots.turn()? {
                return Ok(Some(turn));
            }
            if !std::mem::replace(&mut is_told, true) {
                self.say(
                    Level::Warning,
                    "pcheck has given up, and another guard is about to reboot this host: it has the turn",
                );
            }
            if self.is_called_off_within(ITS_TURN).await {
                return Ok(None);
            }
        }
    }

    async fn is_called_off_within(&mut self, span: Duration) -> bool {
        let end = Instant::now() + span;
        let Parts { signals, log, .. } = &mut self.0;
        loop {
            tokio::select! {
                biased;
                event = signals.next() => if let Event::Stop { .. } = event {
                    return true;
                },
                () = sleep_until(end) => return false,
                () = log.ready() => log.retry(),
            }
        }
    }

    fn take_back(&mut self, turn: &Turn, history: Vec<Reboot>) {
        let written = self.0.reboots.write(turn, &reboot::without_the_last(history));
        self.say(Level::Warning, "The reboot is called off");
        if let Err(why) = written {
            self.say(Level::Warning, &format!("{why}: it counts all the same"));
        }
    }

    async fn reboot(&mut self) -> Finish {
        let command = self.0.command.to_string_lossy().into_owned();
        if self.0.dry_run {
            self.say(Level::Warning, &format!("Dry run: now would be run: {command}"));
            return Finish::Ordered;
        }
        self.say(Level::Critical, &format!("Reboot: {command}"));
        let ward = match wards::shell(&self.0.command) {
            Ok(ward) => ward,
            Err(error) => return self.not_rebooted(&format!("{command} does not start: {error}")),
        };
        let Parts { signals, ends, log, .. } = &mut self.0;
        loop {
            tokio::select! {
                biased;
                // The host goes down already.
                event = signals.next() => if let Event::Stop { .. } = event {
                    return Finish::Ordered;
                },
                () = ends.of(&ward) => break,
                () = log.ready() => log.retry(),
            }
        }
        match ward.reap() {
            Ending::Exited { code: 0 } => Finish::Ordered,
            ending @ (Ending::Exited { .. } | Ending::Killed { .. } | Ending::Unknown) => {
                self.not_rebooted(&format!("{command} {ending}"))
            }
        }
    }

    fn not_rebooted(&mut self, why: &str) -> Finish {
        self.say(Level::Critical, &format!("{why}: the host is not rebooted. It counts all the same"));
        Finish::Failed
    }

    /// What cannot be counted might go on for ever.
    fn uncounted(&mut self, why: &str) -> Finish {
        self.say(
            Level::Critical,
            &format!("pcheck has given up, and {why}: what cannot be counted is not done, so no reboot"),
        );
        Finish::Failed
    }

    fn say(&mut self, level: Level, sentence: &str) {
        self.0.log.tell(level, sentence.as_bytes());
    }
}
