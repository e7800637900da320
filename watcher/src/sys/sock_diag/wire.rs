//! The bytes of sock_diag: a request of 72 bytes, and answers of which four members and one attribute matter.
//! <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/inet_diag.h>

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// States of a socket, as the kernel numbers them.
pub(super) mod state {
    #![allow(missing_docs, reason = "these are the names of RFC 9293")]
    pub(in super::super) const ESTABLISHED: u8 = 1;
    pub(in super::super) const SYN_SENT: u8 = 2;
    pub(in super::super) const SYN_RECV: u8 = 3;
    pub(in super::super) const FIN_WAIT1: u8 = 4;
    pub(in super::super) const FIN_WAIT2: u8 = 5;
    pub(in super::super) const TIME_WAIT: u8 = 6;
    pub(in super::super) const CLOSE_WAIT: u8 = 8;
    pub(in super::super) const LAST_ACK: u8 = 9;
    pub(in super::super) const LISTEN: u8 = 10;
    pub(in super::super) const CLOSING: u8 = 11;
    /// A request that waits for the last segment of its handshake; its own number inside the kernel.
    pub(in super::super) const NEW_SYN_RECV: u8 = 12;
}

/// The set of all states but LISTEN.
pub(super) const CONNECTIONS: u32 = 0x1fff & !(1 << state::LISTEN);
/// The set of CLOSE_WAIT alone.
pub(super) const HALF_CLOSED: u32 = 1 << state::CLOSE_WAIT;
/// The set of LISTEN alone.
pub(super) const LISTENERS: u32 = 1 << state::LISTEN;

pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;

