//! What the patrol does for pchecks that have joined it: each is the foreground of one pfile. What is said of that goes to its
//! log, its scripts are run by it, and when one side goes the other goes on with what was saved.

use tracing::debug;
use watcher_core::{Event, FleetId, Level, Note, Order, Outbox, Told, fleet::Doing, fleets::Asked};

use super::{
    Door, News, Patrol, Recruit,
    lobby::{Admitted, InLobby},
    now,
    post::Post,
};
use crate::{
    control::{
        Command, Ended, Reply, Request,
        join::{GuestId, Heard, Word},
    },
    executor::scripts::Line,
};

impl Patrol {
    /// Somebody has knocked at the lobby.
    pub(super) fn receive(&mut self, Request { command, answer }: Request) {
        match (command, &mut self.lobby) {
            (Command::Join(join), Some(lobby)) => lobby.receive(*join, answer, self.is_stopping),
            (Command::Status { .. }, _) => {
                // The same as below.
                let _nobody_waits = answer.send(self.process());
            }
            (_, _) => {
                let why = "this is where a pcheck joins watcher run: each pfile is asked at its own socket";
                // Nobody may wait for it any more.
                let _nobody_waits = answer.send(Reply::refused(why));
            }
        }
    }

    /// Takes in what happened in the lobby.
    pub(super) fn in_lobby(&mut self, happened: InLobby, out: &mut Outbox<Asked>, news: &mut News) {
        debug!(?happened);
        match happened {
            InLobby::Admitted(id, admitted) => self.admit(id, admitted, out, news),
            InLobby::Heard(id, heard) => self.heard(id, heard, out, news),
        }
    }

    fn admit(&mut self, id: GuestId, admitted: Admitted, out: &mut Outbox<Asked>, news: &mut News) {
        // It may have gone meanwhile: then all that was claimed for it is given up here.
        let Some(guest) = self.lobby.as_mut().and_then(|lobby| lobby.take(id)) else { return };
        let refusal = match admitted {
            Admitted::Alone(why) => Word::Alone(why),
            Admitted::Failed { already_running, why } => Word::Failed { already_running, why },
            Admitted::Recruit(recruit) => match self.why_no_room(&recruit) {
                Some(why) => Word::Alone(why),
                None => {
                    let _said = guest.say(Word::Joined);
                    self.take_on(*recruit, Some(guest), out, news);
                    // No listing comes for those who are all paused.
                    self.tell_guests_that_are_up();
                    return;
                }
            },
        };
        let _said = guest.say(refusal);
    }

    fn why_no_room(&self, recruit: &Recruit) -> Option<String> {
        let watched: usize = self.fleets.iter().map(|(_, fleet)| fleet.len()).sum();
        let wanted = watched.saturating_add(recruit.rules.entries.len());
        if self.is_stopping {
            return Some("it is ending".to_owned());
        }
        if FleetId::new(self.next_fleet).is_none() {
            return Some("it has watched more pfiles than it can tell apart".to_owned());
        }
        let room = self.room;
        (wanted > room)
            .then(|| format!("it has room for {room} entries, and watches {watched}: start it again to get more"))
    }

    /// What it has said before it went is done before that is noticed.
    fn heard(&mut self, id: GuestId, heard: Heard, out: &mut Outbox<Asked>, news: &mut News) {
        let Some(fleet) = self.guests.get(&id).copied() else {
            if heard == Heard::Gone
                && let Some(lobby) = &mut self.lobby
            {
                drop(lobby.take(id));
            }
            return;
        };
        let order = |order| Event::Order { request: None, order };
        let event = match heard {
            Heard::Dump => order(Order::Dump),
            Heard::Knock => {
                self.say_to_guest(fleet, Word::Here);
                return;
            }
            Heard::Reload => order(Order::Reload),
            Heard::Stop(signal) => Event::Stop { signal },
            // Of scripts of others it can know nothing.
            Heard::RunStarted(run, _) | Heard::RunEnded(run, _) if run.fleet() != fleet => return,
            Heard::RunStarted(run, script) => Event::RunStarted { run, script },
            Heard::RunEnded(run, end) => Event::RunEnded { run, end },
            Heard::Gone => return self.guest_has_gone(fleet, out, news),
        };
        self.fleets.step_one(fleet, now(), event, out);
        self.perform(out, news);
    }

