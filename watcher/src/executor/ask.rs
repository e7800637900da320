//! One plain request to a port, and what comes back.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// The first bytes, at most so many, that a port answers to a request for its page, within this time.
///
/// It asks for all of the page: the words by which a web server tells that it wants TLS are not in the head.
///
/// # Errors
/// When nobody takes the connection, or the request.
pub fn http(address: SocketAddr, most: usize, limit: Duration) -> io::Result<Vec<u8>> {
    let end = Instant::now() + limit;
    let address = SocketAddr::new(reachable(address.ip()), address.port());
    let left = || end.saturating_duration_since(Instant::now());
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(format!("GET / HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 512];
    while answer.len() < most && !left().is_zero() {
        stream.set_read_timeout(Some(left().max(Duration::from_millis(1))))?;
        // What came before an error counts: a peer may well reset what it does not understand.
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend(part.iter().take(count)),
        }
    }
    answer.truncate(most);
    Ok(answer)
}

/// All addresses of the host are no address to connect to.
const fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    #[test]
    fn an_answer_is_read_and_silence_has_an_end() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = socket.accept().unwrap();
            let mut request = [0; 14];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(b"HTTP/1.0 200 OK").unwrap();
            // The second one is taken by the kernel, and never answered.
            (request, socket)
        });
        assert_eq!(http(address, 8, Duration::from_secs(20)).unwrap(), b"HTTP/1.0");
        let (request, socket) = server.join().unwrap();
        assert_eq!(&request, b"GET / HTTP/1.0");
        assert_eq!(http(address, 8, Duration::from_millis(20)).unwrap(), b"");
        drop(socket);
        // A child that another test is making at that moment has it for a while.
        while http(address, 8, Duration::from_millis(20)).is_ok() {}
    }
}
