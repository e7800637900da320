//! What pcheck answers, and what it shows of itself.

use std::collections::BTreeSet;

use watcher_core::{
    EntryId, Event, RequestId, Span, Told,
    fleet::{EntryView, FleetView},
    no_such_entry,
    pfile::EntryNumber,
};

use super::Patrol;
use crate::{
    control::{Command, EntryLine, Reply, Request, Who},
    executor::{
        dump::{self, Head},
        event_line::EventLine,
    },
    sys::{clock, own},
};

impl Patrol {
    /// Answers what can be answered by a look; hands on what is an order.
    pub(super) fn serve(&mut self, Request { command, answer }: Request, events: &mut Vec<Event>) {
        let entries = self.fleet.len();
        let reply = match command {
            Command::Order(order) => {
                let request = RequestId(self.next_request);
                self.next_request += 1;
                self.waiting.insert(request, answer);
                events.push(Event::Order { request: Some(request), order });
                return;
            }
            Command::Monitor(_) => Reply::refused("this is a pcheck, and no clp_httpmon or clp_smtpmon"),
            Command::Events { follow, last } => self.events(follow, last),
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
                    (Some(entry), true) => Reply::refused(no_such_entry(entry, entries)),
                    (Some(_) | None, _) => Reply::Entries(clock::now(), views),
                }
            }
            Command::ShowParam => Reply::Param(self.view()),
            Command::Why { entry } => match entry.filter(|entry| entry.number() > entries) {
                Some(entry) => Reply::refused(no_such_entry(entry, entries)),
                None => self.why(entry),
            },
        };
        // Nobody may wait for it any more.
        let _nobody_waits = answer.send(reply);
    }

    pub(super) fn reply(&mut self, request: RequestId, reply: Reply) {
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

    /// What is remembered, and what is to come.
    fn events(&self, follow: bool, last: Option<u32>) -> Reply {
        let most = last.map_or(usize::MAX, |last| last as usize);
        // First this: what happens in between is told twice rather than never.
        let live = follow.then(|| self.followers.subscribe());
        let last = self.hands.trace.last(most).iter().map(|event| event.json().into()).collect();
        Reply::Events { last, live }
    }

    /// The lines of the dump, of one entry or of all.
    fn why(&self, entry: Option<EntryNumber>) -> Reply {
        let contents = self.hands.trace.contents(self.head(), self.entry_lines());
        match dump::lines(&contents, entry.map(EntryNumber::number)) {
            Ok(lines) => Reply::Lines(lines.into_iter().map(Into::into).collect()),
            Err(error) => Reply::refused(error.to_string()),
        }
    }

    /// Tells the log, those who remember, and those who follow.
    pub(super) fn tell(&mut self, told: &Told) {
        let at = clock::wall();
        self.hands.tell(at, told);
        if self.followers.receiver_count() > 0 {
            // Nobody may follow any more.
            let _nobody_follows = self.followers.send(EventLine::of(told, at).json().into());
        }
    }

    /// The rules may have changed.
    pub(super) fn follow_rules(&mut self) {
        let dump_file = self.fleet.param().dump_file.as_ref().map(|dump| &dump.value);
        self.hands.trace.dump_to(dump_file);
        let views = self.fleet.views();
        let ids: BTreeSet<_> = views.iter().map(|view| view.id).collect();
        self.hands.check_scripts(views.into_iter().map(|view| (view.process, view.script)).collect());
        self.hands.trace.retain(|id| ids.contains(&id));
    }

    /// Writes the dump, if it is due.
    pub(super) fn write_dump(&mut self) {
        if self.hands.trace.is_due() {
            let (head, entries) = (self.head(), self.entry_lines());
            self.hands.trace.write(head, entries);
        }
    }

    pub(super) fn head(&self) -> Head {
        Head {
            version: env!("CARGO_PKG_VERSION"),
            pfile: self.pfile.to_string(),
            ipckey: self.fleet.param().ipc_key.value.written().to_string(),
            pid: own::pid().number(),
            tier: self.senses.watch.tier().name(),
            unix_time: Span(clock::wall().unix_ns).seconds(),
        }
    }

    pub(super) fn entry_lines(&self) -> Vec<(EntryId, usize, EntryLine)> {
        let now = clock::now();
        let line = |view: &EntryView| (view.id, view.number.number(), EntryLine::of(view, now));
        self.fleet.views().iter().map(line).collect()
    }
}
