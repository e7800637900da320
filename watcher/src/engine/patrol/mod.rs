//! The loop of pcheck and of the daemon: the watches over pfiles, what happens to them, and what they ask for.

mod bell;
mod garrison;
mod guest;
mod guests;
mod lobby;
mod post;
mod report;
mod turn;

use std::{collections::BTreeMap, ffi::OsStr, io, os::unix::ffi::OsStrExt as _, path::PathBuf, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Interval, sleep, timeout},
};
use tracing::warn;
use watcher_core::{
    Event, Finish, FleetId, Level, Mono, Now, Order, Outbox, SavedEntry,
    fleets::{Asked, Fleets, roll::Roll},
    pfile::{AbsolutePath, Bytes, Pfile},
};

pub use self::lobby::{Admit, Admitted, Lobby};
use self::{
    bell::Bells,
    garrison::next_of,
    guest::Guest,
    lobby::{InLobby, next_in},
    post::Post,
    report::Record,
};
use super::{HURRY, SETTLE, Senses, keep_pace, tick, ticks, until};
use crate::{
    control::{Doors, Server, join::GuestId},
    executor::{
        hands::Hands,
        ledger::Ledger,
        muster::{Muster, Mustered},
        ports::PortWatch,
        scripts::{self, Line},
        service,
    },
    sources::{os_signals::OsSignals, ring::RingSource},
    sys::clock,
};

/// So often other things come before a deadline that is due.
const PATIENCE: u32 = 32;

/// How long the end may take: the last lines, the dump, the answers.
const FAREWELL: Duration = Duration::from_secs(2);

/// The watches over pfiles, and everything that they share.
#[derive(Debug)]
pub struct Patrol {
    fleets: Fleets,
    posts: BTreeMap<FleetId, Post>,
    bells: Bells,
    /// Whose dumps are to be written now.
    dumps: Vec<FleetId>,
    /// How the first one ended that has.
    finish: Option<Finish>,
    senses: Senses,
    hands: Hands,
    signals: OsSignals,
    doors: Doors<Door>,
    /// Last words of those that have ended.
    farewells: JoinSet<(FleetId, Option<Line>)>,
    is_ready: bool,
    /// How often in a row something else came before a deadline.
    passed_over: u32,
    /// Names of programs that are waited for, and whether their starts are told.
    expected: BTreeMap<Bytes, bool>,
    /// Ports whose sockets are watched.
    ports: PortWatch,
    sweep_every: Duration,
    /// By which pfiles are taken on while it runs; none: it is there for one pfile, and ends with it.
    muster: Option<Muster<Box<Recruit>>>,
    /// Which those are.
    roll: Roll<PathBuf>,
    /// Where pchecks join, if they can.
    lobby: Option<Lobby>,
    /// Those who have joined.
    guests: BTreeMap<GuestId, FleetId>,
    /// For so many entries there is room.
    room: usize,
    next_fleet: u32,
    /// Not all rules that were asked for are in force yet.
    is_reloading: bool,
    /// All is to end.
    is_stopping: bool,
    record: Record,
}

/// At which door somebody has knocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Door {
    Lobby,
    Metrics,
    Pfile(FleetId),
}

/// What a patrol is made of.
#[derive(Debug)]
pub struct Parts {
    /// The machines: none yet.
    pub fleets: Fleets,
    /// What a tier that works has to offer.
    pub senses: Senses,
    /// What does.
    pub hands: Hands,
    /// Signals to this process.
    pub signals: OsSignals,
    /// However well events arrive, every watched process is looked at this often.
    pub sweep_every: Duration,
    /// For so many entries there is room.
    pub room: usize,
    /// Where figures are to be had.
    pub metrics: Option<Server>,
}

/// A pfile that is to be watched.
#[derive(Debug)]
pub struct Recruit {
    /// Its full path.
    pub pfile: AbsolutePath,
    /// What stands in it.
    pub rules: Pfile,
    /// What the log is to be told of it.
    pub warnings: Vec<String>,
    /// What was saved of it.
    pub saved: Vec<SavedEntry>,
    /// Its control socket. It goes before the lock does that the ledger holds: after that, the place is somebody else's.
    pub control: Server,
    /// Its ledger.
    pub ledger: Ledger,
}

