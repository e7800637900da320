//! What the watch over one pfile has to itself: its ledger, and whoever asks or follows.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{broadcast, oneshot, watch},
    time::timeout,
};
use watcher_core::{
    Answer, EntryId, Event, Pid, RequestId, Span, Tier, Told, Wall,
    fleet::{EntryView, Fleet, FleetView},
    no_such_entry,
    pfile::{AbsolutePath, EntryNumber},
};

use super::{bell::Bell, guest::Guest};
use crate::{
    control::{Command, Ended, EntryLine, Line, Making, Reply, Request, Who},
    executor::{
        dump::{self, Head},
        event_line::EventLine,
        ledger::Ledger,
        scripts,
    },
    sys::{clock, own},
};

/// So many events wait for whoever follows them slowly; more are counted as lost for him.
const FOLLOWED: usize = 4096;

/// How long the last dump may take before those are told of the end who wait for it.
const SOON: Duration = Duration::from_millis(500);

/// The post of one pfile.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) ledger: Ledger,
    /// Rings when there is something to do for it.
    pub(super) bell: Arc<Bell>,
    /// The full path of the pfile.
    pub(super) pfile: AbsolutePath,
    /// The pcheck that it is watched for, if one has joined for it.
    pub(super) guest: Option<Guest>,
    since: Wall,
    waiting: BTreeMap<RequestId, oneshot::Sender<Reply>>,
    next_request: u64,
    /// Who waits for the end, if somebody does.
    ended: Option<watch::Sender<Option<Ended>>>,
    /// Who follows what happens, if somebody does: there is room for as much as he may be slow.
    followers: Option<broadcast::Sender<Line>>,
}

impl Post {
    pub(super) fn new(ledger: Ledger, bell: Arc<Bell>, pfile: AbsolutePath, guest: Option<Guest>) -> Self {
        Self {
            ledger,
            bell,
            pfile,
            guest,
            since: clock::wall(),
            waiting: BTreeMap::new(),
            next_request: 0,
            ended: None,
            followers: None,
        }
    }

    /// Answers what can be answered by a look; an order is for the fleet to carry out.
    pub(super) fn serve(
        &mut self,
        Request { command, answer }: Request,
        (fleet, tier): (&Fleet, Tier),
    ) -> Option<Event> {
        let entries = fleet.len();
        let reply = match command {
            Command::Order(order) => {
                let request = RequestId(self.next_request);
                self.next_request += 1;
                self.waiting.insert(request, answer);
                return Some(Event::Order { request: Some(request), order });
            }
            Command::Join(_) => Reply::refused("this is the watch over one pfile, and none can join it"),
            Command::Monitor(_) => Reply::refused("this is a pcheck, and no clp_httpmon or clp_smtpmon"),
            Command::Events { follow, last } => self.events(follow, last),
            Command::Ping => Reply::Who(Box::new(self.who(fleet, tier))),
            Command::ShowEntries { entry } => {
                let mut views = fleet.views();
                views.retain(|view| entry.is_none_or(|entry| view.number == entry));
                match (entry, views.is_empty()) {
                    (Some(entry), true) => Reply::refused(no_such_entry(entry, entries)),
                    (Some(_) | None, _) => Reply::Entries(clock::now(), views),
                }
            }
            Command::ShowParam => Reply::Param(view(fleet, tier)),
            Command::Metrics => Reply::refused("figures are to be had by HTTP only, where --metrics wants them"),
            // That takes more than is known here.
            Command::Status { .. } => Reply::refused("it is asked elsewhere"),
            Command::Wait => Reply::Wait(self.ended.get_or_insert_with(|| watch::Sender::new(None)).subscribe()),
            Command::Why { entry } => match entry.filter(|entry| entry.number() > entries) {
                Some(entry) => Reply::refused(no_such_entry(entry, entries)),
                None => self.why(entry, (fleet, tier)),
            },
        };
        // Nobody may wait for it any more.
        let _nobody_waits = answer.send(reply);
        None
    }

    /// Whose post it is.
    pub(super) fn who(&self, fleet: &Fleet, tier: Tier) -> Who {
        Who { pid: self.pid(), pfile: self.pfile.clone(), since: self.since, fleet: view(fleet, tier) }
    }

    pub(super) fn reply(&mut self, request: RequestId, answer: Answer) {
        if let Some(waiting) = self.waiting.remove(&request) {
            let _nobody_waits = waiting.send(Reply::Answer(answer));
        }
    }

    /// What is remembered, and what is to come.
    fn events(&mut self, follow: bool, last: Option<u32>) -> Reply {
        let most = last.map_or(usize::MAX, |last| last as usize);
        // First this: what happens in between is told twice rather than never.
        let live = follow.then(|| self.followers.get_or_insert_with(|| broadcast::Sender::new(FOLLOWED)).subscribe());
        let last = self.ledger.trace.last(most).iter().map(|event| event.json().into()).collect();
        Reply::Events { last, live }
    }

