//! The loop of pcheck and of the daemon: the watches over pfiles, what happens to them, and what they ask for.

mod garrison;
mod muster;
mod post;

use std::{collections::BTreeMap, io, pin::pin, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Interval, sleep, timeout},
};
use tracing::{debug, warn};
use watcher_core::{
    Action, Event, Finish, FleetId, Level, Mono, Now, Order, Outbox, SavedEntry,
    fleets::{Asked, Fleets},
    pfile::{AbsolutePath, Bytes, Pfile},
};

pub use self::muster::{Enlist, Muster, Places};
use self::{muster::Mustered, post::Post};
use super::{HURRY, SETTLE, Senses, keep_pace, tick, ticks, until};
use crate::{
    control::{Doors, Request, Server},
    executor::{
        hands::Hands,
        ledger::Ledger,
        ports::PortWatch,
        scripts::{self, Line},
        service, signals,
    },
    sources::{os_signals::OsSignals, ring::RingSource},
    sys::{clock, heap},
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
    /// How the first one ended that has.
    finish: Option<Finish>,
    senses: Senses,
    hands: Hands,
    signals: OsSignals,
    doors: Doors<FleetId>,
    /// Last words of those that have ended.
    farewells: JoinSet<Option<Line>>,
    is_ready: bool,
    /// How often in a row something else came before a deadline.
    passed_over: u32,
    /// Names of programs that are waited for, and whether their starts are told.
    expected: BTreeMap<Bytes, bool>,
    /// Ports whose sockets are watched.
    ports: PortWatch,
    sweep_every: Duration,
    /// By which pfiles are taken on while it runs; none: it is there for one pfile, and ends with it.
    muster: Option<Muster>,
    next_fleet: u32,
    /// All is to end.
    is_stopping: bool,
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
    /// Its ledger.
    pub ledger: Ledger,
    /// Its control socket.
    pub control: Server,
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
    mustered: Vec<Mustered>,
}

