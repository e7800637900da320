//! From a host to addresses.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use watcher_core::{pfile::Bytes, probe::Fault};

use crate::sys::resolver::{self, NotResolved};

/// More are not tried: each gets a share of the time.
const MOST: usize = 8;

/// The addresses of a host, in the order in which they are tried. Their ports say nothing.
pub(super) type Addresses = Arc<[SocketAddr]>;

/// Why there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoAddress {
    code: i32,
    why: String,
}

impl From<NoAddress> for Fault {
    fn from(NoAddress { code, why }: NoAddress) -> Self {
        Self::Address { code, why }
    }
}

/// Where a host is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// There.
    Known(Addresses),
    /// A resolver has to say it.
    Name(Bytes),
}

/// What is known of a host without a resolver: this one needs none, and neither does an address.
pub(super) fn target(host: Option<&Bytes>) -> Target {
    let Some(host) = host else { return Target::Known(local()) };
    match address(host.as_slice()) {
        Some(address) => Target::Known(Arc::new([SocketAddr::new(address, 0)])),
        None if host.as_slice().eq_ignore_ascii_case(b"localhost") => Target::Known(local()),
        None => Target::Name(host.clone()),
    }
}

/// Whether a resolver has to say where a host is.
#[must_use]
pub fn needs_resolver(host: &Bytes) -> bool {
    matches!(target(Some(host)), Target::Name(_))
}

/// An address, IPv6 in brackets or not.
pub(super) fn address(host: &[u8]) -> Option<IpAddr> {
    let bare = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(host);
    std::str::from_utf8(bare).ok()?.parse().ok()
}

fn local() -> Addresses {
    let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    Arc::new(both.map(|address| SocketAddr::new(address, 0)))
}

/// Asks the resolver of the system, which may take very long.
pub(super) fn resolve(name: &Bytes) -> Result<Addresses, NoAddress> {
    let found = resolver::addresses(name.as_slice()).map_err(|NotResolved { code, why }| NoAddress { code, why })?;
    Ok(found.into_iter().take(MOST).map(|address| SocketAddr::new(address, 0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(host: Option<&str>) -> String {
        match target(host.map(Bytes::from).as_ref()) {
            Target::Known(addresses) => addresses.iter().map(|all| all.ip().to_string()).collect::<Vec<_>>().join(" "),
            Target::Name(name) => format!("name {name}"),
        }
    }

    #[test]
    fn a_resolver_is_asked_for_names_only() {
        for (host, expected) in [
            (None, "127.0.0.1 ::1"),
            (Some("localhost"), "127.0.0.1 ::1"),
            (Some("LocalHost"), "127.0.0.1 ::1"),
            (Some("10.1.2.3"), "10.1.2.3"),
            (Some("[::1]"), "::1"),
            (Some("fe80::1"), "fe80::1"),
            (Some("example.org"), "name example.org"),
            (Some("10.1.2"), "name 10.1.2"),
        ] {
            assert_eq!(shown(host), expected);
        }
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_as_such() {
        // Longer than a label may be: nobody has to be asked.
        let NoAddress { code, why } = resolve(&Bytes::from("x".repeat(64).as_str())).unwrap_err();
        assert!(code < 0 && !why.is_empty(), "{code} {why}");
        assert!(resolve(&Bytes::from([0xff].as_slice())).is_err());
    }
}
