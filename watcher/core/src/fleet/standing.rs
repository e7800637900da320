//! How entries stand, as recoveries count them: told when that changes, where somebody counts.

use super::{member::Presence, shared::Context, unit::Unit};
use crate::{EntryId, Mono};

/// How an entry stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing is expected of it: it is suspended, has gone from the rules, or was not looked for yet.
    #[default]
    Aside,
    /// Its process is not there, and is to come back.
    Down,
    /// It was given up.
    GaveUp,
    /// Its process is there.
    Well,
}

/// From now on an entry stands otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) entry: EntryId,
    pub(crate) standing: Standing,
    pub(crate) at: Mono,
}

impl Unit {
    /// Takes note of what has changed.
    pub(super) fn note_standings(&mut self, cx: &mut Context<'_>) {
        let (gave_up, now) = (self.gave_up(), cx.mono());
        for member in &mut self.members {
            let standing = match member.presence {
                _ if !member.is_watched() => Standing::Aside,
                _ if gave_up => Standing::GaveUp,
                Presence::Leaving(_) | Presence::Up(_) => Standing::Well,
                Presence::Absent | Presence::Dying { .. } => Standing::Down,
                // It is tried again, and nothing is known yet.
                Presence::Unknown if member.standing == Standing::GaveUp => Standing::Aside,
                // Whoever is looked for stands as before.
                Presence::Unknown => continue,
            };
            if standing == member.standing {
                continue;
            }
            member.standing = standing;
            member.down_since = match standing {
                Standing::Aside | Standing::Well => None,
                Standing::Down | Standing::GaveUp => member.down_since.or(Some(now)),
            };
            cx.shared.moves.push(Move { entry: member.id, standing, at: now });
        }
    }

    /// None of its entries that nobody has taken over is watched any more.
    pub(super) fn forget_standings(&mut self, cx: &mut Context<'_>) {
        let now = cx.mono();
        for member in self.members.iter_mut().filter(|member| !member.carried) {
            if std::mem::take(&mut member.standing) != Standing::Aside {
                cx.shared.moves.push(Move { entry: member.id, standing: Standing::Aside, at: now });
            }
        }
    }
}

/// What has changed since somebody took notice, if somebody does.
#[derive(Debug, Default)]
pub(super) struct Moves(Option<Vec<Move>>);

impl Moves {
    /// From now on somebody takes notice, after each step.
    pub(super) fn begin(&mut self) {
        self.0.get_or_insert_default();
    }

    fn push(&mut self, one: Move) {
        if let Some(moves) = &mut self.0 {
            moves.push(one);
        }
    }

    pub(super) fn take(&mut self) -> Vec<Move> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