const IPPROTO_TCP: u8 = 6;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`
const DUMP: u16 = 0x1 | 0x300;
const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The attribute that tells of memory, and of what was dropped; asked for by this number less one.
const SKMEMINFO: u16 = 7;
/// Which of its numbers that is.
const DROPS: usize = 8;
/// The attribute that is a `struct tcp_info`.
const INFO: u16 = 2;
/// Where in it stands how many milliseconds ago the peer was last heard (`tcpi_last_ack_recv`), as of Linux 2.6.
const LAST_HEARD: usize = 56;

const HEADER: usize = 16;
const REQUEST: usize = 56;
const ANSWER: usize = 72;

/// Asks for all TCP sockets of a family in these states, with this local port (0: any).
pub(super) fn request(sequence: u32, family: u8, states: u32, port: u16) -> [u8; HEADER + REQUEST] {
    let mut bytes = [0; HEADER + REQUEST];
    let extensions = match states {
        LISTENERS => 1 << (SKMEMINFO - 1),
        HALF_CLOSED => 1 << (INFO - 1),
        _ => 0,
    };
    let length = ((HEADER + REQUEST) as u32).to_ne_bytes();
    let parts: [(usize, &[u8]); 7] = [
        (0, &length),
        (4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes()),
        (6, &DUMP.to_ne_bytes()),
        (8, &sequence.to_ne_bytes()),
        (HEADER, &[family, IPPROTO_TCP, extensions, 0]),
        (HEADER + 4, &states.to_ne_bytes()),
        // The kernel passes over sockets with another one: `inet_diag_dump_icsk` has always done so.
        (HEADER + 8, &port.to_be_bytes()),
    ];
    for (at, part) in parts {
        for (target, source) in bytes.iter_mut().skip(at).zip(part) {
            *target = *source;
        }
    }
    bytes
}

/// A socket, as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub state: u8,
    pub local: SocketAddr,
    /// Of a listener: connections that wait to be accepted.
    pub receive_queue: u32,
    /// Of a listener: how many may wait, as `listen` was told.
    pub send_queue: u32,
    pub uid: u32,
    pub inode: u32,
    pub drops: Option<u32>,
    /// Milliseconds since the peer was last heard, of a connection in CLOSE_WAIT.
    pub last_heard_ms: Option<u32>,
}

/// How an answer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// There is more to be read.
    Follows,
    /// That was all.
    None,
    /// The kernel refuses, with this number.
    Refused(i32),
    /// The bytes are no answer.
    Malformed,
}

/// Reads a datagram and hands on each socket that it tells of. Messages that answer another request are passed over.
pub(super) fn read(datagram: &[u8], sequence: u32, mut each: impl FnMut(Socket)) -> Rest {
    let mut left = datagram;
    while !left.is_empty() {
        let Some(length) = u32_at(left, 0) else { return Rest::Malformed };
        let Some(message) = left.get(..length as usize).filter(|message| message.len() >= HEADER) else {
            return Rest::Malformed;
        };
        left = left.get(aligned(message.len())..).unwrap_or_default();
        if u32_at(message, 8) != Some(sequence) {
            continue;
        }
        let body = message.get(HEADER..).unwrap_or_default();
        match u16_at(message, 4) {
            Some(SOCK_DIAG_BY_FAMILY) => match socket(body) {
                Some(socket) => each(socket),
                None => return Rest::Malformed,
            },
            Some(NLMSG_DONE | NLMSG_ERROR) => {
                // Either may carry an error, negative; an end need not.
                return match u32_at(body, 0).map_or(0, u32::cast_signed) {
                    0 => Rest::None,
                    error => Rest::Refused(error.wrapping_neg()),
                };
            }
            Some(NLMSG_NOOP) | Some(_) | None => {}
        }
    }
    Rest::Follows
}

fn socket(body: &[u8]) -> Option<Socket> {
    let fixed: &[u8; ANSWER] = body.first_chunk()?;
    let address = fixed.get(8..24)?;
    let ip = match *fixed.first()? {
        AF_INET => IpAddr::V4(Ipv4Addr::from(*address.first_chunk::<4>()?)),
        AF_INET6 => IpAddr::V6(Ipv6Addr::from(*address.first_chunk::<16>()?)),
        _ => return None,
    };
    let port = u16::from_be_bytes(*fixed.get(4..)?.first_chunk()?);
    Some(Socket {
        state: *fixed.get(1)?,
        local: SocketAddr::new(ip, port),
        receive_queue: u32_at(fixed, 56)?,
        send_queue: u32_at(fixed, 60)?,
        uid: u32_at(fixed, 64)?,
        inode: u32_at(fixed, 68)?,
        drops: attribute(body, SKMEMINFO).and_then(|numbers| u32_at(numbers, DROPS * 4)),
        last_heard_ms: attribute(body, INFO).and_then(|info| u32_at(info, LAST_HEARD)),
    })
}

/// What an attribute of this kind holds.
fn attribute(body: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut attributes = body.get(ANSWER..)?;
    loop {
        let (length, kind) = (u16_at(attributes, 0)?, u16_at(attributes, 2)?);
        let attribute = attributes.get(..usize::from(length)).filter(|attribute| attribute.len() >= 4)?;
        if kind == wanted {
            return attribute.get(4..);
        }
        attributes = attributes.get(aligned(attribute.len())..)?;
    }
}

const fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEQUENCE: u32 = 7;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0, 0]);
        bytes.extend(SEQUENCE.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes
    }

    /// A listener on 127.0.0.1:8080 with a queue of 3 of 128 and 17 drops, after an attribute that nobody asked for.
    fn listener() -> Vec<u8> {
        let mut body = vec![AF_INET, state::LISTEN, 0, 0];
        body.extend(8080_u16.to_be_bytes());
        body.extend([0, 0, 127, 0, 0, 1]);
        body.resize(56, 0);
        body.extend([3_u32, 128, 1000, 4711].iter().flat_map(|word| word.to_ne_bytes()));
        body.extend([5_u16, 99].iter().flat_map(|word| word.to_ne_bytes()));
        body.extend([1, 0, 0, 0]);
        body.extend([40_u16, SKMEMINFO].iter().flat_map(|word| word.to_ne_bytes()));
        body.extend([0_u32, 0, 0, 0, 0, 0, 0, 0, 17].iter().flat_map(|word| word.to_ne_bytes()));
        message(SOCK_DIAG_BY_FAMILY, &body)
    }

    fn all(datagram: &[u8]) -> (Vec<Socket>, Rest) {
        let mut sockets = Vec::new();
        let rest = read(datagram, SEQUENCE, |socket| sockets.push(socket));
        (sockets, rest)
    }

    #[test]
    fn a_listener_is_read_with_its_drops() {
        let expected = Socket {
            state: state::LISTEN,
            local: "127.0.0.1:8080".parse().unwrap(),
            receive_queue: 3,
            send_queue: 128,
            uid: 1000,
            inode: 4711,
            drops: Some(17),
            last_heard_ms: None,
        };
        let mut datagram = listener();
        assert_eq!(all(&datagram), (vec![expected], Rest::Follows));
        datagram.extend(message(NLMSG_DONE, &[0; 4]));
        assert_eq!(all(&datagram), (vec![expected], Rest::None));
    }

    #[test]
    fn a_refusal_comes_with_its_number_and_strangers_are_passed_over() {
        assert_eq!(all(&message(NLMSG_ERROR, &(-2_i32).to_ne_bytes())).1, Rest::Refused(2));
        assert_eq!(read(&listener(), SEQUENCE + 1, |_| panic!("not ours")), Rest::Follows);
    }

    #[test]
    fn what_is_cut_is_malformed() {
        let whole = listener();
        for length in 1..HEADER + ANSWER {
            assert_eq!(all(whole.get(..length).unwrap()).1, Rest::Malformed, "{length}");
        }
    }

    #[test]
    fn the_request_says_what_is_wanted() {
        let bytes = request(SEQUENCE, AF_INET6, LISTENERS, 443);
        assert_eq!(bytes.get(..8).unwrap(), [72, 0, 0, 0, 20, 0, 1, 3]);
        assert_eq!(bytes.get(16..26).unwrap(), [10, 6, 64, 0, 0, 4, 0, 0, 1, 187]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _rest = read(&bytes, SEQUENCE, |_| {});
        }

        #[test]
        fn nor_does_any_damage(at in 0_usize..200, value in any::<u8>(), cut in 0_usize..200) {
            let mut datagram = listener();
            datagram.extend(message(NLMSG_DONE, &[0; 4]));
            if let Some(byte) = datagram.get_mut(at) {
                *byte = value;
            }
            let _rest = read(datagram.get(..cut).unwrap_or(&datagram), SEQUENCE, |_| {});
        }
    }
}
