//! The loop of pcheck: a fleet, what happens to it, and what it asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, Interval, sleep, sleep_until},
};
use tracing::{debug, warn};
use watcher_core::{
    Action, Answer, Event, Finish, Mono, Now, Outbox, RequestId, Wall,
    fleet::{Fleet, FleetView},
    pfile::{AbsolutePath, Bytes},
};

use super::{SETTLE, SLOW_SWEEP, Senses, readable, ticks};
use crate::{
    control::{Command, Reply, Request, Server, Who, no_such_entry},
    executor::{hands::Hands, scripts, service},
    sources::{os_signals::OsSignals, ring::RingSource},
    sys::{clock, own},
};

/// How often processes are looked at that are dying and cannot tell of their end.
const HURRY: Duration = Duration::from_millis(50);

/// How long the end may take: the last lines, the dump, the answers.
const FAREWELL: Duration = Duration::from_secs(2);

/// Everything that the watch over one pfile needs.
#[derive(Debug)]
pub struct Patrol {
    fleet: Fleet,
    senses: Senses,
    hands: Hands,
    signals: OsSignals,
    control: Server,
    pfile: AbsolutePath,
    since: Wall,
    waiting: BTreeMap<RequestId, oneshot::Sender<Reply>>,
    next_request: u64,
    is_ready: bool,
    /// Names of programs whose starts the kernel tells.
    expected: BTreeSet<Bytes>,
}

/// What a patrol is made of.
#[derive(Debug)]
pub struct Parts {
    /// The machine.
    pub fleet: Fleet,
    /// What a tier that works has to offer.
    pub senses: Senses,
    /// What does.
    pub hands: Hands,
    /// Signals to this process.
    pub signals: OsSignals,
    /// The control socket.
    pub control: Server,
    /// The full path of the pfile.
    pub pfile: AbsolutePath,
}

/// Ticks that are wanted at some times only.
struct Ticks {
    looks: Interval,
    sweeps: Interval,
    hurry: Interval,
    tend: Interval,
    watchdog: Option<Interval>,
}

