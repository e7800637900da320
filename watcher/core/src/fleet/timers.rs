//! Who is due when: one deadline each, the earliest found at once.

use std::collections::{BTreeMap, BTreeSet};

use crate::Mono;

/// At most one deadline for each of many.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    due: BTreeMap<K, Mono>,
    order: BTreeSet<(Mono, K)>,
}

impl<K: Copy + Ord> Timers<K> {
    pub(crate) const fn new() -> Self {
        Self { due: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// Sets, moves or clears a deadline.
    pub(crate) fn set(&mut self, key: K, deadline: Option<Mono>) {
        // Most of what happens to somebody leaves his deadline where it is.
        if self.due.get(&key).copied() == deadline {
            return;
        }
        if let Some(old) = self.due.remove(&key) {
            self.order.remove(&(old, key));
        }
        if let Some(deadline) = deadline {
            self.due.insert(key, deadline);
            self.order.insert((deadline, key));
        }
    }

    /// The earliest.
    pub(crate) fn next(&self) -> Option<Mono> {
        self.order.first().map(|(deadline, _)| *deadline)
    }

    /// Takes those that are due, earliest first.
    pub(crate) fn take_due(&mut self, now: Mono) -> Vec<K> {
        let mut due = Vec::new();
        while let Some(&(deadline, key)) = self.order.first()
            && deadline <= now
        {
            self.set(key, None);
            due.push(key);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_deadline_and_is_told_once() {
        let mut timers = Timers::new();
        timers.set('a', Some(Mono(5)));
        timers.set('b', Some(Mono(3)));
        timers.set('a', Some(Mono(2)));
        timers.set('c', Some(Mono(9)));
        timers.set('c', None);
        assert_eq!(timers.next(), Some(Mono(2)));
        assert_eq!(timers.take_due(Mono(1)), []);
        assert_eq!(timers.take_due(Mono(4)), ['a', 'b']);
        assert_eq!(timers.next(), None);
    }
}
