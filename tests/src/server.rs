//! A server that belongs to the test: it answers as it is told, and remembers when it was asked.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt::set_socket_reuseaddr};

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As a web server does.
    Answers,
    /// As a web server does, but a byte a second.
    Drips,
    /// With a header that has no end.
    Endless,
    /// In another language.
    Foreign,
    /// Not at all: it reads the request and hangs up.
    HangsUp,
    /// Not at all: it takes the connection and says nothing.
    Silent,
    /// As a web server does, after so many milliseconds.
    Slow(u64),
    /// It is no server any more.
    Gone,
}

/// The server. It ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    pub port: u16,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    manner: Manner,
    arrivals: Vec<Instant>,
    /// What was asked for, and when.
    asked: Vec<(Instant, String)>,
}

impl Server {
    pub fn start(manner: Manner) -> Self {
        let listener = listener();
        let port = listener.local_addr().expect("it listens").port();
        let shared = Arc::new(Mutex::new(Shared { manner, arrivals: Vec::new(), asked: Vec::new() }));
        let to_all = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let manner = {
                    let mut shared = lock(&to_all);
                    shared.arrivals.push(Instant::now());
                    shared.manner
                };
                if manner == Manner::Gone {
                    return;
                }
                let shared = Arc::clone(&to_all);
                // Whoever asks may be gone before it is answered.
                thread::spawn(move || serve(&stream, manner, &shared).ok());
            }
        });
        Self { port, shared }
    }

    /// From the next connection on.
    pub fn now(&self, manner: Manner) {
        lock(&self.shared).manner = manner;
    }

    /// When connections came.
    pub fn arrivals(&self) -> Vec<Instant> {
        lock(&self.shared).arrivals.clone()
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        lock(&self.shared).arrivals.len()
    }

    /// What was asked for: paths.
    pub fn asked(&self) -> Vec<(Instant, String)> {
        lock(&self.shared).asked.clone()
    }

    /// Waits until it was asked so many times more.
    pub fn is_asked(&self, more: usize) {
        let before = self.count();
        crate::wait::until("it is asked", || self.count() >= before + more);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.now(Manner::Gone);
        // It wakes up.
        let _woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("nobody fails while holding it")
}

fn serve(stream: &TcpStream, manner: Manner, shared: &Mutex<Shared>) -> io::Result<()> {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let mut request = BufReader::new(stream);
    let mut line = String::new();
    request.read_line(&mut line)?;
    if let Some(path) = line.split_whitespace().nth(1) {
        lock(shared).asked.push((Instant::now(), path.to_owned()));
    }
    // What was not read would end the connection by a reset.
    while !matches!(line.as_str(), "" | "\r\n") {
        line.clear();
        request.read_line(&mut line)?;
    }
    let mut to = stream;
    match manner {
        Manner::Answers => to.write_all(ANSWER),
        Manner::Drips => ANSWER.chunks(1).try_for_each(|byte| {
            to.write_all(byte)?;
            thread::sleep(Duration::from_secs(1));
            Ok(())
        }),
        Manner::Endless => {
            to.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                to.write_all(b"More: and more\r\n")?;
            }
        }
        Manner::Foreign => to.write_all(b"SSH-2.0-OpenSSH_9.6\r\n"),
        Manner::HangsUp | Manner::Gone => Ok(()),
        Manner::Silent => request.read_to_end(&mut Vec::new()).map(drop),
        Manner::Slow(millis) => {
            thread::sleep(Duration::from_millis(millis));
            to.write_all(ANSWER)
        }
    }
}

/// A port on which nobody listens. It is none of those that the kernel gives to clients: nobody takes it by chance.
///
/// It was bound, and never listened on: a child that another thread is making at that moment has a copy of the socket for a
/// while, and who listens keeps others away.
pub fn free_port() -> u16 {
    let (port, _socket) = first(|address| {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &SocketAddr::from(address))?;
        Ok(socket)
    });
    port
}

fn listener() -> TcpListener {
    let (_, listener) = first(TcpListener::bind::<(Ipv4Addr, u16)>);
    listener
}

/// The first port with which this succeeds.
fn first<T>(action: impl Fn((Ipv4Addr, u16)) -> io::Result<T>) -> (u16, T) {
    /// Below those of clients, which begin at 32768.
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Several tests may run at the same time, as processes of their own.
    let own = process::id().wrapping_mul(97) as u16;
    (0..COUNT)
        .find_map(|_| {
            let nth = own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let port = FIRST + nth % COUNT;
            Some((port, action((Ipv4Addr::LOCALHOST, port)).ok()?))
        })
        .expect("a port is free")
}
