//! The daemon: pfiles are taken on and dismissed while it runs, and what ends one of them ends no other.

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt as _, path::PathBuf};

use tracing::debug;
use watcher_core::{
    Event, Finish, FleetId, Level, Note, Order, Outbox, Told,
    fleets::{
        Asked,
        roll::{Came, Duty},
    },
    pfile::RetryOver,
};

use super::{Door, Lobby, News, Patrol, Recruit, post::Post, turn::is_up};
use crate::{
    control::{Server, WhyNot},
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
        lobby: Option<(Lobby, Server)>,
    ) -> io::Result<()> {
        let (mut news, mut out) = (News::default(), Outbox::default());
        if recruits.is_empty() {
            self.hands.say(Level::Warning, "No pfile is watched; SIGHUP looks again");
            is_up();
        }
        self.muster = Some(muster);
        if let Some((lobby, server)) = lobby {
            self.lobby = Some(lobby);
            self.doors.open(Door::Lobby, server);
        }
        for (pfile, why) in refused {
            self.record.is_unwatched(pfile, WhyNot::Refused(why));
        }
        for recruit in recruits {
            self.take_on(recruit, None, &mut out, &mut news);
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
                    self.take_on(*recruit, None, out, news);
                }
                (Came::WelcomeAndReadAgain, Ok(recruit)) => {
                    let begun = self.take_on(*recruit, None, out, news);
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
        if let Some(lobby) = self.lobby.as_mut().filter(|_| !self.roll.is_anybody_leaving()) {
            lobby.read_next();
        }
        let own = |post: &&Post| post.guest.is_none();
        let is_reading = || self.posts.values().filter(own).any(|post| post.ledger.is_reading());
        if self.is_reloading && !self.roll.is_busy() && !muster.is_busy() && !is_reading() {
            self.is_reloading = false;
            is_up();
        }
    }

    /// The end is told by one of them. Where there is none it is told here.
    pub(super) fn may_stop(&mut self, event: &Event) {
        let Event::Stop { signal } = event else { return };
        self.is_stopping = true;
        // Those who have joined go on by themselves.
        if self.posts.values().all(|post| post.guest.is_some()) {
            for note in [Note::SignalCaught { signal: *signal }, Note::Stop] {
                self.hands.tell(&Told { entry: None, note });
            }
        }
    }

    /// Tells the log. What is of one pfile as a whole names it, where there are several.
    pub(super) fn tell(&mut self, by: FleetId, told: &Told) {
        let of_all = matches!(told.note, Note::SignalCaught { .. } | Note::Lost { .. } | Note::Shortage { .. });
        if self.tell_guest(by, told) {
            return;
        }
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

    pub(super) fn greet(&mut self, id: FleetId, entries: usize, warnings: Vec<String>) {
        let Some(post) = self.posts.get(&id) else { return };
        let entries = if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
        let begun = format!("Start pcheck: {entries} of {}, tier {}", post.pfile, self.senses.watch.tier());
        if let Some(guest) = &post.guest {
            self.hands.say(Level::Notice, &format!("Watched from now on: {entries} of {}", guest.name(&post.pfile)));
        }
        let warnings = warnings.into_iter().map(|warning| (Level::Warning, warning.into_bytes()));
        self.pass_on(id, std::iter::once((Level::Notice, begun.into_bytes())).chain(warnings));
    }

    /// One of several has ended.
    pub(super) fn say_farewell(&mut self, post: &Post, how: Finish) {
        self.finish.get_or_insert(how);
        if self.muster.is_none() || self.is_stopping {
            return;
        }
        let (level, why) = match how {
            Finish::Asked => (Level::Notice, "it was asked for, or the file has gone"),
            Finish::RetryOver(RetryOver::Exit) => (Level::Critical, "RETRY_OVER:EXIT"),
            Finish::RetryOver(RetryOver::Shutdown | RetryOver::Continue) => (Level::Critical, "RETRY_OVER:SHUTDOWN"),
        };
        let line = match &post.guest {
            // Its own log says the same.
            Some(guest) => {
                return self.hands.say(Level::Notice, &format!("Ended: {} ({why})", guest.name(&post.pfile)));
            }
            None => format!("Not watched any more: {} ({why})", post.pfile),
        };
        self.hands.say(level, &line);
        if how != Finish::Asked {
            let path = OsStr::from_bytes(post.pfile.as_slice()).into();
            self.record.is_unwatched(path, WhyNot::RetryOver(why.to_owned()));
        }
    }
}

/// Waits until something is mustered, where that is done.
pub(super) async fn next_of<T: Send + 'static>(muster: Option<&mut Muster<T>>) -> Mustered<T> {
    match muster {
        Some(muster) => muster.next().await,
        None => std::future::pending().await,
    }
}
