//! From rules to units: at the beginning, and when the rules are read again. What did not change keeps its state.

use std::collections::BTreeMap;

use super::{
    Fleet, ProcStatus, Refused, UnitId,
    member::{Presence, Target},
    orders,
    shared::{Context, Who},
    unit::{Fault, Phase, Unit},
};
use crate::{
    Action, Answer, Note, Now, Outbox, RequestId, SavedEntry, Span, Told,
    pfile::{self, Bytes, Pfile},
};

/// What becomes of entries when rules are read again.
#[derive(Clone, Copy, Debug, Default)]
struct Changes {
    kept: usize,
    added: usize,
    changed: usize,
    removed: usize,
}

impl Fleet {
    /// Rules that were asked for have come, or cannot be had.
    pub(super) fn rules(
        &mut self,
        request: Option<RequestId>,
        rules: Result<Box<Pfile>, String>,
        now: Now,
        out: &mut Outbox<Action>,
    ) {
        let same_key = |rules: &Pfile| rules.param.ipc_key.value.number() == self.param.ipc_key.value.number();
        let rules = rules.and_then(|rules| {
            let refused = "IPCKEY cannot change while pcheck runs: end it, and start it again";
            if same_key(&rules) { Ok(rules) } else { Err(refused.to_owned()) }
        });
        match rules {
            Ok(rules) => {
                self.refused = None;
                self.reload(&rules, now, out);
                orders::answer(request, Answer::Done, out);
            }
            Err(why) => {
                self.refused = Some(Refused { at: now.wall, why: why.clone() });
                out.push(Action::Tell(Told { entry: None, note: Note::NotReloaded { why: why.clone() } }));
                orders::answer(request, Answer::Refused(why), out);
            }
        }
    }

    /// Makes units of rules; there are none yet.
    pub(super) fn take_rules(&mut self, rules: &Pfile) {
        let mut seen = BTreeMap::new();
        let mut groups: BTreeMap<Bytes, UnitId> = BTreeMap::new();
        self.shared.guard.set(rules.stall_guard());
        self.shared.checks = rules.entries.iter().map(|entry| entry.value.stall_checks.len() as u64).sum();
        self.places.reserve_exact(rules.entries.len());
        for (number, entry) in rules.numbered() {
            let occurrences = seen.entry(pfile::print_entry(&entry.value)).or_insert(0);
            let member = self.new_member(number, entry.value.clone(), *occurrences);
            *occurrences += 1;
            let tag = entry.value.group().cloned();
            let known = tag.as_ref().and_then(|tag| groups.get(tag)).copied();
            let id = known.unwrap_or_else(|| {
                let id = UnitId(self.next_unit);
                self.next_unit += 1;
                self.units.insert(id, Box::new(Unit::new(tag.clone(), Vec::with_capacity(1))));
                id
            });
            groups.extend(tag.map(|tag| (tag, id)));
            if let Some(unit) = self.units.get_mut(&id) {
                self.places.push((id, unit.members.len()));
                unit.members.push(member);
            }
        }
    }

    /// Takes over what was saved.
    pub(super) fn recall(&mut self, saved: &[SavedEntry]) {
        if saved.is_empty() {
            return;
        }
        let known: BTreeMap<_, _> = saved.iter().map(|saved| ((&saved.text, saved.occurrence), saved)).collect();
        for unit in self.units.values_mut() {
            for member in &mut unit.members {
                let text = pfile::print_entry(&member.entry);
                let Some(saved) = known.get(&(&text, member.occurrence)) else { continue };
                member.recall(saved);
                unit.budget.count = saved.retry_count;
                unit.budget.opened = saved.rare.window_opened;
                unit.budget.last = saved.rare.last_restart;
                if saved.gave_up {
                    unit.phase = Phase::GaveUp;
                }
            }
        }
    }

    fn reload(&mut self, rules: &Pfile, now: Now, out: &mut Outbox<Action>) {
        let mut old = std::mem::take(&mut self.units);
        self.places.clear();
        let all_paused = old.values().flat_map(|unit| &unit.members).all(|member| !member.is_watched());
        self.param = rules.param.clone();
        self.set_interval = None;
        self.shared.interval = Span::of_seconds(rules.param.monitor_interval().seconds());
        self.shared.dumps = rules.param.dump_file.is_some();
        self.take_rules(rules);
        let mut changes = Changes { kept: self.keep_unchanged(&mut old), ..Changes::default() };
        self.carry_over(&mut old, all_paused, &mut changes, out);
        for (id, mut unit) in old {
            changes.removed += unit.members.iter().filter(|member| !member.carried).count();
            let mut cx = Context { unit: id, now, shared: &mut self.shared, out };
            unit.forget_standings(&mut cx);
            unit.let_go(&mut cx);
            unit.tend_checks(&mut cx);
            unit.tend_ports(&mut cx);
            self.shared.runs.leave(id);
            self.timers.set(id, None);
        }
        for unit in self.unit_ids() {
            self.with_unit(unit, now, out, Unit::after_reload);
        }
        let Changes { kept, added, changed, removed } = changes;
        out.push(Action::Tell(Told { entry: None, note: Note::Reloaded { kept, added, changed, removed } }));
        let saved = self.units.values().flat_map(|unit| &unit.members).filter_map(|member| member.saved.clone());
        out.push(Action::Renew(saved.collect()));
    }

