//! Not a victim but a hostile user: `forges_answers NUMBER COUNT`, told to go, asks the kernel's process connector for
//! nonsense so often, as nobody. Everybody who listens hears the refusal, and that it answers the request with this number.

use rustix::net::{
    AddressFamily, SendFlags, SocketType,
    netlink::{self, SocketAddrNetlink},
    sendto, socket,
};
use watcher_tests::script::{say, wait_for_go};

/// `CN_IDX_PROC` and `CN_VAL_PROC`
const PROCESSES: u32 = 1;
const NLMSG_DONE: u32 = 3;
/// Neither to listen nor to leave: nobody's listening is changed by it.
const NONSENSE: u32 = 99;

fn main() {
    let words: Vec<u64> = std::env::args().skip(1).map(|word| word.parse().expect("a number")).collect();
    let [number, count] = words[..] else { panic!("usage: forges_answers NUMBER COUNT") };
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::setresuid(65534, 65534, 65534) }, 0, "it takes root to be nobody");
    let socket = socket(AddressFamily::NETLINK, SocketType::DGRAM, Some(netlink::CONNECTOR)).expect("a socket");
    let words = [40, NLMSG_DONE, 0, 0, PROCESSES, PROCESSES, 0, number as u32, 4, NONSENSE];
    let request: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
    say("ready");
    wait_for_go();
    for _ in 0..count {
        // Who listens may have no room.
        let _ = sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0));
    }
    say("asked");
}
