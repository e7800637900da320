//! A turn: what is known is handed to the machines, and what they ask for is done.

use std::sync::Arc;

use tracing::debug;
use watcher_core::{
    Action, Event, Finish, FleetId, Level, Outbox, RunEnd, SavedEntry,
    fleet::{Doing, Fleet},
    fleets::Asked,
};

use super::{News, Patrol, now, post::Post};
use crate::{
    executor::{service, signals},
    sys::heap,
};

impl Patrol {
    /// Hands everything that is known to the machines, and does what they ask for, until nothing is left to do.
    pub(super) fn turn(&mut self, news: &mut News, out: &mut Outbox<Asked>) {
        loop {
            // These come to news of the other kinds.
            for mustered in std::mem::take(&mut news.mustered) {
                self.mustered(mustered, out, news);
            }
            for happened in std::mem::take(&mut news.in_lobby) {
                self.in_lobby(happened, out, news);
            }
            // The kernel's records go before the facts that were gathered: they explain what those only state. A
            // process that is seen to be gone has left its record before, unless that was lost.
            let mut events = Vec::new();
            if let Some(ring) = &mut self.senses.ring {
                ring.drain(&mut events);
            }
            events.append(&mut news.common);
            let of_one = std::mem::take(&mut news.of_one);
            if events.is_empty() && of_one.is_empty() {
                self.write_dumps();
                self.tend_muster();
                return;
            }
            let now = now();
            for event in events {
                debug!(?event);
                self.record.seen.count(&event);
                let is_listing = self.is_first_listing(&event);
                let is_listed = matches!(event, Event::Listed { .. });
                if matches!(event, Event::Stop { .. }) {
                    self.hand_over(out, news);
                }
                self.fleets.step(now, event, out);
                self.perform(out, news);
                if is_listing {
                    is_up();
                }
                if is_listed {
                    self.tell_guests_that_are_up();
                }
            }
            for (id, event) in of_one {
                debug!(?event);
                let is_rules = matches!(event, Event::Rules { .. });
                self.fleets.step_one(id, now, event, out);
                self.perform(out, news);
                if is_rules && !self.guest_is_reloaded(id) && self.muster.is_none() {
                    is_up();
                }
            }
            if self.is_over() {
                return;
            }
        }
    }

    /// Where nobody is looked for, such as when all are paused, no listing comes after which they are watched.
    pub(super) fn may_be_up(&self) {
        let is_looking = |fleet: &Fleet| fleet.views().iter().any(|view| view.doing == Doing::Looking);
        if !self.posts.is_empty() && !self.fleets.iter().any(|(_, fleet)| is_looking(fleet)) {
            is_up();
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

    pub(super) fn perform(&mut self, out: &mut Outbox<Asked>, news: &mut News) {
        let mut unsaved = Vec::new();
        for Asked { by, action } in out.drain() {
            debug!(fleet = by.number(), ?action);
            if unsaved.len() >= SAVED_AT_ONCE || !may_come_before_saving(&action) {
                self.save(&mut unsaved);
            }
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
                Action::EndRun { run, force } => match self.posts.get(&by).and_then(|post| post.guest.as_ref()) {
                    Some(guest) => guest.end_run(run, force),
                    None => self.hands.end_run(run, force, facts),
                },
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
                    self.record.tally.count(&told.note);
                    self.tell(by, &told);
                    self.of(by, |post| post.note(&told));
                }
                Action::Remember(told) => {
                    self.record.tally.count(&told.note);
                    self.tell_guest(by, &told);
                    self.of(by, |post| post.note(&told));
                }
                Action::Dump => self.busy(by, |post| post.ledger.trace.want_dump()),
                Action::ReadRules { request } => {
                    if !self.guest_reloads(by) {
                        service::reloading();
                        self.is_reloading = true;
                    }
                    self.busy(by, |post| post.ledger.read_rules(request));
                }
                Action::Renew(saved) => {
                    let line = self.posts.get_mut(&by).and_then(|post| post.ledger.renew(saved));
                    self.pass_on(by, line);
                    self.follow_rules(by);
                }
                Action::Reply { request, answer } => self.of(by, |post| post.reply(request, answer)),
                Action::Run(order) => {
                    if let Some(post) = self.posts.get(&by) {
                        let output = post.ledger.output(order.entry);
                        let run = order.run;
                        match &post.guest {
                            None => self.hands.run(*order, output),
                            Some(guest) => facts.extend(
                                guest
                                    .run(order, output)
                                    .err()
                                    .map(|why| Event::RunEnded { run, end: RunEnd::NotStarted(why) }),
                            ),
                        }
                    }
                }
                Action::Save(saved) => unsaved.push((by, saved)),
                Action::Snapshot { entry, proc } => self.busy(by, |post| post.ledger.trace.look_at(entry, proc)),
            }
        }
        self.save(&mut unsaved);
    }