    /// One that had joined has gone without an end.
    fn guest_has_gone(&mut self, id: FleetId, out: &mut Outbox<Asked>, news: &mut News) {
        if let Some(post) = self.posts.get(&id)
            && let Some(guest) = &post.guest
        {
            let line = format!("Gone: {}; nobody watches it any more", guest.name(&post.pfile));
            self.hands.say(Level::Error, &line);
        }
        self.leave(id, None, out, news);
    }

    /// Lets those tasks have their turn that listen to guests, before anything else is judged: for one that was killed nothing is
    /// decided any more.
    pub(super) async fn listen_to_guests(&mut self, news: &mut News) {
        if self.guests.is_empty() {
            return;
        }
        tokio::task::yield_now().await;
        if let Some(lobby) = &mut self.lobby {
            news.in_lobby.extend(lobby.heard());
        }
    }

    /// All is to end: those who have joined go on by themselves.
    pub(super) fn hand_over(&mut self, out: &mut Outbox<Asked>, news: &mut News) {
        if let Some(lobby) = &mut self.lobby {
            lobby.close();
        }
        for fleet in self.guests.values().copied().collect::<Vec<_>>() {
            self.leave(fleet, Some(Ended::HandedOver), out, news);
        }
    }

    /// Somebody else goes on with what was saved, or will.
    fn leave(&mut self, id: FleetId, how: Option<Ended>, out: &mut Outbox<Asked>, news: &mut News) {
        self.fleets.leave(id, now(), out);
        if let (Some(post), Some(_)) = (self.posts.remove(&id), self.fleets.take_ended(id)) {
            if how.is_none() {
                // Whoever asks how things stand sees that nobody has taken its place.
                self.doors.forsake(Door::Pfile(id));
            }
            self.take_leave(id, &post);
            post.abandon(how);
            self.roll.has_left(id);
        }
        self.perform(out, news);
    }

    /// The watch is over: nobody comes in by its door any more.
    pub(super) fn take_leave(&mut self, id: FleetId, post: &Post) {
        if let Some(guest) = &post.guest {
            self.guests.remove(&guest.id);
        }
        self.doors.close(Door::Pfile(id));
        self.roll.end(id);
    }

    /// Tells the log of whoever is the foreground of a pfile. Says whether that was all who have to know.
    pub(super) fn tell_guest(&mut self, by: FleetId, told: &Told) -> bool {
        let Some(guest) = self.posts.get_mut(&by).and_then(|post| post.guest.as_mut()) else { return false };
        if let Some((level, line)) = told.line() {
            guest.log(level, line);
        }
        !matches!(told.note, Note::Lost { .. } | Note::Shortage { .. })
    }

    /// Lines that concern one pfile.
    pub(super) fn pass_on(&mut self, id: FleetId, lines: impl IntoIterator<Item = Line>) {
        match self.posts.get_mut(&id).and_then(|post| post.guest.as_mut()) {
            Some(guest) => lines.into_iter().for_each(|(level, line)| guest.log(level, line)),
            None => self.hands.pass_on(lines),
        }
    }

    /// What concerns all pfiles.
    pub(super) fn say_to_all(&mut self, level: Level, sentence: &str) {
        self.hands.say(level, sentence);
        for guest in self.posts.values_mut().filter_map(|post| post.guest.as_mut()) {
            guest.log(level, sentence.into());
        }
    }

    /// All processes were looked at: whose are watched by now?
    pub(super) fn tell_guests_that_are_up(&mut self) {
        for id in self.guests.values() {
            let (Some(post), Some(fleet)) = (self.posts.get_mut(id), self.fleets.get(*id)) else { continue };
            if let Some(guest) = post.guest.as_mut().filter(|guest| !guest.is_up)
                && fleet.views().iter().all(|view| view.doing != Doing::Looking)
            {
                guest.is_up = true;
                let _said = guest.say(Word::Ready);
            }
        }
    }

    /// The rules of a pfile are read again: who is its foreground says so, if there is one.
    pub(super) fn guest_reloads(&self, id: FleetId) -> bool {
        self.say_to_guest(id, Word::Reloading)
    }

    /// They have been.
    pub(super) fn guest_is_reloaded(&self, id: FleetId) -> bool {
        self.say_to_guest(id, Word::Ready)
    }

    fn say_to_guest(&self, id: FleetId, word: Word) -> bool {
        let guest = self.posts.get(&id).and_then(|post| post.guest.as_ref());
        guest.map(|guest| guest.say(word)).is_some()
    }
}
