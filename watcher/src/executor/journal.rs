//! The last events of each entry.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use watcher_core::{EntryId, Note, Subject, Told, Wall};

use super::event_line::EventLine;

/// So many are kept of each entry.
pub const KEPT: usize = 256;

/// Events as they were told, since lines of JSON would take several times the room.
#[derive(Debug, Default)]
pub struct Journal {
    /// Those that are about no entry have none. Boxed: a tree has room for almost twice as many as are in it.
    entries: BTreeMap<Option<EntryId>, Box<Ring>>,
    next: u64,
}

#[derive(Debug)]
struct Ring {
    /// The entry as it was told of last.
    subject: Option<Subject>,
    events: VecDeque<Arc<Kept>>,
}

impl Ring {
    /// Of most entries nothing is told but that they are up.
    fn new() -> Box<Self> {
        Box::new(Self { subject: None, events: VecDeque::with_capacity(1) })
    }

    /// Alarms of sockets come as often as clients like: they do not push out what is told of deaths.
    fn make_room(&mut self) {
        if self.events.len() < KEPT {
            return;
        }
        let mut alarms = self.events.iter().enumerate().filter(|(_, kept)| kept.note.is_of_sockets());
        let oldest = alarms.next().map(|(place, _)| place);
        let many = alarms.count() >= KEPT / 2;
        self.events.remove(oldest.filter(|_| many).unwrap_or(0));
    }
}

#[derive(Debug)]
struct Kept {
    /// Its place among all.
    place: u64,
    at: Wall,
    note: Note,
}

/// Events to be made lines of, elsewhere and later.
#[derive(Debug, Default)]
pub struct Extract(Vec<(Option<Subject>, Vec<Arc<Kept>>)>);

impl Journal {
    /// Keeps an event.
    pub fn note(&mut self, at: Wall, told: &Told) {
        let Told { entry, note } = told;
        let ring = self.entries.entry(entry.as_ref().map(|entry| entry.id)).or_insert_with(Ring::new);
        ring.subject.clone_from(entry);
        ring.make_room();
        ring.events.push_back(Arc::new(Kept { place: self.next, at, note: note.clone() }));
        self.next += 1;
    }

    /// Forgets entries that are no more.
    pub fn retain(&mut self, mut is_there: impl FnMut(EntryId) -> bool) {
        self.entries.retain(|entry, _| entry.is_none_or(&mut is_there));
    }

    /// Everything. This takes no time: making lines of it does.
    #[must_use]
    pub fn all(&self) -> Extract {
        let rings = self.entries.values();
        Extract(rings.map(|ring| (ring.subject.clone(), ring.events.iter().cloned().collect())).collect())
    }

    /// The last events of all entries, oldest first.
    #[must_use]
    pub fn last(&self, most: usize) -> Vec<EventLine> {
        self.all().last(most)
    }
}

impl Extract {
    /// All of it, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<EventLine> {
        self.last(usize::MAX)
    }

    fn last(&self, most: usize) -> Vec<EventLine> {
        let all = self.0.iter().flat_map(|(subject, events)| events.iter().map(move |event| (event, subject)));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable_by_key(|(event, _)| event.place);
        let first = all.len().saturating_sub(most);
        let line = |(event, subject): (&Arc<Kept>, &Option<Subject>)| {
            EventLine::of(&Told { entry: subject.clone(), note: event.note.clone() }, event.at)
        };
        all.into_iter().skip(first).map(line).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use watcher_core::{
        Pid, SocketAlarm, Span,
        pfile::{AbsolutePath, EntryNumber, Port},
    };

    use super::*;

    pub(in crate::executor) fn up(id: u32, pid: u32) -> Told {
        let process = AbsolutePath::new(b"/usr/bin/java").unwrap();
        let entry = Subject { id: EntryId(id), number: EntryNumber::of_index(id as usize), process };
        Told { entry: Some(entry), note: Note::Up { pid: Pid::new(pid).unwrap() } }
    }

    fn pids(lines: &[EventLine]) -> Vec<u32> {
        lines.iter().map(|line| line.details.pid.unwrap_or(0)).collect()
    }

    #[test]
    fn the_last_events_of_each_entry_are_kept_in_order() {
        let mut journal = Journal::default();
        journal.note(Wall { unix_ns: 0 }, &up(1, 9999));
        for pid in 1..=1000 {
            journal.note(Wall { unix_ns: pid.into() }, &up(0, pid));
        }
        journal.note(Wall { unix_ns: 0 }, &Told { entry: None, note: Note::Stop });
        assert_eq!(pids(&journal.last(3)), [999, 1000, 0]);
        let all = journal.all().lines();
        assert_eq!((all.len(), &pids(&all)[..2]), (KEPT + 2, &[9999, 745][..]));
        journal.retain(|entry| entry == EntryId(1));
        assert_eq!(pids(&journal.last(usize::MAX)), [9999, 0]);
    }

    #[test]
    fn alarms_of_sockets_do_not_push_out_what_is_told_of_deaths() {
        let mut journal = Journal::default();
        let alarm = |port| {
            let Told { entry, .. } = up(0, 1);
            Told {
                entry,
                note: Note::SocketClear {
                    pid: Pid::new(4711).unwrap(),
                    port: Port::new(port).unwrap(),
                    alarm: SocketAlarm::CloseWait,
                    after: Span(0),
                },
            }
        };
        for pid in 1..=10 {
            journal.note(Wall { unix_ns: 0 }, &up(0, pid));
        }
        (1..=1000).for_each(|port| journal.note(Wall { unix_ns: 1 }, &alarm(port)));
        let all = journal.all().lines();
        assert_eq!((all.len(), &pids(&all)[..11]), (KEPT, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 4711][..]));
        // But what is told of deaths does push out older deaths, once it has most of the room.
        (11..=1000).for_each(|pid| journal.note(Wall { unix_ns: 2 }, &up(0, pid)));
        let all = journal.all().lines();
        assert_eq!(all.len(), KEPT);
        assert_eq!(pids(&all)[KEPT - 1], 1000);
    }

    #[test]
    fn an_event_takes_little_room() {
        assert!(size_of::<Kept>() <= 96, "{}", size_of::<Kept>());
    }
}
