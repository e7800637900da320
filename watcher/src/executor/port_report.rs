//! What a look at a port has found, in the words of the core.

use watcher_core::{ListenerFacts, PortCounts, PortReport, Span, StateCounts, Thresholds};

use super::scarcity::Scarcest;

/// What is told of them.
pub(super) fn report(
    (listeners, states): &(Vec<ListenerFacts>, Option<StateCounts>),
    counted: Option<PortCounts>,
    scarcest: Option<Scarcest>,
) -> PortReport {
    // Of several that share the port, the one that is nearest to its limit.
    let fill = |listener: &&ListenerFacts| match listener.limit {
        Some(limit) => u64::from(listener.queue) * 1_000_000 / u64::from(limit).max(1),
        None => 0,
    };
    let fullest = listeners.iter().max_by_key(fill);
    PortReport {
        listeners: listeners.len() as u64,
        queue: fullest.map_or(0, |listener| listener.queue.into()),
        room: fullest.and_then(|listener| listener.limit).map(u64::from),
        drops: drops(listeners),
        established: states.map(|states| states.established).or_else(|| counted.map(|counted| counted.established)),
        close_wait: states.map(|states| states.close_wait).or_else(|| counted.map(|counted| counted.close_wait)),
        close_wait_oldest: None,
        close_wait_many: None,
        half_open: states.map(|states| states.syn_recv),
        descriptors: scarcest.map(|Scarcest { open, limit, .. }| (open, limit)),
        of_child: scarcest.and_then(|scarcest| scarcest.child),
    }
}

/// Connections that were turned away; `None`: nobody says.
pub(super) fn drops(listeners: &[ListenerFacts]) -> Option<u64> {
    listeners.iter().map(|listener| listener.drops.map(u64::from)).sum()
}

/// For how long connections have not been closed, the oldest first. Those that nobody has accepted are not among them.
pub(super) fn tell_ages(report: &mut PortReport, ages: &[Span], thresholds: &Thresholds) {
    let last = thresholds.close_wait.map(|band| (band.raise as usize).saturating_sub(1));
    report.close_wait = Some(ages.len() as u64);
    report.close_wait_oldest = ages.first().copied();
    report.close_wait_many = last.and_then(|last| ages.get(last)).copied();
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use watcher_core::{Band, Pid};

    use super::*;

    fn listener(queue: u32, limit: Option<u32>, drops: Option<u32>) -> ListenerFacts {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        ListenerFacts { address, inode: 1, uid: 0, queue, limit, drops }
    }

    #[test]
    fn of_several_listeners_the_fullest_counts() {
        let listeners = vec![listener(10, Some(129), Some(2)), listener(4, Some(5), Some(3))];
        let counted = Some(PortCounts { listeners: 2, established: 7, close_wait: 8 });
        let found = report(&(listeners, None), counted, Some(Scarcest { child: Pid::new(7), open: 3, limit: 9 }));
        let expected = PortReport {
            listeners: 2,
            queue: 4,
            room: Some(5),
            drops: Some(5),
            established: Some(7),
            close_wait: Some(8),
            close_wait_oldest: None,
            close_wait_many: None,
            half_open: None,
            descriptors: Some((3, 9)),
            of_child: Pid::new(7),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_proc_does_not_tell_is_not_known() {
        let states = StateCounts { syn_recv: 4, ..StateCounts::default() };
        let found = report(&(vec![listener(3, None, None)], Some(states)), None, None);
        assert_eq!((found.room, found.drops, found.half_open), (None, None, Some(4)));
    }

    #[test]
    fn connections_are_as_old_as_the_youngest_that_is_needed() {
        let thresholds = Thresholds { close_wait: Some(Band { raise: 3, clear: 1 }), ..Thresholds::default() };
        let ages = [90, 40, 7, 1].map(Span::of_seconds);
        for (count, oldest, many) in
            [(4, Some(90), Some(7)), (3, Some(90), Some(7)), (2, Some(90), None), (0, None, None)]
        {
            let mut report = PortReport { close_wait: Some(100), ..PortReport::default() };
            tell_ages(&mut report, &ages[..count], &thresholds);
            assert_eq!(report.close_wait, Some(count as u64), "for the kernel they were more");
            let expected = (oldest.map(Span::of_seconds), many.map(Span::of_seconds));
            assert_eq!((report.close_wait_oldest, report.close_wait_many), expected);
        }
    }
}
