//! The loop of pcheck: a fleet, what happens to it, and what it asks for.

mod asked;

use std::{collections::BTreeMap, io, time::Duration};

use tokio::{
    sync::{broadcast, oneshot},
    time::{Interval, sleep},
};
use tracing::{debug, warn};
use watcher_core::{
    Action, Answer, Event, Finish, Level, Now, Outbox, RequestId, Wall,
    fleet::Fleet,
    pfile::{AbsolutePath, Bytes},
};

use super::{HURRY, SETTLE, Senses, keep_pace, tick, ticks, until};
use crate::{
    control::{Line, Reply, Server},
    executor::{hands::Hands, ports::PortWatch, scripts, service, signals},
    sources::{os_signals::OsSignals, ring::RingSource},
    sys::{clock, heap},
};

/// So often other things come before a deadline that is due.
const PATIENCE: u32 = 32;

/// So many events wait for whoever follows them slowly; more are counted as lost for him.
const FOLLOWED: usize = 4096;

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
    /// How often in a row something else came before a deadline.
    passed_over: u32,
    /// Who follows what happens.
    followers: broadcast::Sender<Line>,
    /// Names of programs that are waited for, and whether their starts are told.
    expected: BTreeMap<Bytes, bool>,
    /// Ports whose sockets are watched.
    ports: PortWatch,
    sweep_every: Duration,
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
    /// However well events arrive, every watched process is looked at this often.
    pub sweep_every: Duration,
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
        let Parts { fleet, senses, hands, signals, control, pfile, sweep_every } = parts;
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
            passed_over: 0,
            followers: broadcast::Sender::new(FOLLOWED),
            expected: BTreeMap::new(),
            ports: PortWatch::default(),
            sweep_every,
        }
    }

    /// Watches until the operator, or an entry whose retries are used up, ends it.
    ///
    /// # Errors
    /// When no tier works any more.
    pub async fn run(mut self) -> io::Result<Finish> {
        let mut due = Ticks {
            looks: ticks(self.look_every()),
            sweeps: ticks(self.sweep_every),
            hurry: ticks(HURRY),
            tend: ticks(scripts::TEND_EVERY),
            watchdog: service::watchdog_period().map(ticks),
        };
        let mut events = Vec::new();
        let mut out = Outbox::default();
        self.follow_rules();
        self.fleet.begin(now(), &mut out);
        let mut finish = self.perform(&mut out, &mut events);
        loop {
            finish = finish.or_else(|| self.turn(&mut events, &mut out));
            if let Some(finish) = finish {
                self.end().await;
                return Ok(finish);
            }
            if self.leave_tier_if_failing(&mut events)? {
                continue;
            }
            if let Some(complaint) = self.senses.watch.take_complaint() {
                self.hands.say(Level::Error, &complaint);
            }
            keep_pace(&mut due.looks, self.look_every());
            self.wait(&mut due, &mut events).await?;
        }
    }

    /// From one slice of the processes that have to be looked at to the next.
    fn look_every(&self) -> Duration {
        Duration::from_secs(self.fleet.monitor_interval().seconds().into()) / self.senses.watch.slices()
    }

    /// Says whether another tier is in use now.
    fn leave_tier_if_failing(&mut self, events: &mut Vec<Event>) -> io::Result<bool> {
        let Some(left) = self.senses.leave_if_failing(self.fleet.watched(), events)? else { return Ok(false) };
        self.hands.say(Level::Warning, &left.to_string());
        for (name, is_told) in &mut self.expected {
            *is_told = self.senses.watch.expect(name.as_slice());
        }
        Ok(true)
    }

    /// Waits until something happens.
    async fn wait(&mut self, due: &mut Ticks, events: &mut Vec<Event>) -> io::Result<()> {
        let unsettled = self.senses.ring.as_ref().is_some_and(RingSource::is_unsettled);
        let deadline = self.fleet.next_deadline();
        let Senses { ring, watch, tier_after: _ } = &mut self.senses;
        tokio::select! {
            biased;
            readable = Senses::readable(ring.as_ref()) => {
                if let Err(error) = readable {
                    watch.fail(error.to_string());
                }
            }
            readable = watch.readable() => watch.drain(readable, events),
            () = self.hands.ready(events) => {}
            event = self.signals.next() => events.push(event),
            request = self.control.next() => self.serve(request, events),
            () = sleep(SETTLE), if unsettled => {}
            _ = due.hurry.tick(), if watch.must_hurry() => watch.look_at_dying(events),
            _ = due.tend.tick(), if self.hands.must_tend() => self.hands.tend(events),
            _ = due.looks.tick(), if watch.must_look() => watch.look_again(events),
            _ = due.sweeps.tick() => {
                self.hands.tend_slowly();
                watch.sweep(self.fleet.watched(), events);
            }
            () = tick(due.watchdog.as_mut()), if due.watchdog.is_some() => service::watchdog(),
            // Last, when nothing else is there to be told: a deadline must not judge what happened in time, such as
            // while this process was stopped.
            () = until(deadline), if deadline.is_some() => {
                self.passed_over = 0;
                events.push(Event::Deadline);
                return Ok(());
            }
        }
        // But under a flood of other things it has its turn, too.
        self.passed_over += 1;
        if self.passed_over > PATIENCE && deadline.is_some_and(|deadline| deadline <= clock::now()) {
            self.passed_over = 0;
            events.push(Event::Deadline);
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
            if events.is_empty() {
                self.write_dump();
                return None;
            }
            for event in events {
                debug!(?event);
                let is_told = match event {
                    Event::Listed { ref processes, .. } => {
                        let is_first = !std::mem::replace(&mut self.is_ready, true);
                        if is_first
                            && !rustix::process::geteuid().is_root()
                            && let Some(warning) = hidden_programs(processes.hidden())
                        {
                            self.hands.say(Level::Warning, &warning);
                        }
                        is_first
                    }
                    Event::Rules { .. } => true,
                    Event::Deadline
                    | Event::Exec { .. }
                    | Event::Exit(_)
                    | Event::Gone { .. }
                    | Event::Lost { .. }
                    | Event::Order { .. }
                    | Event::PortLooked { .. }
                    | Event::PortWatched { .. }
                    | Event::Probed { .. }
                    | Event::RunEnded { .. }
                    | Event::RunStarted { .. }
                    | Event::Socket(_)
                    | Event::SocketsLost { .. }
                    | Event::StartsUntold
                    | Event::Stop { .. }
                    | Event::Zombie { .. } => false,
                };
                self.fleet.step(now, event, out);
                if let Some(finish) = self.perform(out, facts) {
                    return Some(finish);
                }
                if is_told {
                    service::ready();
                    // Reading rules and listing processes takes much for a moment.
                    heap::give_back();
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
                    let is_told = self.senses.watch.expect(name.as_slice());
                    self.expected.insert(name, is_told);
                }
                Action::ExpectNoMore(name) => {
                    if self.expected.remove(&name) == Some(true) {
                        self.senses.watch.expect_no_more(name.as_slice());
                    }
                }
                Action::Finish(how) => finish = Some(how),
                Action::Reply { request, answer } => self.reply(request, Reply::Answer(answer)),
                Action::Sweep => self.senses.watch.sweep(self.fleet.watched(), facts),
                Action::Unwatch(proc) => self.senses.watch.end(proc),
                Action::Watch(proc) => self.senses.watch.begin(proc, facts),
                Action::Dump => self.hands.trace.want_dump(),
                Action::EndRun { run, force } => self.hands.end_run(run, force, facts),
                Action::List => self.hands.list(),
                Action::ReadRules { request } => {
                    service::reloading();
                    self.hands.read_rules(request);
                }
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
                Action::Renew(saved) => {
                    self.hands.renew(&saved);
                    self.follow_rules();
                }
                Action::Run(order) => self.hands.run(*order),
                Action::Save(saved) => self.hands.save(&saved),
                Action::Signal { proc, signal } => self.hands.signal(proc, signal, signals::send),
                Action::SignalGroup { leader, signal } => self.hands.signal(leader, signal, signals::send_to_group),
                Action::Snapshot { entry, proc } => self.hands.trace.look_at(entry, proc),
                Action::Tell(told) => self.tell(&told),
            }
        }
        finish
    }

    /// What is left to do when the watch is over. Scripts that run go on.
    async fn end(self) {
        let (head, entries) = (self.head(), self.entry_lines());
        let Self { hands, control, waiting, followers, .. } = self;
        service::stopping();
        // Who follows sees the end.
        drop(followers);
        for waiting in waiting.into_values() {
            let ended = Answer::Refused("pcheck has ended".to_owned());
            let _nobody_waits = waiting.send(Reply::Answer(ended));
        }
        let control = async { control.finish().await };
        if tokio::time::timeout(FAREWELL, async { tokio::join!(hands.finish(head, entries), control) }).await.is_err() {
            warn!("some last words could not be said");
        }
    }
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
