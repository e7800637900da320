//! The daemon: pfiles are taken on and dismissed while it runs, and what ends one of them ends no other.

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt as _, path::PathBuf};

use tracing::debug;
use watcher_core::{
    Event, Finish, FleetId, Level, Note, Order, Outbox, Told,
    fleets::{
        Asked,
        roll::{Came, Duty},
    },
    pfile::{AbsolutePath, RetryOver},
};

use super::{News, Patrol, Recruit, turn::is_up};
use crate::{
    control::WhyNot,
    executor::muster::{Muster, Mustered, not_watched},
};

impl Patrol {
    /// Watches these pfiles, and those that a reload finds, until it is told to end. Of the refused the log was told.
    ///
    /// # Errors
    /// When no tier works any more.
    pub async fn stand(
        mut self,
        recruits: Vec<Recruit>,
        refused: Vec<(PathBuf, String)>,
        muster: Muster<Box<Recruit>>,
    ) -> io::Result<()> {
        let (mut news, mut out) = (News::default(), Outbox::default());
        if recruits.is_empty() {
            self.hands.say(Level::Warning, "No pfile is watched; SIGHUP looks again");
            is_up();
        }
        self.muster = Some(muster);
        for (pfile, why) in refused {
            self.record.is_unwatched(pfile, WhyNot::Refused(why));
        }
        for recruit in recruits {
            self.take_on(recruit, &mut out, &mut news);
        }
        self.go_on(news, out).await?;
        self.end().await;
        Ok(())
    }

    /// Takes in which pfiles there are, and those that were read.
    pub(super) fn mustered(&mut self, mustered: Mustered<Box<Recruit>>, out: &mut Outbox<Asked>, news: &mut News) {
        debug!(?mustered);
        match mustered {
            Mustered::Seen(Ok(pfiles)) => {
                self.record.keep(&pfiles);
                for duty in self.roll.seen(pfiles) {
                    let (id, order) = match duty {
                        Duty::Dismiss(id) => (id, Order::Shutdown),
                        Duty::ReadAgain(id) => (id, Order::Reload),
                    };
                    news.of_one.push((id, Event::Order { request: None, order }));
                }
            }
            Mustered::Seen(Err(why)) => {
                self.hands.say(Level::Error, &format!("Reload failed, and all stays as it is: {why}"));
            }
            Mustered::Read(pfile, read) => match (self.roll.came(&pfile, read.is_ok()), read) {
                (Came::Welcome, Ok(recruit)) => {
                    self.take_on(*recruit, out, news);
                }
                (Came::WelcomeAndReadAgain, Ok(recruit)) => {
                    let begun = self.take_on(*recruit, out, news);
                    let reload = |id| (id, Event::Order { request: None, order: Order::Reload });
                    news.of_one.extend(begun.map(reload));
                }
                (Came::Refused, Err(why)) => {
                    self.hands.say(Level::Error, &not_watched(&pfile, &why));
                    self.record.is_unwatched(pfile, WhyNot::Refused(why));
                }
                // What it has claimed is given up with it.
                (Came::Refused | Came::Unwanted | Came::Welcome | Came::WelcomeAndReadAgain, _) => {}
            },
        }
    }

    /// Nothing is left to do at present: those that are wanted are read. When all are read that is told.
    pub(super) fn tend_muster(&mut self) {
        let Some(muster) = &mut self.muster else { return };
        muster.read(self.roll.to_read());
        let is_reading = || self.posts.values().any(|post| post.ledger.is_reading());
        if self.is_reloading && !self.roll.is_busy() && !muster.is_busy() && !is_reading() {
            self.is_reloading = false;
            is_up();
        }
    }

    /// The end is told by one of them. Where there is none it is told here.
    pub(super) fn may_stop(&mut self, event: &Event) {
        let Event::Stop { signal } = event else { return };
        self.is_stopping = true;
        if self.posts.is_empty() {
            for note in [Note::SignalCaught { signal: *signal }, Note::Stop] {
                self.hands.tell(&Told { entry: None, note });
            }
        }
    }

    /// Tells the log. What is of one pfile as a whole names it, where there are several.
    pub(super) fn tell(&mut self, by: FleetId, told: &Told) {
        let of_all = matches!(told.note, Note::SignalCaught { .. } | Note::Lost { .. } | Note::Shortage { .. });
        if self.muster.is_none() || self.is_stopping || told.entry.is_some() || of_all {
            return self.hands.tell(told);
        }
        // That it ends is told with its name, and why: see `say_farewell`.
        if told.note == Note::Stop {
            return;
        }
        if let (Some((level, line)), Some(post)) = (told.line(), self.posts.get(&by)) {
            self.hands.pass_on([(level, [post.pfile.as_slice(), b": ", &line].concat())]);
        }
    }

    pub(super) fn greet(&mut self, recruit: &Recruit) {
        let (entries, tier) = (recruit.rules.entries.len(), self.senses.watch.tier());
        let entries = if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
        self.hands.say(Level::Notice, &format!("Start pcheck: {entries} of {}, tier {tier}", recruit.pfile));
        for warning in &recruit.warnings {
            self.hands.say(Level::Warning, warning);
        }
    }

    /// One of several has ended.
    pub(super) fn say_farewell(&mut self, pfile: &AbsolutePath, how: Finish) {
        self.finish.get_or_insert(how);
        if self.muster.is_none() || self.is_stopping {
            return;
        }
        let (level, why) = match how {
            Finish::Asked => (Level::Notice, "it was asked for, or the file has gone"),
            Finish::RetryOver(RetryOver::Exit) => (Level::Critical, "RETRY_OVER:EXIT"),
            Finish::RetryOver(RetryOver::Shutdown | RetryOver::Continue) => (Level::Critical, "RETRY_OVER:SHUTDOWN"),
        };
        self.hands.say(level, &format!("Not watched any more: {pfile} ({why})"));
        if how != Finish::Asked {
            let path = OsStr::from_bytes(pfile.as_slice()).into();
            self.record.is_unwatched(path, WhyNot::RetryOver(why.to_owned()));
        }
    }
}