    /// Units with the same entries as before go on as they are, wherever these stand in the file now. How many entries
    /// that are.
    fn keep_unchanged(&mut self, old: &mut BTreeMap<UnitId, Box<Unit>>) -> usize {
        let mut known: BTreeMap<_, Vec<UnitId>> = BTreeMap::new();
        for (id, unit) in old.iter().rev() {
            known.entry(texts(unit)).or_default().push(*id);
        }
        let (mut kept, mut units) = (0, Vec::new());
        for fresh in self.unit_ids() {
            let Some(unit) = self.units.get(&fresh) else { continue };
            let Some(id) = known.get_mut(&texts(unit)).and_then(Vec::pop) else { continue };
            let (Some(fresh), Some(mut unit)) = (self.units.remove(&fresh), old.remove(&id)) else { continue };
            for (at, (member, fresh)) in unit.members.iter_mut().zip(fresh.members).enumerate() {
                (member.number, member.occurrence) = (fresh.number, fresh.occurrence);
                (member.set_retries, member.set_grace) = (None, None);
                if let Some(place) = self.places.get_mut(member.number.index()) {
                    *place = (id, at);
                }
                kept += 1;
            }
            units.push((id, unit));
        }
        // Last, and all at once: what is in between is freed, and what of the tree lay among it would hold pages of it.
        drop(known);
        self.units.extend(units);
        kept
    }

    /// Entries that changed, but for whose process they mean, keep that, and a script that runs; they count anew.
    fn carry_over(
        &mut self,
        old: &mut BTreeMap<UnitId, Box<Unit>>,
        all_paused: bool,
        changes: &mut Changes,
        out: &mut Outbox<Action>,
    ) {
        let mut known: BTreeMap<Target, Vec<(UnitId, usize)>> = BTreeMap::new();
        for (id, unit) in old.iter().rev() {
            for (at, member) in unit.members.iter().enumerate().rev() {
                known.entry(member.target()).or_default().push((*id, at));
            }
        }
        for (id, unit) in self.units.iter_mut().filter(|(_, unit)| unit.is_fresh) {
            for at in 0..unit.members.len() {
                let Some(member) = unit.members.get_mut(at) else { continue };
                let from = known.get_mut(&member.target()).and_then(Vec::pop);
                let before = from.and_then(|(old_id, at)| Some((old_id, at, old.get_mut(&old_id)?)));
                let Some((old_id, old_at, old_unit)) = before else {
                    changes.added += 1;
                    member.paused = all_paused.then_some(ProcStatus::Init);
                    continue;
                };
                changes.changed += 1;
                let run = match &old_unit.phase {
                    Phase::Running { fault, at, run, clearing } if *at == old_at => {
                        Some((fault.clone(), *run, *clearing))
                    }
                    Phase::Appearing { .. }
                    | Phase::Failed { .. }
                    | Phase::GaveUp
                    | Phase::Idle
                    | Phase::Looking
                    | Phase::Queued { .. }
                    | Phase::Resting { .. }
                    | Phase::Running { .. }
                    | Phase::Stopping { .. } => None,
                };
                let Some(old_member) = old_unit.members.get_mut(old_at) else { continue };
                member.inherit(old_member);
                // It counts anew, but at the same pace.
                unit.budget.last = unit.budget.last.max(old_unit.budget.last);
                if let Presence::Up(proc) | Presence::Dying { proc, .. } = old_member.presence {
                    old_member.presence = Presence::Unknown;
                    self.shared.watched.add(proc, Who::Member(*id, at), out);
                    self.shared.watched.remove(proc, Who::Member(old_id, old_at), out);
                }
                if let Some((fault, run, clearing)) = run.filter(|_| unit.phase == Phase::Idle)
                    && let Some(running) = self.shared.runs.of(run)
                {
                    running.unit = Some(*id);
                    unit.phase = Phase::Running { fault: Fault { culprit: at, ..fault }, at, run, clearing };
                    old_unit.phase = Phase::Idle;
                }
            }
        }
    }
}

/// The group, and each entry as it stands in the file.
fn texts(unit: &Unit) -> (Option<Bytes>, Vec<Bytes>) {
    (unit.tag.clone(), unit.members.iter().map(|member| pfile::print_entry(&member.entry)).collect())
}
