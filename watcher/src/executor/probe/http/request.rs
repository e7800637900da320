//! What is sent.

use watcher_core::{
    pfile::Bytes,
    probe::{Ask, HttpAsk, HttpVersion},
};

use crate::executor::probe::names;

/// The request.
pub(in super::super) fn request(ask: &Ask, http: &HttpAsk) -> Vec<u8> {
    let method = http.sent();
    let version: &[u8] = match http.version {
        HttpVersion::V1_0 => b" HTTP/1.0\r\n",
        HttpVersion::V1_1 => b" HTTP/1.1\r\n",
    };
    let mut text = [method.name().as_bytes(), b" ", http.path.as_slice(), version].concat();
    let own: [(&[u8], Vec<u8>); 4] = [
        (b"Host", host(ask, http.tls.is_some())),
        (b"User-Agent", b"watcher".to_vec()),
        (b"Accept", b"*/*".to_vec()),
        (b"Connection", b"close".to_vec()),
    ];
    let given = |name: &[u8]| http.headers.iter().any(|header| name_of(header).eq_ignore_ascii_case(name));
    for (name, value) in own.iter().filter(|(name, _)| !given(name)) {
        text.extend([*name, b": ", value, b"\r\n"].concat());
    }
    for header in &http.headers {
        text.extend([header.as_slice(), b"\r\n"].concat());
    }
    text.extend(b"\r\n");
    text
}

fn name_of(header: &Bytes) -> &[u8] {
    header.as_slice().split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii()
}

fn host(ask: &Ask, tls: bool) -> Vec<u8> {
    let name = ask.host.as_ref().map_or(b"localhost".as_slice(), Bytes::as_slice);
    let bare = !name.starts_with(b"[") && names::address(name).is_some_and(|address| address.is_ipv6());
    let mut text = if bare { [b"[", name, b"]"].concat() } else { name.to_vec() };
    let usual = if tls { 443 } else { 80 };
    if ask.port.number() != usual {
        text.extend(format!(":{}", ask.port.number()).bytes());
    }
    text
}

#[cfg(test)]
mod tests {
    use watcher_core::{
        Span,
        pfile::Port,
        probe::{How, Statuses, TlsAsk},
    };

    use super::*;
    use watcher_core::pfile::Method;

    fn http() -> HttpAsk {
        HttpAsk {
            tls: None,
            version: HttpVersion::V1_1,
            method: Method::Head,
            path: "/".into(),
            headers: Vec::new(),
            statuses: Statuses::Any,
            match_header: None,
            match_body: None,
        }
    }

    fn sent(host: Option<&str>, port: u32, http: HttpAsk) -> String {
        let (host, port) = (host.map(Bytes::from), Port::new(port).unwrap());
        let ask = Ask { how: How::Http(http.clone()), host, port, limit: Span::of_seconds(1) };
        String::from_utf8(request(&ask, &http)).unwrap()
    }

    #[test]
    fn the_request_names_the_host_as_the_server_knows_it() {
        assert_eq!(
            sent(None, 80, http()),
            "HEAD / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: watcher\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        for (host, port, tls, expected) in [
            (None, 8080, false, "localhost:8080"),
            (None, 443, false, "localhost:443"),
            (None, 443, true, "localhost"),
            (Some("::1"), 80, false, "[::1]"),
            (Some("[::1]"), 81, false, "[::1]:81"),
            (Some("example.org"), 80, true, "example.org:80"),
        ] {
            let tls = tls.then(TlsAsk::default);
            assert!(sent(host, port, HttpAsk { tls, ..http() }).contains(&format!("\r\nHost: {expected}\r\n")));
        }
    }

    #[test]
    fn a_header_that_is_given_takes_the_place_of_ours() {
        let headers = vec!["host: other".into(), "USER-AGENT:me".into(), "X: y".into()];
        let http = HttpAsk { headers, version: HttpVersion::V1_0, match_body: Some("a".into()), ..http() };
        assert_eq!(
            sent(None, 80, http),
            "GET / HTTP/1.0\r\nAccept: */*\r\nConnection: close\r\nhost: other\r\nUSER-AGENT:me\r\nX: y\r\n\r\n"
        );
    }
}