/// Ticks that are wanted at some times only.
struct Ticks {
    looks: Interval,
    sweeps: Interval,
    hurry: Interval,
    tend: Interval,
    watchdog: Option<Interval>,
}

/// What has happened and was not told yet.
#[derive(Debug, Default)]
struct News {
    /// On the host.
    common: Vec<Event>,
    /// To one of them.
    of_one: Vec<(FleetId, Event)>,
    /// To pfiles that may be watched.
    mustered: Vec<Mustered<Box<Recruit>>>,
    /// To those who have joined, or want to.
    in_lobby: Vec<InLobby>,
}

impl Patrol {
    /// Ready to run.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { fleets, senses, hands, signals, sweep_every, room, metrics } = parts;
        let mut doors = Doors::default();
        if let Some(server) = metrics {
            doors.open(Door::Metrics, server);
        }
        Self {
            fleets,
            posts: BTreeMap::new(),
            bells: Bells::default(),
            dumps: Vec::new(),
            finish: None,
            senses,
            hands,
            signals,
            doors,
            farewells: JoinSet::new(),
            is_ready: false,
            passed_over: 0,
            expected: BTreeMap::new(),
            ports: PortWatch::default(),
            sweep_every,
            muster: None,
            roll: Roll::default(),
            lobby: None,
            guests: BTreeMap::new(),
            room,
            next_fleet: 0,
            is_reloading: false,
            is_stopping: false,
            record: Record::new(now().wall),
        }
    }

    /// Watches a pfile until the operator, or an entry whose retries are used up, ends it.
    ///
    /// # Errors
    /// When no tier works any more.
    pub async fn run(mut self, recruit: Recruit) -> io::Result<Finish> {
        let (mut news, mut out) = (News::default(), Outbox::default());
        self.take_on(recruit, None, &mut out, &mut news);
        self.go_on(news, out).await?;
        let finish = self.finish;
        self.end().await;
        Ok(finish.unwrap_or(Finish::Asked))
    }

    /// Until there is nothing more to do.
    async fn go_on(&mut self, mut news: News, mut out: Outbox<Asked>) -> io::Result<()> {
        self.may_be_up();
        let mut due = Ticks {
            looks: ticks(self.look_every()),
            sweeps: ticks(self.sweep_every),
            hurry: ticks(HURRY),
            tend: ticks(scripts::TEND_EVERY),
            watchdog: service::watchdog_period().map(ticks),
        };
        loop {
            self.turn(&mut news, &mut out);
            if self.is_over() {
                return Ok(());
            }
            if self.leave_tier_if_failing(&mut news)? {
                continue;
            }
            if let Some(complaint) = self.senses.watch.take_complaint() {
                self.hands.say(Level::Error, &complaint);
            }
            if self.senses.watch.must_look() {
                keep_pace(&mut due.looks, self.look_every());
            }
            self.wait(&mut due, &mut news).await?;
            self.listen_to_guests(&mut news).await;
        }
    }

    fn is_over(&self) -> bool {
        match self.muster {
            Some(_) => self.is_stopping,
            None => self.finish.is_some(),
        }
    }

    /// One pfile more, by this name from now on.
    fn take_on(
        &mut self,
        recruit: Recruit,
        guest: Option<Guest>,
        out: &mut Outbox<Asked>,
        news: &mut News,
    ) -> Option<FleetId> {
        let Some(id) = FleetId::new(self.next_fleet) else {
            self.hands.say(Level::Error, "No more pfiles can be taken on: end watcher, and start it again");
            return None;
        };
        self.next_fleet += 1;
        let Recruit { pfile, rules, warnings, saved, ledger, control } = recruit;
        let path = PathBuf::from(OsStr::from_bytes(pfile.as_slice()));
        self.record.is_watched(&path);
        match &guest {
            Some(guest) => {
                self.guests.insert(guest.id, id);
                self.roll.begin_for_another(path, id);
            }
            None => self.roll.begin(path, id),
        }
        self.posts.insert(id, Post::new(ledger, self.bells.make(), pfile, guest));
        self.greet(id, rules.entries.len(), warnings);
        self.doors.open(Door::Pfile(id), control);
        self.fleets.begin(id, &rules, &saved, now(), out);
        self.follow_rules(id);
        self.perform(out, news);
        Some(id)
    }

    /// From one slice of the processes that have to be looked at to the next.
    fn look_every(&self) -> Duration {
        /// While nothing is watched.
        const SELDOM: u32 = 60;
        let interval = self.fleets.shortest_interval().unwrap_or(SELDOM);
        Duration::from_secs(interval.into()) / self.senses.watch.slices()
    }

    /// Says whether another tier is in use now.
    fn leave_tier_if_failing(&mut self, news: &mut News) -> io::Result<bool> {
        let Some(left) = self.senses.leave_if_failing(|| self.fleets.watched().collect(), &mut news.common)? else {
            return Ok(false);
        };
        self.say_to_all(Level::Warning, &left.to_string());
        self.record.tier_left = Some(left.to_string());
        for (name, is_told) in &mut self.expected {
            *is_told = self.senses.watch.expect(name.as_slice());
        }
        Ok(true)
    }

    /// Waits until something happens.
    async fn wait(&mut self, due: &mut Ticks, news: &mut News) -> io::Result<()> {
        let unsettled = self.senses.ring.as_ref().is_some_and(RingSource::is_unsettled);
        let deadline = self.fleets.next_deadline();
        let Senses { ring, watch, tier_after: _ } = &mut self.senses;
        tokio::select! {
            biased;
            // First: under a flood of other things the loop lives.
            () = tick(due.watchdog.as_mut()), if due.watchdog.is_some() => service::watchdog(),
            readable = Senses::readable(ring.as_ref()) => {
                if let Err(error) = readable {
                    watch.fail(error.to_string());
                }
            }
            readable = watch.readable() => watch.drain(readable, &mut news.common),
            () = self.hands.ready(&mut news.common) => {}
            event = self.signals.next() => match (event, &mut self.muster) {
                (Event::Order { request: None, order: Order::Reload }, Some(muster)) => {
                    service::reloading();
                    self.is_reloading = true;
                    muster.look();
                }
                (event, _) => {
                    self.may_stop(&event);
                    news.common.push(event);
                }
            },
            mustered = next_of(self.muster.as_mut()) => news.mustered.push(mustered),
            happened = next_in(self.lobby.as_mut()) => news.in_lobby.push(happened),
            (door, request) = self.doors.next() => self.serve(door, request, news),
            (id, (event, lines)) = self.bells.next(&mut self.posts) => {
                self.dumps.push(id);
                self.pass_on(id, lines);
                news.of_one.extend(event.map(|event| (id, event)));
            }
            Some(left) = self.farewells.join_next() => {
                if let Ok((id, last_words)) = left {
                    self.roll.has_left(id);
                    self.hands.pass_on(last_words);
                }
            }
            () = sleep(SETTLE), if unsettled => {}
            _ = due.hurry.tick(), if watch.must_hurry() => watch.look_at_dying(&mut news.common),
            _ = due.tend.tick(), if self.hands.must_tend() => self.hands.tend(&mut news.common),
            _ = due.looks.tick(), if watch.must_look() => watch.look_again(&mut news.common),
            _ = due.sweeps.tick() => {
                self.posts.values().for_each(|post| post.ledger.tend_slowly());
                self.hands.tend_slowly();
                watch.sweep(self.fleets.watched(), &mut news.common);
            }
            // Last, when nothing else is there to be told: a deadline must not judge what happened in time, such as
            // while this process was stopped.
            () = until(deadline), if deadline.is_some() => {
                self.passed_over = 0;
                news.common.push(Event::Deadline);
                return Ok(());
            }
        }
        // But under a flood of other things it has its turn, too.
        self.passed_over += 1;
        if self.passed_over > PATIENCE && deadline.is_some_and(|deadline: Mono| deadline <= clock::now()) {
            self.passed_over = 0;
            news.common.push(Event::Deadline);
        }
        Ok(())
    }

    /// What is left to do when all is over.
    async fn end(self) {
        let Self { mut hands, doors, mut farewells, .. } = self;
        service::stopping();
        let words = async {
            let mut all = Vec::new();
            while let Some(left) = farewells.join_next().await {
                all.extend(left.ok().and_then(|(_, last_words)| last_words));
            }
            all
        };
        match timeout(FAREWELL, async { tokio::join!(words, doors.finish(FAREWELL)).0 }).await {
            Ok(words) => hands.pass_on(words),
            Err(_) => warn!("some last words could not be said"),
        }
        hands.finish();
    }
}

fn now() -> Now {
    Now { mono: clock::now(), wall: clock::wall() }
}
