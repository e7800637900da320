//! What is wrong with sockets, in words: ours, in the style of the original.

use crate::SocketAlarm;

impl SocketAlarm {
    /// What it is called.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::AcceptFull => "Socket Backlog Full",
            Self::AcceptQueue => "Socket Backlog Nearly Full",
            Self::CloseWait => "Socket CLOSE_WAIT Leak",
            Self::Descriptors => "Socket Descriptor Shortage",
            Self::Drops => "Socket Connection Drop",
            Self::Ephemeral => "Socket Local Port Shortage",
            Self::Established => "Socket Connection Limit",
            Self::HalfOpen => "Socket SYN Backlog",
            Self::ListenerGone => "Socket Listener Gone",
            Self::Memory => "Socket Memory Shortage",
        }
    }
}

/// How bad it is.
pub(super) fn measure(alarm: SocketAlarm, value: u64, limit: u64) -> String {
    let of_limit = |what: &str| match limit {
        0 => format!(" : {value} {what}"),
        limit => format!(" : {value} of {limit} {what}"),
    };
    let connections = |does: &str| {
        let noun = if value == 1 { "connection" } else { "connections" };
        format!(" : {value} {noun} {does}")
    };
    match alarm {
        SocketAlarm::AcceptFull | SocketAlarm::AcceptQueue => of_limit("wait to be accepted"),
        SocketAlarm::CloseWait => connections("that the service does not close"),
        SocketAlarm::Descriptors => of_limit("descriptors"),
        SocketAlarm::Drops => connections("turned away"),
        SocketAlarm::Ephemeral => connections("found no local port"),
        SocketAlarm::Established => of_limit("connections"),
        SocketAlarm::HalfOpen => connections("half open"),
        SocketAlarm::ListenerGone => String::new(),
        // The host has plenty; its pressure begins at two thirds of the limit, by default.
        SocketAlarm::Memory if value < limit / 2 => of_limit("pages: a control group has reached its limit on memory"),
        SocketAlarm::Memory => of_limit("pages"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_with_its_measure() {
        assert_eq!(measure(SocketAlarm::AcceptQueue, 103, 129), " : 103 of 129 wait to be accepted");
        assert_eq!(measure(SocketAlarm::Memory, 9, 0), " : 9 pages");
        assert_eq!(measure(SocketAlarm::Memory, 9, 9), " : 9 of 9 pages");
        assert!(
            measure(SocketAlarm::Memory, 4, 10).ends_with("pages: a control group has reached its limit on memory")
        );
        assert_eq!(measure(SocketAlarm::ListenerGone, 0, 1), "");
        assert_eq!(measure(SocketAlarm::CloseWait, 1, 0), " : 1 connection that the service does not close");
        let titles: std::collections::BTreeSet<_> = SocketAlarm::ALL.map(SocketAlarm::title).into_iter().collect();
        assert_eq!(titles.len(), SocketAlarm::ALL.len(), "each is told apart");
    }
}
