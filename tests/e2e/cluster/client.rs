//! A client, which asks the address that moves all the time: which node answers, or that none does.

use std::{
    cell::RefCell,
    fs::File,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::fd::AsRawFd as _,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use watcher_tests::wait::DEADLINE;

use super::{ADDRESS, net::Net};

/// What it has found, whenever that changes.
pub(super) struct Client {
    found: Receiver<Option<u8>>,
    /// What was taken of that, by those who only look.
    seen: RefCell<Vec<Option<u8>>>,
}

const PATIENCE: Duration = Duration::from_millis(500);

impl Client {
    pub(super) fn start(net: &Net) -> Self {
        let namespace = File::open(format!("/proc/{}/ns/net", net.pid())).unwrap();
        let (tell, found) = mpsc::channel();
        thread::spawn(move || {
            // SAFETY: no memory is involved; other threads stay where they are.
            assert_eq!(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
            let mut before = None;
            loop {
                let now = asks();
                if now != before && tell.send(now).is_err() {
                    // Nobody wants to know any more.
                    return;
                }
                before = now;
                thread::sleep(Duration::from_millis(2));
            }
        });
        Self { found, seen: RefCell::new(Vec::new()) }
    }

    /// Waits until a node answers: which.
    pub(super) fn until_somebody_answers(&self) -> u8 {
        loop {
            if let Some(node) = self.found.recv_timeout(*DEADLINE).expect("no node answers") {
                return node;
            }
        }
    }

    /// Whether the node answers now that answered when somebody waited for it.
    pub(super) fn hears_again(&self, node: u8) -> bool {
        self.seen.borrow_mut().extend(self.found.try_iter());
        self.seen.borrow().last().is_none_or(|last| *last == Some(node))
    }

    /// All that it has found since then.
    pub(super) fn meanwhile(&self) -> Vec<Option<u8>> {
        self.seen.take()
    }

    /// Waits until none does.
    pub(super) fn until_nobody_answers(&self) {
        while self.found.recv_timeout(*DEADLINE).expect("a node answers all the time").is_some() {}
    }
}

fn asks() -> Option<u8> {
    let address = (ADDRESS.parse::<std::net::Ipv4Addr>().unwrap(), 80).into();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.rsplit("node ").next()?.trim().parse().ok()
}
