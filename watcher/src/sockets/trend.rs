//! What became of ports from one look to the next.

use std::{collections::BTreeMap, io, thread, time::Duration};

use serde::Serialize;

use super::{Listener, Port, Report};

/// By how much the numbers of a port have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trend {
    /// Connections.
    pub established: i64,
    /// Those that only the peer has closed.
    pub close_wait: i64,
    /// Those that are half open.
    pub syn_recv: i64,
    /// Those that wait to be accepted, on all listeners.
    pub backlog: i64,
    /// How many were turned away meanwhile; null where the kernel does not tell.
    pub drops: Option<u64>,
}

impl Report {
    /// Of these ports, or of all that somebody listens on, with what becomes of them in the meantime.
    ///
    /// # Errors
    /// When neither sock_diag nor `/proc` tells.
    pub fn with_trend(wanted: &std::collections::BTreeSet<u16>, seconds: u32) -> io::Result<Self> {
        let before = Self::make(wanted)?;
        thread::sleep(Duration::from_secs(seconds.into()));
        let mut report = Self::make(wanted)?;
        report.trend_s = Some(seconds);
        let ports: BTreeMap<_, _> = before.ports.iter().map(|port| (port.port, port)).collect();
        for port in &mut report.ports {
            port.trend = ports.get(&port.port).map(|before| Trend::of(before, port));
        }
        Ok(report)
    }
}

impl Trend {
    fn of(before: &Port, now: &Port) -> Self {
        let change = |of: fn(&Port) -> u64| of(now).cast_signed() - of(before).cast_signed();
        Self {
            established: change(|port| port.established),
            close_wait: change(|port| port.close_wait),
            syn_recv: change(|port| port.syn_recv),
            backlog: change(|port| port.listeners.iter().map(|listener| u64::from(listener.backlog)).sum()),
            drops: now.listeners.iter().map(|listener| drops(before, listener)).sum(),
        }
    }
}

/// Connections that a listener has turned away since; one that is new has told all of them since then.
fn drops(before: &Port, listener: &Listener) -> Option<u64> {
    let earlier = before.listeners.iter().find(|other| other.inode == listener.inode);
    let earlier = earlier.map_or(Some(0), |earlier| earlier.drops)?;
    Some(u64::from(listener.drops?.wrapping_sub(earlier)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(inode: u64, backlog: u32, drops: Option<u32>) -> Listener {
        let address = "127.0.0.1".to_owned();
        Listener { address, inode, uid: 0, backlog, backlog_limit: Some(129), drops, owner: None, holders: 1 }
    }

    fn port(established: u64, listeners: Vec<Listener>) -> Port {
        Port { port: 80, listeners, established, close_wait: 3, syn_recv: 0, time_wait: 9, other: 0, trend: None }
    }

    #[test]
    fn changes_have_a_sign_and_drops_are_those_of_listeners_that_are_there() {
        let before = port(10, vec![listener(1, 5, Some(7)), listener(2, 1, Some(100))]);
        let now = port(8, vec![listener(1, 9, Some(8)), listener(3, 0, Some(4))]);
        let expected = Trend { established: -2, close_wait: 0, syn_recv: 0, backlog: 3, drops: Some(5) };
        assert_eq!(Trend::of(&before, &now), expected);
        let unknown = port(8, vec![listener(1, 9, None)]);
        assert_eq!(Trend::of(&unknown, &unknown).drops, None);
    }
}
