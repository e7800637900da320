//! Who is asked: many addresses of this host. All of 127.0.0.0/8 is.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddrV4},
};

/// So many ports an address has, where endpoints differ by their ports.
const PORTS: usize = 1_000;

/// Below those that clients take theirs from.
const FIRST_PORT: u16 = 20_000;

/// So many endpoints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoints {
    pub(crate) scheme: Scheme,
    pub(crate) count: usize,
    pub(crate) spread: Spread,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// By what they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Their ports; and their addresses, when there are too many.
    Ports,
    /// Their addresses.
    Addresses,
}

impl Endpoints {
    pub(crate) fn all(&self) -> impl Iterator<Item = SocketAddrV4> {
        let Self { scheme: _, count, spread } = *self;
        (0..count).map(move |number| match spread {
            Spread::Ports => SocketAddrV4::new(address(number / PORTS), FIRST_PORT + (number % PORTS) as u16),
            Spread::Addresses => SocketAddrV4::new(address(number), FIRST_PORT),
        })
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, count, spread } = self;
        let scheme = match scheme {
            Scheme::Http => "HTTP",
            Scheme::Https => "HTTPS",
        };
        let where_ = match spread {
            Spread::Ports if *count > PORTS => format!("ports of {} addresses", count.div_ceil(PORTS)),
            Spread::Ports => "ports of one address".to_owned(),
            Spread::Addresses => "addresses with one port".to_owned(),
        };
        write!(f, "{count} endpoints by {scheme}, {where_}")
    }
}

/// Nobody else on this host is likely to be there.
fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 77, (number / 250) as u8, 1 + (number % 250) as u8)
}
