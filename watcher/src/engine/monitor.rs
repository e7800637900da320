//! The loop of `clp_httpmon` and `clp_smtpmon`: one service is asked, and what comes of it is told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Interval};
use tracing::debug;
use watcher_core::{
    Mono, Outbox, ProbeId, RequestId,
    monitor::{Action, Event, Finish, Id, Kind, Monitor, Plan},
    probe::{Ask, Fault, Verdict},
};

use super::{tick, ticks, until};
use crate::{
    control::{Command, Reply, Request, Server},
    executor::{
        log::Log,
        probe::{Attempt, Prober},
        service,
    },
    sources::os_signals::OsSignals,
    sys::clock,
};

/// How long the end may take: the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Everything that monitoring one service needs.
#[derive(Debug)]
pub struct Parts {
    /// By HTTP or SMTP.
    pub kind: Kind,
    /// The identifier, for the messages.
    pub id: Id,
    /// When to ask, and how often in vain.
    pub plan: Plan,
    /// What is asked.
    pub ask: Arc<Ask>,
    /// Where messages go.
    pub log: Log,
    /// Signals to this process.
    pub signals: OsSignals,
    /// The control socket.
    pub control: Server,
}

/// Monitors a service until the operator, or the service, ends it.
pub async fn run(parts: Parts) -> Finish {
    let mut out = Outbox::default();
    let monitor = Monitor::begin(parts.kind, parts.plan, clock::now(), &mut out);
    let mut watch = Watch { monitor, parts, prober: Prober::new(), waiting: BTreeMap::new(), requests: 0 };
    let mut watchdog = service::watchdog_period().map(ticks);
    let mut events = Vec::new();
    let mut finish = watch.perform(&mut out);
    service::ready();
    loop {
        if let Some(finish) = finish {
            service::stopping();
            watch.end().await;
            return finish;
        }
        watch.wait(&mut watchdog, &mut events).await;
        for event in events.drain(..) {
            debug!(?event);
            watch.monitor.step(clock::now(), event, &mut out);
            finish = watch.perform(&mut out).or(finish);
        }
    }
}

#[derive(Debug)]
struct Watch {
    monitor: Monitor,
    parts: Parts,
    prober: Prober,
    waiting: BTreeMap<RequestId, oneshot::Sender<Reply>>,
    requests: u64,
}

impl Watch {
    /// Waits until something happens.
    async fn wait(&mut self, watchdog: &mut Option<Interval>, events: &mut Vec<Event>) {
        let deadline: Option<Mono> = self.monitor.next_deadline();
        let Parts { log, signals, control, .. } = &mut self.parts;
        let mut done: Vec<(ProbeId, Attempt)> = Vec::new();
        tokio::select! {
            biased;
            // First: under a flood of other things the loop lives.
            () = tick(watchdog.as_mut()), if watchdog.is_some() => service::watchdog(),
            event = signals.next() => events.extend(of_signal(&event)),
            () = self.prober.ready(&mut done) => {}
            request = control.next() => self.serve(request, events),
            () = log.ready() => log.retry(),
            () = until(deadline), if deadline.is_some() => events.push(Event::Deadline),
        }
        let probed = |(probe, Attempt { verdict, .. })| Event::Probed { probe, verdict };
        events.extend(done.into_iter().map(probed));
    }

    fn serve(&mut self, Request { command, answer }: Request, events: &mut Vec<Event>) {
        match command {
            Command::Monitor(order) => {
                let request = RequestId(self.requests);
                self.requests += 1;
                self.waiting.insert(request, answer);
                events.push(Event::Order { request, order });
            }
            Command::Events { .. }
            | Command::Join(_)
            | Command::Metrics
            | Command::Order(_)
            | Command::Ping
            | Command::ShowEntries { .. }
            | Command::ShowParam
            | Command::Status { .. }
            | Command::Wait
            | Command::Why { .. } => {
                let command = self.parts.kind.command();
                // Nobody may wait for it any more.
                let _nobody_waits = answer.send(Reply::refused(format!("this is a {command}, and no pcheck")));
            }
        }
    }

    fn perform(&mut self, out: &mut Outbox<Action>) -> Option<Finish> {
        let Parts { kind, id, ask, log, .. } = &mut self.parts;
        let mut finish = None;
        for action in out.drain() {
            debug!(?action);
            match action {
                Action::Ask(probe) => self.prober.start(probe, Arc::clone(ask)),
                Action::Finish(how) => finish = Some(how),
                Action::Forget(probe) => self.prober.forget(probe),
                Action::Reply { request, standing } => {
                    if let Some(waiting) = self.waiting.remove(&request) {
                        let _nobody_waits = waiting.send(Reply::Monitor(standing));
                    }
                }
                Action::Tell(note) => log.tell(note.level(), &note.line(*kind, id.as_str().as_bytes())),
            }
        }
        finish
    }

    async fn end(self) {
        let Self { parts: Parts { mut log, control, .. }, waiting, .. } = self;
        // Whoever still waits is told that it ends.
        drop(waiting);
        control.finish().await;
        log.flush(LAST_LINES);
    }
}

/// SIGHUP and SIGUSR1 mean something to pcheck only.
fn of_signal(event: &watcher_core::Event) -> Option<Event> {
    match event {
        watcher_core::Event::Stop { .. } => Some(Event::Stop),
        watcher_core::Event::Deadline
        | watcher_core::Event::Exec { .. }
        | watcher_core::Event::Exit(_)
        | watcher_core::Event::Gone { .. }
        | watcher_core::Event::Listed { .. }
        | watcher_core::Event::Lost { .. }
        | watcher_core::Event::Order { .. }
        | watcher_core::Event::PortLooked { .. }
        | watcher_core::Event::PortWatched { .. }
        | watcher_core::Event::Probed { .. }
        | watcher_core::Event::Rules { .. }
        | watcher_core::Event::RunEnded { .. }
        | watcher_core::Event::RunStarted { .. }
        | watcher_core::Event::Socket(_)
        | watcher_core::Event::SocketsLost { .. }
        | watcher_core::Event::StartsUntold
        | watcher_core::Event::Zombie { .. } => None,
    }
}

/// Asks once, and again only where it was we who were not there.
pub async fn once(ask: Ask) -> Attempt {
    let ask = Arc::new(ask);
    let mut prober = Prober::new();
    let mut done = Vec::new();
    loop {
        prober.start(ProbeId(0), Arc::clone(&ask));
        prober.ready(&mut done).await;
        match done.pop() {
            Some((_, attempt)) if attempt.verdict != Verdict::Bad(Fault::Overrun) => return attempt,
            Some(_) | None => {}
        }
    }
}
