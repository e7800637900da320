//! Pchecks that want to join: what they ask is looked at, their pfiles are read aside, and what those say who have joined is
//! brought to the engine.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    Recruit,
    guest::{Guest, WORDS},
};
use crate::{
    control::{
        Reply,
        join::{GuestId, Heard, Join, Session, Word},
    },
    executor::{circumstances, hall::Hall},
};

/// So many pfiles are read at once: each may wait three seconds for a resolver that is silent, and nobody watches meanwhile
/// for those that wait for their turn.
const AT_ONCE: usize = 64;

/// So much of what was heard waits for the engine; whoever says more waits himself.
const HEARD: usize = 64;

/// Reads a pfile, and claims what watching it takes.
pub type Admit = Arc<dyn Fn(&Join) -> Admitted + Send + Sync>;

/// What came of reading a pfile.
#[derive(Debug)]
pub enum Admitted {
    /// It is to be watched by the pcheck itself: why, as a sentence.
    Alone(String),
    /// It cannot be watched.
    Failed {
        /// Since somebody watches it.
        already_running: bool,
        /// Why, as a sentence.
        why: String,
    },
    /// It can be.
    Recruit(Box<Recruit>),
}

/// The lobby.
pub struct Lobby {
    admit: Admit,
    circumstances: BTreeMap<String, String>,
    /// Ours as long as somebody may come.
    _hall: Hall,
    next: u64,
    /// Those whose pfiles are not read yet.
    guests: BTreeMap<GuestId, Guest>,
    to_read: VecDeque<(GuestId, Join)>,
    at_work: JoinSet<(GuestId, Admitted)>,
    heard: mpsc::Receiver<(GuestId, Heard)>,
    sender: mpsc::Sender<(GuestId, Heard)>,
}

impl std::fmt::Debug for Lobby {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lobby").field("guests", &self.guests).field("to_read", &self.to_read).finish_non_exhaustive()
    }
}

/// What happened there.
#[derive(Debug)]
pub(super) enum InLobby {
    /// A pfile was read.
    Admitted(GuestId, Admitted),
    /// Somebody has said something.
    Heard(GuestId, Heard),
}

impl Lobby {
    /// Of a process in these circumstances.
    #[must_use]
    pub fn new(admit: Admit, circumstances: BTreeMap<String, String>, hall: Hall) -> Self {
        let (sender, heard) = mpsc::channel(HEARD);
        Self {
            admit,
            circumstances,
            _hall: hall,
            next: 0,
            guests: BTreeMap::new(),
            to_read: VecDeque::new(),
            at_work: JoinSet::new(),
            heard,
            sender,
        }
    }

    /// Somebody wants to join.
    pub(super) fn receive(&mut self, join: Join, answer: oneshot::Sender<Reply>, is_ending: bool) {
        let id = GuestId(self.next);
        self.next += 1;
        let (words, to_say) = mpsc::channel(WORDS);
        let session = Session { guest: id, words: to_say, heard: self.sender.clone() };
        if answer.send(Reply::Session(session)).is_err() {
            return;
        }
        let guest = Guest::new(id, join.pid, words);
        let ours = env!("CARGO_PKG_VERSION");
        let why_not = if is_ending {
            Some("it is ending".to_owned())
        } else if join.release != ours {
            Some(format!("it is release {ours}, and this pcheck release {}", join.release))
        } else {
            circumstances::difference(&self.circumstances, &join.circumstances)
                .map(|name| format!("it runs in other circumstances: {name} differs"))
        };
        match why_not {
            Some(why) => drop(guest.say(Word::Alone(why))),
            None => {
                self.guests.insert(id, guest);
                self.to_read.push_back((id, join));
            }
        }
    }

    /// Reads those that wait, as soon as each has its turn.
    pub(super) fn read_next(&mut self) {
        while self.at_work.len() < AT_ONCE
            && let Some((id, join)) = self.to_read.pop_front()
        {
            let admit = Arc::clone(&self.admit);
            self.at_work.spawn_blocking(move || (id, admit(&join)));
        }
    }

    /// Takes one out, if it has not gone. Nothing of it is left to wait for its turn.
    pub(super) fn take(&mut self, id: GuestId) -> Option<Guest> {
        self.to_read.retain(|(waiting, _)| *waiting != id);
        self.guests.remove(&id)
    }

    /// Nobody can be taken on any more, and nobody is listened to.
    pub(super) fn close(&mut self) {
        self.to_read.clear();
        // Nobody waits for room to say that he has gone.
        self.heard.close();
        for guest in std::mem::take(&mut self.guests).into_values() {
            let _said = guest.say(Word::Alone("it is ending".to_owned()));
        }
    }

    /// What has been said already.
    pub(super) fn heard(&mut self) -> impl Iterator<Item = InLobby> + '_ {
        std::iter::from_fn(|| self.heard.try_recv().ok().map(|(guest, heard)| InLobby::Heard(guest, heard))).take(HEARD)
    }

    /// Waits until something happens there. May be dropped at any time without losing anything.
    pub(super) async fn next(&mut self) -> InLobby {
        tokio::select! {
            biased;
            // There is a sender here, unless it is closed.
            Some((guest, heard)) = self.heard.recv() => InLobby::Heard(guest, heard),
            Some(admitted) = self.at_work.join_next() => match admitted {
                Ok((guest, admitted)) => InLobby::Admitted(guest, admitted),
                // Whose it was is not known: he sees that nothing comes.
                Err(error) => {
                    tracing::warn!(%error, "reading the pfile of one that wants to join has failed");
                    std::future::pending().await
                }
            },
            else => std::future::pending().await,
        }
    }
}

/// Waits until something happens there, if there is one.
pub(super) async fn next_in(lobby: Option<&mut Lobby>) -> InLobby {
    match lobby {
        Some(lobby) => lobby.next().await,
        None => std::future::pending().await,
    }
}