impl Patrol {
    /// Ready to run.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { fleet, senses, hands, signals, control, pfile } = parts;
        Self {
            fleet,
            senses,
            hands,
            signals,
            control,
            pfile,
            since: clock::wall(),
            waiting: BTreeMap::new(),
            next_request: 0,
            is_ready: false,
            expected: BTreeSet::new(),
        }
    }

    /// Watches until the operator, or an entry whose retries are used up, ends it.
    ///
    /// # Errors
    /// When a source fails for good.
    pub async fn run(mut self) -> io::Result<Finish> {
        let mut interval_s = self.fleet.monitor_interval().seconds();
        let mut due = Ticks {
            looks: ticks(Duration::from_secs(interval_s.into())),
            sweeps: ticks(SLOW_SWEEP),
            hurry: ticks(HURRY),
            tend: ticks(scripts::TEND_EVERY),
            watchdog: service::watchdog_period().map(ticks),
        };
        let mut events = Vec::new();
        let mut out = Outbox::default();
        self.fleet.begin(now(), &mut out);
        let mut finish = self.perform(&mut out, &mut events);
        loop {
            finish = finish.or_else(|| self.turn(&mut events, &mut out));
            if let Some(finish) = finish {
                self.end(finish).await;
                return Ok(finish);
            }
            let in_force = self.fleet.monitor_interval().seconds();
            if in_force != interval_s {
                interval_s = in_force;
                due.looks = ticks(Duration::from_secs(interval_s.into()));
            }
            self.wait(&mut due, &mut events).await?;
        }
    }

    /// Waits until something happens.
    async fn wait(&mut self, due: &mut Ticks, events: &mut Vec<Event>) -> io::Result<()> {
        let unsettled = self.senses.ring.as_ref().is_some_and(RingSource::is_unsettled);
        let deadline = self.fleet.next_deadline();
        let Senses { ring, watch } = &mut self.senses;
        tokio::select! {
            biased;
            readable = readable(ring.as_ref()) => readable?,
            readable = watch.readable() => {
                readable?;
                watch.drain(events)?;
            }
            () = self.hands.ready(events) => {}
            event = self.signals.next() => events.push(event),
            request = self.control.next() => self.serve(request, events),
            () = until(deadline), if deadline.is_some() => {}
            () = sleep(SETTLE), if unsettled => {}
            _ = due.hurry.tick(), if watch.must_hurry() => watch.look_at_dying(events),
            _ = due.tend.tick(), if self.hands.must_tend() => self.hands.tend(events),
            _ = due.looks.tick(), if watch.must_look() => watch.look_again(events),
            _ = due.sweeps.tick() => {
                self.hands.tend_slowly();
                for proc in self.fleet.watched() {
                    watch.check(proc, events);
                }
            }
            () = tick(due.watchdog.as_mut()), if due.watchdog.is_some() => service::watchdog(),
        }
        Ok(())
    }

    /// Hands everything that is known to the machine, and does what it asks for, until nothing is left to do.
    fn turn(&mut self, facts: &mut Vec<Event>, out: &mut Outbox<Action>) -> Option<Finish> {
        loop {
            // The kernel's records go before the facts that were gathered: they explain what those only state. A
            // process that is seen to be gone has left its record before, unless that was lost.
            let mut events = Vec::new();
            if let Some(ring) = &mut self.senses.ring {
                ring.drain(&mut events);
            }
            events.append(facts);
            let now = now();
            if events.is_empty() && self.fleet.next_deadline().is_some_and(|deadline| deadline <= now.mono) {
                // Only when everything that has happened is known: a deadline must not judge what was told in time.
                events.push(Event::Deadline);
            }
            if events.is_empty() {
                // publish
                return None;
            }
            for event in events {
                debug!(?event);
                let is_told = match event {
                    Event::Listed { .. } => !std::mem::replace(&mut self.is_ready, true),
                    Event::Rules { .. } => true,
                    Event::Deadline
                    | Event::Exec { .. }
                    | Event::Exit(_)
                    | Event::Gone { .. }
                    | Event::Lost { .. }
                    | Event::Order { .. }
                    | Event::RunEnded { .. }
                    | Event::RunStarted { .. }
                    | Event::Stop { .. }
                    | Event::Zombie { .. } => false,
                };
                self.fleet.step(now, event, out);
                if let Some(finish) = self.perform(out, facts) {
                    return Some(finish);
                }
                if is_told {
                    service::ready();
                }
            }
        }
    }

    fn perform(&mut self, out: &mut Outbox<Action>, facts: &mut Vec<Event>) -> Option<Finish> {
        let mut finish = None;
        for action in out.drain() {
            debug!(?action);
            match action {
                Action::AwaitEnd(proc) => self.senses.watch.await_end(proc, facts),
                Action::Expect(name) => {
                    if self.senses.watch.expect(name.as_slice()) {
                        self.expected.insert(name);
                    }
                }
                Action::ExpectNoMore(name) => {
                    if self.expected.remove(&name) {
                        self.senses.watch.expect_no_more(name.as_slice());
                    }
                }
                Action::Finish(how) => finish = Some(how),
                Action::Reply { request, answer } => self.reply(request, Reply::Answer(answer)),
                Action::Sweep => {
                    for proc in self.fleet.watched() {
                        self.senses.watch.check(proc, facts);
                    }
                }
                Action::Unwatch(proc) => self.senses.watch.end(proc),
                Action::Watch(proc) => self.senses.watch.begin(proc, facts),
                Action::Dump => {}
                Action::EndRun { run, force } => self.hands.end_run(run, force, facts),
                Action::List => self.hands.list(),
                Action::ReadRules { request } => {
                    service::reloading();
                    self.hands.read_rules(request);
                }
                Action::Renew(saved) => self.hands.renew(&saved),
                Action::Run(order) => self.hands.run(*order),
                Action::Save(saved) => self.hands.save(&saved),
                Action::Signal { proc, signal } => self.hands.signal(proc, signal),
                Action::Snapshot { .. } => {}
                Action::Tell(told) => self.hands.tell(&told),
            }
        }
        finish
    }

    /// Answers what can be answered by a look; hands on what is an order.
    fn serve(&mut self, Request { command, answer }: Request, events: &mut Vec<Event>) {
        let entries = self.fleet.len();
        let reply = match command {
            Command::Order(order) => {
                let request = RequestId(self.next_request);
                self.next_request += 1;
                self.waiting.insert(request, answer);
                events.push(Event::Order { request: Some(request), order });
                return;
            }
            Command::Events { .. } => Reply::refused("no"),
            Command::Ping => Reply::Who(Box::new(Who {
                pid: own::pid(),
                pfile: self.pfile.clone(),
                since: self.since,
                fleet: self.view(),
            })),
            Command::ShowEntries { entry } => {
                let mut views = self.fleet.views();
                views.retain(|view| entry.is_none_or(|entry| view.number == entry));
                match (entry, views.is_empty()) {
                    (Some(entry), true) => Reply::Answer(no_such_entry(entry, entries)),
                    (Some(_) | None, _) => Reply::Entries(clock::now(), views),
                }
            }
            Command::ShowParam => Reply::Param(self.view()),
            Command::Why { entry } => match entry.filter(|entry| entry.number() > entries) {
                Some(entry) => Reply::Answer(no_such_entry(entry, entries)),
                None => Reply::refused("no"),
            },
        };
        // Nobody may wait for it any more.
        let _nobody_waits = answer.send(reply);
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        if let Some(waiting) = self.waiting.remove(&request) {
            let _nobody_waits = waiting.send(reply);
        }
    }

    fn view(&self) -> FleetView {
        let param = self.fleet.param();
        FleetView {
            ipc_key: param.ipc_key.value.written().to_string(),
            msg_check_interval: param.msg_check_interval().seconds(),
            monitor_interval: self.fleet.monitor_interval().seconds(),
            dump_file: param.dump_file.as_ref().map(|dump| dump.value.clone()),
            entries: self.fleet.len(),
            tier: self.senses.watch.tier(),
        }
    }

    /// What is left to do when the watch is over. Scripts that run go on.
    async fn end(self, finish: Finish) {
        let Self { fleet, hands, control, waiting, .. } = self;
        service::stopping();
        for waiting in waiting.into_values() {
            let ended = Answer::Refused("pcheck has ended".to_owned());
            let _nobody_waits = waiting.send(Reply::Answer(ended));
        }
        let control = async { control.finish().await };
        if tokio::time::timeout(FAREWELL, async { tokio::join!(async { hands.finish() }, control) }).await.is_err() {
            warn!("some last words could not be said");
        }
    }
}

fn now() -> Now {
    Now { mono: clock::now(), wall: clock::wall() }
}

async fn until(deadline: Option<Mono>) {
    let left = deadline.map_or(0, |deadline| deadline.since(clock::now()).0);
    sleep_until(Instant::now() + Duration::from_nanos(left)).await;
}

async fn tick(ticks: Option<&mut Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}
