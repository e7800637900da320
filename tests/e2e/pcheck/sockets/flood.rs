//! Connections that are begun and never made, by somebody who does not tell who he is.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with};
use watcher::sys::netns;
use watcher_core::Pid;
use watcher_tests::{
    block::Block,
    host::Tier,
    program::{built, run},
    victim::Victim,
};

use super::{Scene, queue_of};

const HERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

/// So many half-open connections are told at the latest.
const MANY: u64 = 128;

pub(super) fn from_another_namespace(tier: Tier) {
    is_told_apart(tier, 200, MANY);
}

/// It has no room for so many.
pub(super) fn on_a_short_queue(tier: Tier) {
    is_told_apart(tier, 16, 16);
}

fn is_told_apart(tier: Tier, backlog: u64, least: u64) {
    // No tracepoint tells of it: a look finds it, which comes with a check.
    let mut scene = Scene::set_every(Block::SHORTEST, tier, &format!("dual backlog={backlog}"), "socket_stall=2");
    let foreigner = Victim::run(Command::new("unshare").arg("--net").arg("--").arg(built("vforks")));
    connect_with(foreigner.pid());
    let (port, told) = (scene.port, AtomicBool::new(false));
    let measure = thread::scope(|scope| {
        let (from, told) = (foreigner.pid(), &told);
        let flood = || {
            Flood::new(port).until(told);
            Ok(())
        };
        scope.spawn(move || netns::inside(from, flood).unwrap());
        let _ends_the_flood = EndOf(told);
        let (before, measure) = scene.told("Socket SYN Backlog");
        assert_eq!(before, [] as [String; 0], "nothing else is wrong");
        measure
    });
    let count = measure.strip_prefix(" : ").and_then(|rest| rest.strip_suffix(" connections half open")?.parse().ok());
    assert!(count.is_some_and(|count: u64| count >= least && count <= backlog + 1), "{measure}");
    assert_eq!(queue_of(scene.pid(), port).0, 0);
    scene.is_over("Socket SYN Backlog");
    scene.leave_in_peace();
}

struct EndOf<'a>(&'a AtomicBool);

impl Drop for EndOf<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A cable from the namespace of this thread to that of another process. Answers to strangers go there, and get lost.
fn connect_with(foreigner: Pid) {
    let ip = |words: &str| {
        let ended = run(Command::new("ip").args(words.split_whitespace()));
        assert_eq!(ended.code, Some(0), "ip {words}: {}", ended.stderr);
    };
    // Otherwise the kernel waits for a minute for connections that are half open.
    fs::write("/proc/sys/net/ipv4/tcp_synack_retries", "1").unwrap();
    ip(&format!("link add here type veth peer name there netns {foreigner}"));
    ip(&format!("address add {HERE}/24 dev here"));
    ip("link set here up");
    let other_end = || {
        ip(&format!("address add {THERE}/24 dev there"));
        ip("link set there up");
        fs::write("/proc/sys/net/ipv4/ip_forward", "0")
    };
    netns::inside(foreigner, other_end).unwrap();
    ip(&format!("route add 198.18.0.0/15 via {THERE}"));
}

struct Flood {
    socket: OwnedFd,
    port: u16,
    sent: u32,
}

impl Flood {
    fn new(port: u16) -> Self {
        let socket = socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::RAW));
        Self { socket: socket.unwrap(), port, sent: 0 }
    }

    /// Some thousand a second, since the kernel forgets them after a while.
    fn until(mut self, end: &AtomicBool) {
        while !end.load(Ordering::Relaxed) {
            (0..300).for_each(|_| self.send());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// A SYN, each from another address.
    fn send(&mut self) {
        self.sent += 1;
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 1)) + self.sent % 0xFFFF);
        let mut tcp = [0; 20];
        tcp[..2].copy_from_slice(&(1024 + (self.sent % 60_000) as u16).to_be_bytes());
        tcp[2..4].copy_from_slice(&self.port.to_be_bytes());
        tcp[4..8].copy_from_slice(&self.sent.to_be_bytes());
        // Five words of header, SYN, and a window.
        tcp[12..16].copy_from_slice(&[0x50, 0x02, 0xFF, 0xFF]);
        let pseudo = [source.octets(), HERE.octets(), [0, 6, 0, 20]].concat();
        let sum = checksum(&[&pseudo, tcp.as_slice()].concat());
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        // Length and checksum are for the kernel to fill in.
        let ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0];
        let packet = [&ip, source.octets().as_slice(), &HERE.octets(), &tcp].concat();
        // What does not fit through the cable is no loss.
        let _sent = sendto(&self.socket, &packet, SendFlags::empty(), &SocketAddrV4::new(HERE, 0));
    }
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    !((sum & 0xFFFF) + (sum >> 16)) as u16
}
