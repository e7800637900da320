//! The daemon: pfiles are taken on and dismissed while it runs, and what ends one of them ends no other.

use std::{collections::BTreeSet, ffi::OsStr, io, os::unix::ffi::OsStrExt as _, path::PathBuf};

use tracing::debug;
use watcher_core::{
    Event, Finish, Level, Order, Outbox,
    fleets::Asked,
    pfile::{AbsolutePath, RetryOver},
};

use super::{Muster, News, Patrol, Recruit, muster::Mustered, turn::is_up};
use crate::executor::service;

impl Patrol {
    /// Watches these pfiles, and those that a reload finds, until it is told to end.
    ///
    /// # Errors
    /// When no tier works any more.
    pub async fn stand(mut self, recruits: Vec<Recruit>, muster: Muster) -> io::Result<()> {
        let (mut news, mut out) = (News::default(), Outbox::default());
        if recruits.is_empty() {
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
            Mustered::Read(_, Ok(recruit)) => {
                self.take_on(*recruit, out, news);
            }
            Mustered::Read(pfile, Err(why)) => {
                self.hands.say(Level::Error, &format!("Not watched: {}: {why}", pfile.display()));
            }
        }
        if self.muster.as_ref().is_some_and(|muster| !muster.is_busy()) {
            service::ready();
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
            fresh.into_iter().for_each(|pfile| muster.read(pfile));
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