impl Patrol {
    /// Ready to run.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { fleets, senses, hands, signals, sweep_every } = parts;
        Self {
            fleets,
            posts: BTreeMap::new(),
            finish: None,
            senses,
            hands,
            signals,
            doors: Doors::default(),
            farewells: JoinSet::new(),
            is_ready: false,
            passed_over: 0,
            expected: BTreeMap::new(),
            ports: PortWatch::default(),
            sweep_every,
            muster: None,
            next_fleet: 0,
            is_stopping: false,
        }
    }

    /// Watches a pfile until the operator, or an entry whose retries are used up, ends it.
    ///
    /// # Errors
    /// When no tier works any more.
    pub async fn run(mut self, recruit: Recruit) -> io::Result<Finish> {
        let (mut news, mut out) = (News::default(), Outbox::default());
        self.take_on(recruit, &mut out, &mut news);
        self.go_on(news, out).await?;
        let finish = self.finish;
        self.end().await;
        Ok(finish.unwrap_or(Finish::Asked))
    }

    /// Until there is nothing more to do.
    async fn go_on(&mut self, mut news: News, mut out: Outbox<Asked>) -> io::Result<()> {
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
            keep_pace(&mut due.looks, self.look_every());
            self.wait(&mut due, &mut news).await?;
        }
    }

    fn is_over(&self) -> bool {
        match self.muster {
            Some(_) => self.is_stopping,
            None => self.finish.is_some(),
        }
    }

    /// One pfile more.
    fn take_on(&mut self, recruit: Recruit, out: &mut Outbox<Asked>, news: &mut News) {
        let Some(id) = FleetId::new(self.next_fleet) else {
            return self.hands.say(Level::Error, "No more pfiles can be taken on: end watcher, and start it again");
        };
        self.next_fleet += 1;
        self.greet(&recruit);
        let Recruit { pfile, rules, warnings: _, saved, ledger, control } = recruit;
        self.posts.insert(id, Post::new(ledger, pfile));
        self.doors.open(id, control);
        self.fleets.begin(id, &rules, &saved, now(), out);
        self.follow_rules(id);
        self.perform(out, news);
    }

    /// From one slice of the processes that have to be looked at to the next.
    fn look_every(&self) -> Duration {
        /// While nothing is watched.
        const SELDOM: u32 = 60;
        let intervals = self.fleets.iter().map(|(_, fleet)| fleet.monitor_interval().seconds());
        Duration::from_secs(intervals.min().unwrap_or(SELDOM).into()) / self.senses.watch.slices()
    }

    /// Says whether another tier is in use now.
    fn leave_tier_if_failing(&mut self, news: &mut News) -> io::Result<bool> {
        let Some(left) = self.senses.leave_if_failing(|| self.fleets.watched().collect(), &mut news.common)? else {
            return Ok(false);
        };
        self.hands.say(Level::Warning, &left.to_string());
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
                    muster.look();
                }
                (event, _) => {
                    self.is_stopping |= matches!(event, Event::Stop { .. });
                    news.common.push(event);
                }
            },
            mustered = next_of(self.muster.as_mut()) => news.mustered.push(mustered),
            (id, request) = self.doors.next() => self.serve(id, request, news),
            (id, (event, lines)) = any_ledger(&mut self.posts) => {
                self.hands.pass_on(lines);
                news.of_one.extend(event.map(|event| (id, event)));
            }
            Some(last_words) = self.farewells.join_next() => self.hands.pass_on(last_words.ok().flatten()),
            () = sleep(SETTLE), if unsettled => {}
            _ = due.hurry.tick(), if watch.must_hurry() => watch.look_at_dying(&mut news.common),
            _ = due.tend.tick(), if self.hands.must_tend() => self.hands.tend(&mut news.common),
            _ = due.looks.tick(), if watch.must_look() => watch.look_again(&mut news.common),
            _ = due.sweeps.tick() => {
                self.posts.values().for_each(|post| post.ledger.tend_slowly());
                self.hands.tend_slowly();
                watch.sweep(self.fleets.watched(), &mut news.common);
            }
            () = tick(due.watchdog.as_mut()), if due.watchdog.is_some() => service::watchdog(),
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

    fn serve(&mut self, id: FleetId, request: Request, news: &mut News) {
        // An answer that is dropped says that the watch has ended.
        let (Some(post), Some(fleet)) = (self.posts.get_mut(&id), self.fleets.get(id)) else { return };
        let order = post.serve(request, (fleet, self.senses.watch.tier()));
        news.of_one.extend(order.map(|order| (id, order)));
    }

    /// Hands everything that is known to the machines, and does what they ask for, until nothing is left to do.
    fn turn(&mut self, news: &mut News, out: &mut Outbox<Asked>) {
        loop {
            // The kernel's records go before the facts that were gathered: they explain what those only state. A
            // process that is seen to be gone has left its record before, unless that was lost.
            let mut events = Vec::new();
            if let Some(ring) = &mut self.senses.ring {
                ring.drain(&mut events);
            }
            events.append(&mut news.common);
            let of_one = std::mem::take(&mut news.of_one);
            for mustered in std::mem::take(&mut news.mustered) {
                self.mustered(mustered, out, news);
            }
            if events.is_empty() && of_one.is_empty() {
                self.write_dumps();
                return;
            }
            let now = now();
            for event in events {
                debug!(?event);
                let is_listing = self.is_first_listing(&event);
                self.fleets.step(now, event, out);
                self.perform(out, news);
                if is_listing {
                    is_up();
                }
            }
            for (id, event) in of_one {
                debug!(?event);
                let is_rules = matches!(event, Event::Rules { .. });
                self.fleets.step_one(id, now, event, out);
                self.perform(out, news);
                if is_rules {
                    is_up();
                }
            }
            if self.is_over() {
                return;
            }
        }
    }

    /// After the first one everybody who is there is watched.
    fn is_first_listing(&mut self, event: &Event) -> bool {
        let Event::Listed { processes, .. } = event else { return false };
        let is_first = !std::mem::replace(&mut self.is_ready, true);
        if is_first
            && !rustix::process::geteuid().is_root()
            && let Some(warning) = hidden_programs(processes.hidden())
        {
            self.hands.say(Level::Warning, &warning);
        }
        is_first
    }

    fn perform(&mut self, out: &mut Outbox<Asked>, news: &mut News) {
        for Asked { by, action } in out.drain() {
            debug!(fleet = by.number(), ?action);
            let facts = &mut news.common;
            match action {
                Action::AwaitEnd(proc) => self.senses.watch.await_end(proc, facts),
                Action::Expect(name) => {
                    let is_told = self.senses.watch.expect(name.as_slice());
                    self.expected.insert(name, is_told);
                }
                Action::ExpectNoMore(name) => {
                    if self.expected.remove(&name) == Some(true) {
                        self.senses.watch.expect_no_more(name.as_slice());
                    }
                }
                Action::Finish(how) => {
                    self.dismiss(by, how);
                    if self.muster.is_none() {
                        // All else goes with this process.
                        return;
                    }
                }
                Action::Sweep => self.senses.watch.sweep(self.fleets.watched(), facts),
                Action::Unwatch(proc) => self.senses.watch.end(proc),
                Action::Watch(proc) => self.senses.watch.begin(proc, facts),
                Action::EndRun { run, force } => self.hands.end_run(run, force, facts),
                Action::List => self.hands.list(),
                Action::ForgetProbe(probe) => self.hands.forget_probe(probe),
                Action::LookAtPort(watch) => self.ports.look(watch, self.senses.watch.ports(), facts),
                Action::UnwatchPort(watch) => self.ports.end(watch, self.senses.watch.ports()),
                Action::WatchPort { watch, proc, port, thresholds } => {
                    self.ports.begin((watch, proc, port), thresholds, self.senses.watch.ports(), facts);
                    for lack in self.ports.take_lacks() {
                        self.hands.say(Level::Warning, &lack);
                    }
                }
                Action::Probe { probe, ask } => self.hands.probe(probe, ask),
                Action::Signal { proc, signal } => self.hands.signal(proc, signal, signals::send),
                Action::SignalGroup { leader, signal } => self.hands.signal(leader, signal, signals::send_to_group),
                Action::Tell(told) => {
                    self.hands.tell(&told);
                    self.of(by, |post| post.note(&told));
                }
                Action::Remember(told) => self.of(by, |post| post.note(&told)),
                Action::Dump => self.of(by, |post| post.ledger.trace.want_dump()),
                Action::ReadRules { request } => {
                    service::reloading();
                    self.of(by, |post| post.ledger.read_rules(request));
                }
                Action::Renew(saved) => {
                    let line = self.posts.get_mut(&by).and_then(|post| post.ledger.renew(&saved));
                    self.hands.pass_on(line);
                    self.follow_rules(by);
                }
                Action::Reply { request, answer } => self.of(by, |post| post.reply(request, answer)),
                Action::Run(order) => {
                    if let Some(post) = self.posts.get(&by) {
                        let output = post.ledger.output(order.entry);
                        self.hands.run(*order, output);
                    }
                }
                Action::Save(saved) => {
                    let line = self.posts.get_mut(&by).and_then(|post| post.ledger.save(&saved));
                    self.hands.pass_on(line);
                }
                Action::Snapshot { entry, proc } => self.of(by, |post| post.ledger.trace.look_at(entry, proc)),
            }
        }
    }

    fn of(&mut self, id: FleetId, what: impl FnOnce(&mut Post)) {
        if let Some(post) = self.posts.get_mut(&id) {
            what(post);
        }
    }

    /// The rules may have changed.
    fn follow_rules(&mut self, id: FleetId) {
        if let (Some(post), Some(fleet)) = (self.posts.get_mut(&id), self.fleets.get(id)) {
            post.follow_rules(fleet);
        }
    }

    fn write_dumps(&mut self) {
        let tier = self.senses.watch.tier();
        for (id, post) in &mut self.posts {
            if let Some(fleet) = self.fleets.get(*id) {
                post.write_dump(fleet, tier);
            }
        }
    }

    /// The watch over a pfile is over. Scripts that run go on.
    fn dismiss(&mut self, id: FleetId, how: Finish) {
        let (Some(post), Some(fleet)) = (self.posts.remove(&id), self.fleets.take_ended(id)) else { return };
        self.say_farewell(&post.pfile, how);
        self.doors.close(id);
        self.farewells.spawn(post.leave(&fleet, self.senses.watch.tier()));
    }

    /// What is left to do when all is over.
    async fn end(self) {
        let Self { mut hands, doors, mut farewells, .. } = self;
        service::stopping();
        let words = async {
            let mut all = Vec::new();
            while let Some(last_words) = farewells.join_next().await {
                all.extend(last_words.ok().flatten());
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

async fn next_of(muster: Option<&mut Muster>) -> Mustered {
    match muster {
        Some(muster) => muster.next().await,
        None => std::future::pending().await,
    }
}

/// Waits until something is done that was asked for one of the pfiles.
async fn any_ledger(posts: &mut BTreeMap<FleetId, Post>) -> (FleetId, (Option<Event>, Vec<Line>)) {
    let busy = posts.iter_mut().filter(|(_, post)| post.ledger.is_busy());
    let mut waiting: Vec<_> = busy.map(|(id, post)| Box::pin(async { (*id, post.ledger.ready().await) })).collect();
    std::future::poll_fn(|cx| {
        let ready = waiting.iter_mut().find_map(|one| match pin!(one).poll(cx) {
            std::task::Poll::Ready(ready) => Some(ready),
            std::task::Poll::Pending => None,
        });
        ready.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
    })
    .await
}

/// All rules are in force, and everybody who is there is watched.
fn is_up() {
    service::ready();
    // Reading rules and listing processes takes much for a moment.
    heap::give_back();
}

/// What an ordinary user is to know before he wonders why a process is not found.
fn hidden_programs(count: usize) -> Option<String> {
    let hide = match count {
        0 => return None,
        1 => "1 process hides its program".to_owned(),
        count => format!("{count} processes hide their program"),
    };
    Some(format!("{hide} from this user: an entry that means one of them by its program does not find it"))
}

fn now() -> Now {
    Now { mono: clock::now(), wall: clock::wall() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_programs_are_told_where_there_are_some() {
        assert_eq!(hidden_programs(0), None);
        let rest = "from this user: an entry that means one of them by its program does not find it";
        assert_eq!(hidden_programs(1).unwrap(), format!("1 process hides its program {rest}"));
        assert_eq!(hidden_programs(7).unwrap(), format!("7 processes hide their program {rest}"));
    }
}