    /// The lines of the dump, of one entry or of all.
    fn why(&self, entry: Option<EntryNumber>, (fleet, tier): (&Fleet, Tier)) -> Reply {
        let contents = self.ledger.trace.contents(self.head(fleet, tier), entry_lines(fleet));
        Reply::Making(Making::by(move || {
            let lines = dump::lines(&contents, entry.map(EntryNumber::number)).map_err(|error| error.to_string())?;
            Ok(lines.into_iter().map(Into::into).collect())
        }))
    }

    /// Tells those who remember, and those who follow.
    pub(super) fn note(&mut self, told: &Told) {
        let at = clock::wall();
        self.ledger.note(at, told);
        self.followers.take_if(|followers| followers.receiver_count() == 0);
        if let Some(followers) = &self.followers {
            // Nobody may follow any more.
            let _nobody_follows = followers.send(EventLine::of(told, at).json().into());
        }
    }

    /// Who is to be told to end, if this watch is.
    fn pid(&self) -> Pid {
        self.guest.as_ref().map_or_else(own::pid, |guest| guest.pid)
    }

    /// The rules may have changed.
    pub(super) fn follow_rules(&mut self, fleet: &Fleet) {
        let dump_file = fleet.param().dump_file.as_ref().map(|dump| &dump.value);
        self.ledger.trace.dump_to(dump_file);
        let views = fleet.views();
        let ids: BTreeSet<_> = views.iter().map(|view| view.id).collect();
        self.ledger.check_scripts(views.into_iter().map(|view| (view.process, view.script)).collect());
        self.ledger.trace.retain(|id| ids.contains(&id));
        self.bell.ring();
    }

    /// Writes the dump, if it is due.
    pub(super) fn write_dump(&mut self, fleet: &Fleet, tier: Tier) {
        if self.ledger.trace.is_due() {
            let head = self.head(fleet, tier);
            self.ledger.trace.write(head, entry_lines(fleet));
            self.bell.ring();
        }
    }

    fn head(&self, fleet: &Fleet, tier: Tier) -> Head {
        Head {
            version: env!("CARGO_PKG_VERSION"),
            pfile: self.pfile.to_string(),
            ipckey: fleet.param().ipc_key.value.written().to_string(),
            pid: self.pid().number(),
            tier: tier.name(),
            unix_time: Span(clock::wall().unix_ns).seconds(),
        }
    }

    /// What is left to do when the watch is over. There may be a line for the log. Whoever waits for the end is told when all
    /// is given up that the next watch wants: a file system that hangs does not keep him waiting.
    pub(super) fn leave(
        self,
        (fleet, tier): (&Fleet, Tier),
        how: Ended,
    ) -> impl Future<Output = Option<scripts::Line>> + Send + use<> {
        let (head, entries) = (self.head(fleet, tier), entry_lines(fleet));
        let Self { ledger, guest, waiting, ended: waiters, .. } = self;
        for waiting in waiting.into_values() {
            let ended = Answer::Refused("pcheck has ended".to_owned());
            let _nobody_waits = waiting.send(Reply::Answer(ended));
        }
        async move {
            let mut finished = pin!(ledger.finish(head, entries));
            let in_time = timeout(SOON, &mut finished).await;
            if let Some(waiters) = waiters {
                let _before = waiters.send_replace(Some(how));
            }
            let Some(mut guest) = guest else {
                return match in_time {
                    Ok(line) => line,
                    Err(_) => finished.await,
                };
            };
            if let Ok(Some((level, line))) = in_time {
                guest.log(level, line);
            }
            guest.end(how);
            None
        }
    }

    /// Leaves all as it is, for whoever goes on: as if this process had been killed, but for a word to those who are to know.
    pub(super) fn abandon(self, how: Option<Ended>) {
        let Self { ledger, guest, ended: waiters, .. } = self;
        // First this: who is told takes it at once.
        drop(ledger);
        if let (Some(waiters), Some(how)) = (waiters, how) {
            let _before = waiters.send_replace(Some(how));
        }
        if let (Some(guest), Some(how)) = (guest, how) {
            guest.end(how);
        }
    }
}

fn view(fleet: &Fleet, tier: Tier) -> FleetView {
    let param = fleet.param();
    FleetView {
        ipc_key: param.ipc_key.value.written().to_string(),
        msg_check_interval: param.msg_check_interval().seconds(),
        monitor_interval: fleet.monitor_interval().seconds(),
        dump_file: param.dump_file.as_ref().map(|dump| dump.value.clone()),
        entries: fleet.len(),
        tier,
    }
}

fn entry_lines(fleet: &Fleet) -> Vec<(EntryId, usize, EntryLine)> {
    let now = clock::now();
    let line = |view: &EntryView| (view.id, view.number.number(), EntryLine::of(view, now));
    fleet.views().iter().map(line).collect()
}
