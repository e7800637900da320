//! One port, several watches of it: the kernel has room for one threshold of each kind, so it tells all of them, and each weighs
//! by its own.

use crate::{Band, PortCounts, SocketAlarm, SocketNews, Thresholds};

/// What news mean to one of those who watch the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighed {
    /// It is so by these thresholds, too, and measured by this.
    So {
        /// See [`SocketNews::limit`].
        limit: u64,
    },
    /// It is much for another one. It may become much for this one.
    NotYet,
    /// It is nothing to this one, or does not matter yet.
    NotWanted,
}

/// How much of a port is in use, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortUse {
    /// Connections in the accept queue, and how many fit in.
    pub queue: Option<(u64, u64)>,
    /// Sockets.
    pub counts: Option<PortCounts>,
}

impl Thresholds {
    /// Whether it is so by these thresholds, what the kernel tells by those of whoever has the lowest.
    #[must_use]
    pub fn weigh(&self, news: &SocketNews) -> Weighed {
        let SocketNews { key: _, alarm, raised, value, limit, at: _ } = *news;
        let number = |band: Option<Band>| {
            let Band { raise, clear } = band?;
            let is_so = if raised { value >= u64::from(raise) } else { value <= u64::from(clear) };
            Some((is_so, raise.into()))
        };
        let weighed = match alarm {
            SocketAlarm::AcceptFull | SocketAlarm::AcceptQueue => self.queue_percent.map(|Band { raise, clear }| {
                let is_so = if raised { is_from(value, limit, raise) } else { !is_from(value, limit, clear) };
                (is_so, limit)
            }),
            SocketAlarm::CloseWait => number(self.close_wait),
            SocketAlarm::Established => number(self.established),
            SocketAlarm::Descriptors
            | SocketAlarm::Drops
            | SocketAlarm::Ephemeral
            | SocketAlarm::HalfOpen
            | SocketAlarm::ListenerGone
            | SocketAlarm::Memory => Some((true, limit)),
        };
        match weighed {
            Some((true, limit)) => Weighed::So { limit },
            Some((false, _)) if raised => Weighed::NotYet,
            Some((false, _)) | None => Weighed::NotWanted,
        }
    }

    /// What the kernel is to tell next for all of these, while so much is in use: of each kind the lowest threshold that is
    /// not reached, and the highest when all are. Whose own is reached already looks time and again, and needs no news.
    #[must_use]
    pub fn next_of(all: &[Self], now: &PortUse) -> Self {
        let number = |of: fn(&Self) -> Option<Band>, count: fn(&PortCounts) -> u64| {
            let count = now.counts.as_ref().map_or(0, count);
            next(all.iter().filter_map(of), |raise| count >= raise.into())
        };
        let (queue, room) = now.queue.unwrap_or((0, 1));
        Self {
            queue_percent: next(all.iter().filter_map(|one| one.queue_percent), |raise| is_from(queue, room, raise)),
            close_wait: number(|one| one.close_wait, |counts| counts.close_wait),
            established: number(|one| one.established, |counts| counts.established),
            // Those are for whoever looks.
            close_wait_age: None,
            descriptors: None,
        }
    }

    /// Alarms whose thresholds are others with these: what the kernel has told of them means nothing any more.
    pub fn told_anew(&self, next: &Self) -> impl Iterator<Item = SocketAlarm> + use<> {
        let is_queue_other = self.queue_percent != next.queue_percent;
        let alarms = [
            (SocketAlarm::AcceptFull, is_queue_other),
            (SocketAlarm::AcceptQueue, is_queue_other),
            (SocketAlarm::CloseWait, self.close_wait != next.close_wait),
            (SocketAlarm::Established, self.established != next.established),
        ];
        alarms.into_iter().filter_map(|(alarm, is_other)| is_other.then_some(alarm))
    }
}

