//! Healthy clients, as many as the machine gives: each connects, asks, is answered, and leaves.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// So many are there at the same time.
pub const CLIENTS: u32 = 4;

/// So many come in one go, since short pauses cost more than a connection does.
const AT_ONCE: u32 = 10;

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub connections: u64,
    pub span: Duration,
}

impl Load {
    /// Connections a second.
    pub fn rate(&self) -> f64 {
        self.connections as f64 / self.span.as_secs_f64()
    }
}

/// Visits the service on this port of loopback for so long, at most so many times a second. All of them are answered, with
/// something that begins like this. The service closes first.
pub fn visits(port: u16, a_second: u32, span: Duration, answer: &[u8]) -> Load {
    let begun = Instant::now();
    let each = || client(port, a_second / CLIENTS, begun + span, answer);
    let connections = thread::scope(|scope| {
        // A thread is in the network namespace of the one that starts it.
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(each)).collect();
        clients.into_iter().map(|client| client.join().expect("why is told above")).sum()
    });
    Load { connections, span: begun.elapsed() }
}

fn client(port: u16, a_second: u32, end: Instant, expected: &[u8]) -> u64 {
    let (mut connections, mut due, mut answer) = (0, Instant::now(), Vec::new());
    while due.max(Instant::now()) < end {
        for _ in 0..AT_ONCE {
            answer.clear();
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it gets in");
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("it is heard");
            stream.read_to_end(&mut answer).expect("it is answered");
            assert!(answer.starts_with(expected), "{}", String::from_utf8_lossy(&answer));
            connections += 1;
        }
        // Whoever is late does not make up for it: that would be a burst.
        due = Instant::now().max(due + Duration::from_secs(1) * AT_ONCE / a_second);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    connections
}
