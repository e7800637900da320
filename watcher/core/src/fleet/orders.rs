//! What operators order.

use super::{Fleet, UnitId};
use crate::{
    Action, Answer, Note, Now, Order, Outbox, RequestId, Setting, Span, Told, no_such_entry,
    pfile::{EntryNumber, Seconds},
};

impl Fleet {
    /// Does what an operator orders, and answers, if somebody waits for it.
    pub(super) fn order(&mut self, request: Option<RequestId>, order: Order, now: Now, out: &mut Outbox<Action>) {
        let done = match order {
            Order::Dump if !self.shared.dumps => Err("the pfile names no SHM_DUMP_FILE".to_owned()),
            Order::Dump => {
                out.push(Action::Dump);
                Ok(())
            }
            Order::Pause(entry) => self.each(entry, now, out, |fleet, (unit, at), now, out| {
                fleet.with_unit(unit, now, out, |unit, cx| unit.pause(at, cx));
                Note::Paused
            }),
            // Answered when they have been read.
            Order::Reload => {
                out.push(Action::ReadRules { request });
                return;
            }
            Order::Resume(entry) => self.each(entry, now, out, |fleet, (unit, at), now, out| {
                fleet.with_unit(unit, now, out, |unit, cx| unit.resume(at, cx));
                Note::Resumed
            }),
            Order::Set(setting) => self.set(setting, now, out),
            Order::Shutdown => {
                answer(request, Answer::Done, out);
                self.stop(None, out);
                return;
            }
        };
        answer(request, done.map_or_else(Answer::Refused, |()| Answer::Done), out);
    }

    fn set(&mut self, setting: Setting, now: Now, out: &mut Outbox<Action>) -> Result<(), String> {
        match setting {
            Setting::Grace(entry, Seconds(seconds)) => self.each(entry, now, out, |fleet, place, now, out| {
                fleet.change(place, now, out, |member| member.set_grace = Some(Seconds(seconds)));
                Note::Set { what: format!("grace {seconds}") }
            }),
            Setting::MonitorInterval(interval) => {
                self.set_interval = Some(interval);
                self.shared.interval = Span::of_seconds(interval.seconds());
                for unit in self.unit_ids() {
                    self.with_unit(unit, now, out, |_, _| {});
                }
                let what = format!("MONITOR_INTERVAL {}", interval.seconds());
                out.push(Action::Tell(Told { entry: None, note: Note::Set { what } }));
                Ok(())
            }
            Setting::Retries(entry, retries) => self.each(entry, now, out, |fleet, place, now, out| {
                fleet.change(place, now, out, |member| member.set_retries = Some(retries));
                Note::Set { what: format!("retry {retries}") }
            }),
        }
    }

    fn change(
        &mut self,
        (unit, at): (UnitId, usize),
        now: Now,
        out: &mut Outbox<Action>,
        change: impl FnOnce(&mut super::Member),
    ) {
        self.with_unit(unit, now, out, |unit, _| {
            if let Some(member) = unit.member(at) {
                change(member);
            }
        });
    }

    /// Does something to one entry, or to each, and tells it of each.
    fn each(
        &mut self,
        entry: Option<EntryNumber>,
        now: Now,
        out: &mut Outbox<Action>,
        act: impl Fn(&mut Self, (UnitId, usize), Now, &mut Outbox<Action>) -> Note,
    ) -> Result<(), String> {
        let places: Vec<_> = match entry {
            Some(number) => {
                vec![*self.places.get(number.index()).ok_or_else(|| no_such_entry(number, self.places.len()))?]
            }
            None => self.places.clone(),
        };
        for (number, place) in places.into_iter().enumerate() {
            let subject = self.units.get(&place.0).and_then(|unit| Some(unit.members.get(place.1)?.subject()));
            let mut told = Told { entry: subject, note: act(self, place, now, out) };
            if let Note::Set { what } = &mut told.note
                && entry.is_none()
            {
                // Once for all of them is enough.
                what.push_str(" of all entries");
                told.entry = None;
                if number > 0 {
                    continue;
                }
            }
            out.push(Action::Tell(told));
        }
        Ok(())
    }
}

/// Answers, if somebody waits for it.
pub(super) fn answer(request: Option<RequestId>, answer: Answer, out: &mut Outbox<Action>) {
    if let Some(request) = request {
        out.push(Action::Reply { request, answer });
    }
}