    /// Keeps what must survive: all that there is of one pfile at once.
    fn save(&mut self, unsaved: &mut Vec<(FleetId, Arc<SavedEntry>)>) {
        let mut unsaved = std::mem::take(unsaved).into_iter().peekable();
        while let Some((id, first)) = unsaved.next() {
            let mut saved = vec![first];
            while let Some((_, next)) = unsaved.next_if(|(of, _)| *of == id) {
                saved.push(next);
            }
            let line = self.posts.get_mut(&id).and_then(|post| post.ledger.save(saved));
            self.pass_on(id, line);
        }
    }

    fn of(&mut self, id: FleetId, what: impl FnOnce(&mut Post)) {
        if let Some(post) = self.posts.get_mut(&id) {
            what(post);
        }
    }

    /// The same, and there is something to wait for then.
    fn busy(&mut self, id: FleetId, what: impl FnOnce(&mut Post)) {
        self.of(id, |post| {
            what(post);
            post.bell.ring();
        });
    }

    /// The rules may have changed.
    pub(super) fn follow_rules(&mut self, id: FleetId) {
        if let (Some(post), Some(fleet)) = (self.posts.get_mut(&id), self.fleets.get(id)) {
            post.follow_rules(fleet);
        }
        self.hands.expect_lines_of(self.fleets.iter().map(|(_, fleet)| fleet.len()).sum());
    }

    /// Only a ledger that was heard of may have one that is due.
    fn write_dumps(&mut self) {
        let tier = self.senses.watch.tier();
        for id in self.dumps.drain(..) {
            if let (Some(post), Some(fleet)) = (self.posts.get_mut(&id), self.fleets.get(id)) {
                post.write_dump(fleet, tier);
            }
        }
    }

    /// The watch over a pfile is over. Scripts that run go on.
    fn dismiss(&mut self, id: FleetId, how: Finish) {
        let (Some(post), Some(fleet)) = (self.posts.remove(&id), self.fleets.take_ended(id)) else { return };
        self.say_farewell(&post, how);
        self.take_leave(id, &post);
        let leaving = post.leave((&fleet, self.senses.watch.tier()), how.into());
        self.farewells.spawn(async move { (id, leaving.await) });
    }
}

/// So many entries are saved at once, and no more wait for it meanwhile.
const SAVED_AT_ONCE: usize = 256;

/// Whether this may be done before what was to be saved is: it leaves no traces but in the log. All else comes after that, or
/// whoever goes on when this process is killed would do it twice, or not know of it.
const fn may_come_before_saving(action: &Action) -> bool {
    matches!(action, Action::Save(_) | Action::Tell(_) | Action::Unwatch(_) | Action::Watch(_))
}

/// All rules are in force, and everybody who is there is watched.
pub(super) fn is_up() {
    service::ready();
    // Reading rules and listing processes takes much for a moment.
    heap::give_back();
    heap::let_go_of_code();
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
