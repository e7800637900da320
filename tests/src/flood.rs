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

use crate::program::run;

/// Where the SYNs come from, as they say: a network that nobody has.
pub const STRANGERS: &str = "198.18.0.0/15";

/// SYNs to a port, from the namespace of whoever makes this.
pub struct Flood {
    socket: OwnedFd,
    to: SocketAddrV4,
    sent: u32,
}

impl Flood {
    /// None yet.
    pub fn to(address: Ipv4Addr, port: u16) -> Self {
        let socket = socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::RAW));
        Self { socket: socket.unwrap(), to: SocketAddrV4::new(address, port), sent: 0 }
    }

    /// Some thousand a second, since the kernel forgets them after a while.
    pub fn until(mut self, end: &AtomicBool) {
        while !end.load(Ordering::Relaxed) {
            (0..300).for_each(|_| self.send());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// A SYN, each from another address.
    pub fn send(&mut self) {
        self.sent += 1;
        let (here, port) = (*self.to.ip(), self.to.port());
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 1)) + self.sent % 0xFFFF);
        let mut tcp = [0; 20];
        tcp[..2].copy_from_slice(&(1024 + (self.sent % 60_000) as u16).to_be_bytes());
        tcp[2..4].copy_from_slice(&port.to_be_bytes());
        tcp[4..8].copy_from_slice(&self.sent.to_be_bytes());
        // Five words of header, SYN, and a window.
        tcp[12..16].copy_from_slice(&[0x50, 0x02, 0xFF, 0xFF]);
        let pseudo = [source.octets(), here.octets(), [0, 6, 0, 20]].concat();
        let sum = checksum(&[&pseudo, tcp.as_slice()].concat());
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        // Length and checksum are for the kernel to fill in.
        let ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0];
        let packet = [&ip, source.octets().as_slice(), &here.octets(), &tcp].concat();
        // What does not fit through the cable is no loss.
        let _sent = sendto(&self.socket, &packet, SendFlags::empty(), &SocketAddrV4::new(here, 0));
    }
}

/// In the namespace of this thread: how often the kernel sends an answer again before it forgets who began a connection.
pub fn send_answers_again(times: u8) {
    fs::write("/proc/sys/net/ipv4/tcp_synack_retries", times.to_string()).unwrap();
}

/// In the namespace of this thread: the command `ip` with these words.
pub fn ip(words: &str) {
    let ended = run(Command::new("ip").args(words.split_whitespace()));
    assert_eq!(ended.code, Some(0), "ip {words}: {}", ended.stderr);
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    !((sum & 0xFFFF) + (sum >> 16)) as u16
}