fn next(bands: impl Iterator<Item = Band>, is_reached: impl Fn(u32) -> bool) -> Option<Band> {
    // What is reached comes last, the highest of it first. Of two that begin alike, the one that is over first: its owner waits.
    let order = |band: &Band| match is_reached(band.raise) {
        false => (false, band.raise, u32::MAX - band.clear),
        true => (true, u32::MAX - band.raise, u32::MAX - band.clear),
    };
    bands.min_by_key(order)
}

fn is_from(queue: u64, room: u64, percent: u32) -> bool {
    queue.saturating_mul(100) >= room.saturating_mul(percent.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mono, NetNs, PortKey};

    const fn band(raise: u32, clear: u32) -> Band {
        Band { raise, clear }
    }

    const fn all(raise: u32, clear: u32) -> Thresholds {
        let band = Some(band(raise, clear));
        Thresholds { queue_percent: band, close_wait: band, established: band, close_wait_age: None, descriptors: None }
    }

    #[test]
    fn the_kernel_tells_the_lowest_that_is_not_reached() {
        for (used, of, expected) in [
            (0, [all(3, 2), all(90, 80)], band(3, 2)),
            (0, [all(90, 80), all(3, 2)], band(3, 2)),
            (2, [all(3, 2), all(90, 80)], band(3, 2)),
            (3, [all(3, 2), all(90, 80)], band(90, 80)),
            (89, [all(90, 80), all(3, 2)], band(90, 80)),
            (90, [all(3, 2), all(90, 80)], band(90, 80)),
            (100, [all(90, 80), all(3, 2)], band(90, 80)),
            (5, [all(80, 50), all(80, 70)], band(80, 70)),
        ] {
            let counts = PortCounts { listeners: 1, established: used, close_wait: used };
            let found = Thresholds::next_of(&of, &PortUse { queue: Some((used, 100)), counts: Some(counts) });
            let expected = Some(expected);
            assert_eq!(
                (found.queue_percent, found.close_wait, found.established),
                (expected, expected, expected),
                "{used} {of:?}"
            );
        }
    }

    #[test]
    fn who_wants_nothing_hinders_nobody() {
        let never = Thresholds { queue_percent: None, close_wait: None, established: None, ..all(1, 0) };
        assert_eq!(Thresholds::next_of(&[never, all(7, 3)], &PortUse::default()), all(7, 3));
        assert_eq!(Thresholds::next_of(&[never], &PortUse::default()), never);
        assert_eq!(Thresholds::next_of(&[], &PortUse::default()), never);
    }

    #[test]
    fn news_are_weighed_by_own_thresholds() {
        let (so, not_yet, not_wanted) = (Weighed::So { limit: 80 }, Weighed::NotYet, Weighed::NotWanted);
        for (raised, value, number, queue) in [
            (true, 79, not_yet, not_yet),
            (true, 80, so, Weighed::So { limit: 100 }),
            (false, 51, not_wanted, not_wanted),
            (false, 50, so, not_wanted),
            (false, 49, so, Weighed::So { limit: 100 }),
        ] {
            for (alarm, limit, expected) in [
                (SocketAlarm::CloseWait, 3, number),
                (SocketAlarm::Established, 3, number),
                (SocketAlarm::AcceptQueue, 100, queue),
                (SocketAlarm::AcceptFull, 100, queue),
                (SocketAlarm::ListenerGone, 1, Weighed::So { limit: 1 }),
            ] {
                let key = PortKey { netns: NetNs(1), port: 80 };
                let news = SocketNews { key, alarm, raised, value, limit, at: Mono(1) };
                assert_eq!(all(80, 50).weigh(&news), expected, "{news:?}");
            }
        }
        let key = PortKey { netns: NetNs(1), port: 80 };
        let many = SocketNews { key, alarm: SocketAlarm::Established, raised: true, value: 6, limit: 3, at: Mono(1) };
        assert_eq!(Thresholds::default().weigh(&many), not_wanted, "connections are not its concern");
    }
}
