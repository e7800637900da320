//! The roll of pfiles: which there are, against which are watched, and what follows from the difference.

use std::collections::{BTreeMap, BTreeSet};

use crate::FleetId;

/// What is to be done with a pfile that is watched, after a look which there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// It has gone: the watch over it is to end.
    Dismiss(FleetId),
    /// It is there: its rules are to be read again.
    ReadAgain(FleetId),
}

/// What is to be done with a pfile that was read to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It cannot be watched, and that is to be told.
    Refused,
    /// It has gone meanwhile, or is read once more: nothing is to be told.
    Unwanted,
    /// It is to be watched.
    Welcome,
    /// The same, and its rules are to be read again: it may have changed since they were.
    WelcomeAndReadAgain,
}

/// All pfiles that are watched, or to be. `P` is by what one is known: its path.
///
/// The number of files costs little: every step is about one of them, but for a look at all.
#[derive(Debug)]
pub struct Roll<P> {
    /// What the last look has found, if there was one.
    there: Option<BTreeSet<P>>,
    watched: BTreeMap<P, FleetId>,
    names: BTreeMap<FleetId, P>,
    /// Watched for somebody else, wherever they are.
    of_others: BTreeSet<FleetId>,
    /// Their watches end: until they have given up what is theirs, no other is read, since one file may have the name or the
    /// key of another.
    leaving: BTreeSet<FleetId>,
    /// To be read.
    fresh: BTreeSet<P>,
    /// Being read, and whether they have to be read once more.
    reading: BTreeMap<P, bool>,
    /// Of those, how many have gone meanwhile. What they hold for now may be what refuses another.
    in_the_way: usize,
    /// Refused meanwhile.
    refused: BTreeSet<P>,
}

impl<P: Clone + Ord> Default for Roll<P> {
    fn default() -> Self {
        Self {
            there: None,
            watched: BTreeMap::new(),
            names: BTreeMap::new(),
            of_others: BTreeSet::new(),
            leaving: BTreeSet::new(),
            fresh: BTreeSet::new(),
            reading: BTreeMap::new(),
            in_the_way: 0,
            refused: BTreeSet::new(),
        }
    }
}

impl<P: Clone + Ord> Roll<P> {
    /// A watch over a pfile begins.
    pub fn begin(&mut self, pfile: P, fleet: FleetId) {
        self.names.insert(fleet, pfile.clone());
        self.watched.insert(pfile, fleet);
    }

    /// The same for somebody else, who says when it is to end: that it is not there where others are means nothing.
    pub fn begin_for_another(&mut self, pfile: P, fleet: FleetId) {
        self.of_others.insert(fleet);
        self.begin(pfile, fleet);
    }

    /// It comes to its end, whoever wanted that.
    pub fn end(&mut self, fleet: FleetId) {
        self.of_others.remove(&fleet);
        if let Some(pfile) = self.names.remove(&fleet) {
            if self.watched.get(&pfile) == Some(&fleet) {
                self.watched.remove(&pfile);
            }
            self.leaving.insert(fleet);
        }
    }

    /// It has given up all that it had.
    pub fn has_left(&mut self, fleet: FleetId) {
        self.leaving.remove(&fleet);
    }

    /// These pfiles there are: what is to be done with those that are watched. Others are to be read, see [`Self::to_read`].
    pub fn seen(&mut self, there: BTreeSet<P>) -> Vec<Duty> {
        let duty = |(pfile, fleet): (&P, &FleetId)| {
            if there.contains(pfile) { Duty::ReadAgain(*fleet) } else { Duty::Dismiss(*fleet) }
        };
        let is_ours = |(pfile, fleet): &(&P, &FleetId)| !self.of_others.contains(*fleet) || there.contains(*pfile);
        let duties: Vec<_> = self.watched.iter().filter(is_ours).map(duty).collect();
        self.leaving.extend(duties.iter().filter_map(|duty| match duty {
            Duty::Dismiss(fleet) => Some(*fleet),
            Duty::ReadAgain(_) => None,
        }));
        let is_new = |pfile: &&P| !self.watched.contains_key(*pfile) && !self.reading.contains_key(*pfile);
        self.fresh = there.iter().filter(is_new).cloned().collect();
        self.refused.clear();
        for is_outdated in self.reading.values_mut() {
            *is_outdated = true;
        }
        self.in_the_way = self.reading.keys().filter(|pfile| !there.contains(*pfile)).count();
        self.there = Some(there);
        duties
    }

    /// Takes those that are to be read now; [`Self::came`] is to be told of each.
    pub fn to_read(&mut self) -> BTreeSet<P> {
        if !self.leaving.is_empty() {
            return BTreeSet::new();
        }
        let now = std::mem::take(&mut self.fresh);
        self.reading.extend(now.iter().map(|pfile| (pfile.clone(), false)));
        now
    }

    /// One was read, and can be watched or not.
    pub fn came(&mut self, pfile: &P, is_good: bool) -> Came {
        let is_outdated = self.reading.remove(pfile).unwrap_or(false);
        let came = match (is_good, is_outdated) {
            _ if self.there.as_ref().is_some_and(|there| !there.contains(pfile)) => {
                self.in_the_way = self.in_the_way.saturating_sub(1);
                Came::Unwanted
            }
            (true, true) => Came::WelcomeAndReadAgain,
            (true, false) => Came::Welcome,
            (false, true) => {
                self.fresh.insert(pfile.clone());
                Came::Unwanted
            }
            (false, false) => {
                if self.in_the_way > 0 {
                    self.refused.insert(pfile.clone());
                }
                Came::Refused
            }
        };
        if self.in_the_way == 0 {
            self.fresh.append(&mut self.refused);
        }
        came
    }

