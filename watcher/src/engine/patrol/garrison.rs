//! The daemon: pfiles are taken on and dismissed while it runs, and what ends one of them ends no other.

use std::{collections::BTreeSet, ffi::OsStr, io, os::unix::ffi::OsStrExt as _, path::PathBuf};

use tracing::debug;
use watcher_core::{
    Event, Finish, FleetId, Level, Note, Order, Outbox, Told,
    fleets::Asked,
    pfile::{AbsolutePath, RetryOver},
};

use super::{Muster, News, Patrol, Recruit, muster::Mustered, turn::is_up};

impl Patrol {
    /// Watches these pfiles, and those that a reload finds, until it is told to end.
    ///
    /// # Errors
    /// When no tier works any more.
    pub async fn stand(mut self, recruits: Vec<Recruit>, muster: Muster) -> io::Result<()> {
        let (mut news, mut out) = (News::default(), Outbox::default());
        if recruits.is_empty() {
            self.hands.say(Level::Warning, "No pfile is watched; SIGHUP looks again");
            is_up();
        }
        self.muster = Some(muster);
        for recruit in recruits {
            self.take_on(recruit, &mut out, &mut news);
        }
        self.go_on(news, out).await?;
        self.end().await;
        Ok(())
    }

    /// Takes in which pfiles there are, and those that were read.
    pub(super) fn mustered(&mut self, mustered: Mustered, out: &mut Outbox<Asked>, news: &mut News) {
        debug!(?mustered);
        match mustered {
            Mustered::Seen(Ok(pfiles)) => self.reload(&pfiles, news),
            Mustered::Seen(Err(why)) => {
                self.hands.say(Level::Error, &format!("Reload failed, and all stays as it is: {why}"));
            }
            // It has gone meanwhile.
            Mustered::Read(pfile, _) if !self.muster.as_ref().is_some_and(|muster| muster.is_wanted(&pfile)) => {}
            Mustered::Read(_, Ok(recruit)) => self.take_on(*recruit, out, news),
            Mustered::Read(pfile, Err(why)) => {
                self.hands.say(Level::Error, &format!("Not watched: {}: {why}", pfile.display()));
            }
        }
    }

    /// Nothing is left to do at present: those that are wanted are read when those that were dismissed have gone, since one
    /// file may have the name or the key of another. When all are read that is told.
    pub(super) fn tend_muster(&mut self) {
        let Some(muster) = &mut self.muster else { return };
        if self.farewells.is_empty() {
            muster.read_fresh();
        }
        let is_reading = muster.is_busy() || self.posts.values().any(|post| post.ledger.is_reading());
        if self.is_reloading && !is_reading {
            self.is_reloading = false;
            is_up();
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

    /// Those that are new are taken on, those that are watched are read again, those that are gone are dismissed.
    fn reload(&mut self, pfiles: &BTreeSet<PathBuf>, news: &mut News) {
        let mut fresh = pfiles.clone();
        for (id, post) in &self.posts {
            let path = PathBuf::from(OsStr::from_bytes(post.pfile.as_slice()));
            let order = if fresh.remove(&path) { Order::Reload } else { Order::Shutdown };
            news.of_one.push((*id, Event::Order { request: None, order }));
        }
        if let Some(muster) = &mut self.muster {
            muster.want(fresh);
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
    }
}
