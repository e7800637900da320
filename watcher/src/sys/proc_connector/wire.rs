//! The bytes of the process connector: a request of 40 bytes, and messages of which four members matter.
//! <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/cn_proc.h>

use watcher_core::Pid;

/// `CN_IDX_PROC` and `CN_VAL_PROC`; also the multicast group.
const CONNECTOR: u32 = 1;
/// `PROC_CN_MCAST_LISTEN`
pub(super) const LISTEN: u32 = 1;
/// `PROC_CN_MCAST_IGNORE`
pub(super) const IGNORE: u32 = 2;

/// What a message tells of, as the kernel numbers it; forks and changes of users and names are never let through.
pub(super) mod what {
    pub(in super::super) const ACK: u32 = 0;
    pub(in super::super) const EXEC: u32 = 2;
    pub(in super::super) const EXIT: u32 = 0x8000_0000;
}

/// Where it stands: after the headers of netlink (16 bytes) and of the connector (20). Its place, and those of the first
/// members of what follows, are the same in all kernels; new members came behind them.
pub(super) mod at {
    pub(in super::super) const NUMBER: usize = 28;
    pub(in super::super) const WHAT: usize = 36;
    pub(in super::super) const ERROR: usize = 52;
    /// The thread, in the numbers of the initial pid namespace.
    pub(in super::super) const TID: usize = 52;
    /// Its process.
    pub(in super::super) const PID: usize = 56;
    pub(in super::super) const STATUS: usize = 60;
}

const REQUEST: usize = 40;

/// Begins, or ends, to listen. The answer carries the number plus one; the number of the message, where one would look for
/// it, is not repeated by all kernels.
pub(super) fn request(number: u32, operation: u32) -> [u8; REQUEST] {
    /// `NLMSG_DONE`
    const TYPE: u16 = 3;
    /// Of the operation.
    const LENGTH: u16 = 4;
    let mut bytes = [0; REQUEST];
    let parts: [(usize, &[u8]); 7] = [
        (0, &(REQUEST as u32).to_ne_bytes()),
        (4, &TYPE.to_ne_bytes()),
        (16, &CONNECTOR.to_ne_bytes()),
        (20, &CONNECTOR.to_ne_bytes()),
        (at::NUMBER, &number.to_ne_bytes()),
        (32, &LENGTH.to_ne_bytes()),
        (36, &operation.to_ne_bytes()),
    ];
    for (at, part) in parts {
        for (target, source) in bytes.iter_mut().skip(at).zip(part) {
            *target = *source;
        }
    }
    bytes
}

/// What a message tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A request of somebody was answered: with an error, or with 0.
    Answer { number: u32, error: u32 },
    /// A process has begun to run a program.
    Exec { pid: Pid },
    /// The leading thread of a process has ended, with this wait status of its own.
    LeaderExit { pid: Pid, status: u32 },
    /// Something else, or nothing that can be understood.
    Other,
}

/// Reads a message.
pub(super) fn read(datagram: &[u8]) -> Message {
    message(datagram).unwrap_or(Message::Other)
}

fn message(datagram: &[u8]) -> Option<Message> {
    let word = |at: usize| Some(u32::from_ne_bytes(*datagram.get(at..)?.first_chunk()?));
    Some(match word(at::WHAT)? {
        what::ACK => Message::Answer { number: word(at::NUMBER)?.wrapping_sub(1), error: word(at::ERROR)? },
        what::EXEC => Message::Exec { pid: Pid::new(word(at::PID)?)? },
        what::EXIT if word(at::TID)? == word(at::PID)? => {
            Message::LeaderExit { pid: Pid::new(word(at::PID)?)?, status: word(at::STATUS)? }
        }
        _ => Message::Other,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(what: u32, words: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; at::WHAT];
        bytes.extend(what.to_ne_bytes());
        bytes.resize(at::TID, 0);
        words.iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
        bytes
    }

    #[test]
    fn ends_of_leaders_and_starts_are_understood_and_ends_of_other_threads_passed_over() {
        let pid = Pid::new(77).unwrap();
        assert_eq!(read(&told(what::EXIT, &[77, 77, 9, 17])), Message::LeaderExit { pid, status: 9 });
        assert_eq!(read(&told(what::EXIT, &[78, 77, 9, 17])), Message::Other);
        assert_eq!(read(&told(what::EXEC, &[78, 77])), Message::Exec { pid });
        assert_eq!(read(&told(1, &[1, 1, 2, 2])), Message::Other, "a fork");
        assert_eq!(read(&told(what::EXIT, &[0, 0, 9, 17])), Message::Other, "0 is nobody");
    }

    #[test]
    fn an_answer_carries_the_number_of_the_request() {
        let mut bytes = told(what::ACK, &[1]);
        bytes[at::NUMBER..][..4].copy_from_slice(&78_u32.to_ne_bytes());
        assert_eq!(read(&bytes), Message::Answer { number: 77, error: 1 });
        assert_eq!(request(77, LISTEN)[at::NUMBER..][..4], 77_u32.to_ne_bytes());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _message = read(&bytes);
        }
    }
}