    /// Whether somebody may still hold what another one needs.
    #[must_use]
    pub fn is_anybody_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Whether something is to be read, or being read.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.fresh.is_empty() || !self.reading.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to a roll.
    enum Step {
        Begin(char, u32),
        ForAnother(char, u32),
        /// These there are; those are to be read again, those dismissed.
        Seen(&'static str, &'static [u32], &'static [u32]),
        /// These are read now.
        Reads(&'static str),
        Came(char, bool, Came),
        End(u32),
        Left(u32),
        Busy(bool),
    }
    use Step::{Begin, Busy, End, ForAnother, Left, Reads, Seen};

    fn fleet(number: u32) -> FleetId {
        FleetId::new(number).unwrap()
    }

    #[test]
    fn each_difference_has_its_duty() {
        use Came::{Refused, Unwanted, Welcome, WelcomeAndReadAgain};
        let stories: &[(&str, &[Step])] = &[
            (
                "new ones are read, those that stay are read again, those that are gone end",
                &[
                    Begin('a', 1),
                    Begin('b', 2),
                    Seen("bc", &[2], &[1]),
                    // One of them may have the key of the other.
                    Reads(""),
                    End(1),
                    Reads(""),
                    Busy(true),
                    Left(1),
                    Reads("c"),
                    Busy(true),
                    Step::Came('c', true, Welcome),
                    Begin('c', 3),
                    Busy(false),
                    Seen("bc", &[2, 3], &[]),
                    Busy(false),
                ],
            ),
            (
                "one that has ended by itself is taken on anew, by whoever asks next",
                &[Begin('a', 1), End(1), Left(1), Reads(""), Seen("a", &[], &[]), Reads("a")],
            ),
            (
                "one that ends while it is looked for is not read before it has left",
                &[Begin('a', 1), End(1), Seen("a", &[], &[]), Reads(""), Left(1), Reads("a")],
            ),
            (
                "one that goes while it is read is forgotten",
                &[
                    Seen("a", &[], &[]),
                    Reads("a"),
                    Seen("", &[], &[]),
                    Step::Came('a', true, Unwanted),
                    Busy(false),
                    Reads(""),
                ],
            ),
            (
                "one that may have changed while it was read is read again",
                &[
                    Seen("ab", &[], &[]),
                    Reads("ab"),
                    Seen("ab", &[], &[]),
                    Step::Came('a', true, WelcomeAndReadAgain),
                    Begin('a', 1),
                    Step::Came('b', false, Unwanted),
                    Reads("b"),
                    Step::Came('b', false, Refused),
                    Busy(false),
                ],
            ),
            (
                "who was refused for the sake of one that has gone is tried again when that is over",
                &[
                    Seen("ax", &[], &[]),
                    Reads("ax"),
                    Seen("bc", &[], &[]),
                    Reads("bc"),
                    Step::Came('b', false, Refused),
                    Reads(""),
                    Step::Came('x', false, Unwanted),
                    Reads(""),
                    Step::Came('a', true, Unwanted),
                    Reads("b"),
                    Step::Came('b', true, Welcome),
                    Step::Came('c', false, Refused),
                    Reads(""),
                    Busy(false),
                ],
            ),
            (
                "one that comes back while it is read is wanted",
                &[
                    Seen("a", &[], &[]),
                    Reads("a"),
                    Seen("", &[], &[]),
                    Seen("a", &[], &[]),
                    Step::Came('a', true, WelcomeAndReadAgain),
                    Busy(false),
                ],
            ),
            (
                "what is watched for somebody else is not dismissed, and is taken over where it is",
                &[
                    ForAnother('a', 1),
                    ForAnother('b', 2),
                    Seen("b", &[2], &[]),
                    Reads(""),
                    End(2),
                    Left(2),
                    Seen("ab", &[1], &[]),
                    Reads("b"),
                ],
            ),
            ("what was not looked for is wanted", &[Step::Came('a', true, Welcome)]),
        ];
        for (story, steps) in stories {
            let mut roll = Roll::default();
            for (at, step) in steps.iter().enumerate() {
                let place = format!("{story}, step {at}");
                match step {
                    Begin(pfile, number) => roll.begin(*pfile, fleet(*number)),
                    ForAnother(pfile, number) => roll.begin_for_another(*pfile, fleet(*number)),
                    Seen(there, again, gone) => {
                        let duties = roll.seen(there.chars().collect());
                        let again = again.iter().map(|number| Duty::ReadAgain(fleet(*number)));
                        let gone = gone.iter().map(|number| Duty::Dismiss(fleet(*number)));
                        let wanted: Vec<_> = again.chain(gone).collect();
                        assert_eq!(duties.len(), wanted.len(), "{place}");
                        assert!(wanted.iter().all(|duty| duties.contains(duty)), "{place}: {duties:?}");
                    }
                    Reads(wanted) => assert_eq!(roll.to_read(), wanted.chars().collect(), "{place}"),
                    Step::Came(pfile, is_good, wanted) => assert_eq!(roll.came(pfile, *is_good), *wanted, "{place}"),
                    End(number) => roll.end(fleet(*number)),
                    Left(number) => roll.has_left(fleet(*number)),
                    Busy(wanted) => assert_eq!(roll.is_busy(), *wanted, "{place}"),
                }
            }
        }
    }
}
