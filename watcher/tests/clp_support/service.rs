//! Services that answer as a test wants it, on a loopback address.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver},
    thread,
};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

use super::LIMIT;

const LOOPBACK: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);

/// A port that is taken and on which nobody listens.
pub(crate) struct Closed {
    _socket: rustix::fd::OwnedFd,
    pub(crate) port: u16,
}

impl Closed {
    pub(crate) fn new() -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &LOOPBACK).unwrap();
        let port = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap().port();
        Self { _socket: socket, port }
    }
}

/// A service that tells of each connection what was said there first.
pub(crate) struct Service {
    pub(crate) port: u16,
    asked: Receiver<String>,
}

impl Service {
    /// Serves each connection by a function, which says what it was asked.
    fn new(serve: impl Fn(TcpStream) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind(LOOPBACK).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, asked) = mpsc::channel();
        // It lives until nobody listens to it any more.
        thread::spawn(move || listener.incoming().try_for_each(|stream| tell.send(serve(stream.unwrap()))));
        Self { port, asked }
    }

    /// HTTP: 200, but 404 for `/missing`.
    pub(crate) fn http() -> Self {
        Self::answering(|request| {
            let status = if request.contains(" /missing ") { "404 Not Found" } else { "200 OK" };
            format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        })
    }

    /// Answers the first line of whoever asks.
    pub(crate) fn answering(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        Self::new(move |stream| {
            let mut reader = BufReader::new(stream);
            let request = line(&mut reader);
            while !["\r\n", ""].contains(&line(&mut reader).as_str()) {}
            // Whoever asked may be gone.
            let _sent = reader.get_mut().write_all(answer(&request).as_bytes());
            request.trim_end().to_owned()
        })
    }

    /// Says nothing, for as long as whoever asks has patience.
    pub(crate) fn silent() -> Self {
        Self::new(|mut stream| {
            let mut all = Vec::new();
            let _read = stream.read_to_end(&mut all);
            String::from_utf8_lossy(&all).into_owned()
        })
    }

    /// Ends each connection at once.
    pub(crate) fn closing() -> Self {
        Self::answering(|_| String::new())
    }

    /// SMTP: a greeting, and the same answer to everything.
    pub(crate) fn smtp(greeting: &'static str, answer: &'static str) -> Self {
        Self::new(move |stream| {
            let mut reader = BufReader::new(stream);
            let _sent = write!(reader.get_mut(), "{greeting}\r\n");
            let mut said = String::new();
            loop {
                let word = line(&mut reader);
                said.push_str(&word.replace("\r\n", ";"));
                if word.is_empty() || word.starts_with("QUIT") {
                    return said;
                }
                let _sent = write!(reader.get_mut(), "{answer}\r\n");
            }
        })
    }

    /// Waits for the next connection: what was asked.
    pub(crate) fn asked(&self) -> String {
        self.asked.recv_timeout(LIMIT).expect("somebody asks")
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    // A connection that is reset has no more lines.
    let _read = reader.read_line(&mut line);
    line
}
