//! What is to be asked, as it is typed.

use watcher_core::pfile::{Bytes, Place, Placed, Port, Seconds, StallTarget};

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    Smtp,
    Tcp,
}

/// Who is asked, and in which language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    pub(super) target: StallTarget,
}

const FORMS: &str = "it is http://HOST[:PORT]/PATH, https://HOST[:PORT]/PATH, smtp://HOST[:PORT] or HOST:PORT";

/// Reads it; or says where it is wrong, and what would be right.
pub(super) fn read(text: &str) -> Result<Target, String> {
    let wrong = |at: usize, what: &str| {
        let column = text.get(..at).unwrap_or(text).chars().count() + 1;
        format!("{text}: column {column}: {what}")
    };
    let (scheme, start) = match text.split_once("://") {
        Some((name, _)) => {
            let scheme = match name.to_ascii_lowercase().as_str() {
                "http" => Scheme::Http,
                "https" => Scheme::Https,
                "smtp" => Scheme::Smtp,
                "tcp" => Scheme::Tcp,
                _ => return Err(wrong(0, &format!("`{name}` cannot be spoken; {FORMS}"))),
            };
            (scheme, name.len() + 3)
        }
        None => (Scheme::Tcp, 0),
    };
    let rest = text.get(start..).unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let path = rest.get(authority.len()..).unwrap_or_default();
    if let Some(at) = authority.find('@') {
        return Err(wrong(start + at, "a user is not sent this way; use --header \"Authorization: …\""));
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else {
                return Err(wrong(start, "the bracket of an IPv6 address is not closed: it is [::1]"));
            };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(wrong(start + 1, &format!("`{address}` is no IPv6 address, as it must be in brackets")));
            }
            let at = start + address.len() + 2;
            match (after, after.strip_prefix(':')) {
                (_, Some(port)) => (address, Some((port, at + 1))),
                ("", None) => (address, None),
                (_, None) => return Err(wrong(at, "after the bracket comes `:` and a port, or nothing")),
            }
        }
        None => match authority.split_once(':') {
            Some((_, more)) if more.contains(':') => {
                return Err(wrong(start, "an IPv6 address stands in brackets: [::1]"));
            }
            Some((host, port)) => (host, Some((port, start + host.len() + 1))),
            None => (authority, None),
        },
    };
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(start, "a host is missing here: a name, an IPv4 address, or an IPv6 address in brackets"));
    }
    let number = match port {
        Some((port, at)) => port
            .parse()
            .ok()
            .filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(Port::new)
            .ok_or_else(|| wrong(at, &format!("`{port}` is no port: a number from 1 to 65535 is wanted")))?,
        None => usual_port(scheme).ok_or_else(|| wrong(text.len(), &format!("a port is missing here; {FORMS}")))?,
    };
    let at = start + authority.len();
    let path = match (scheme, path) {
        (_, "" | "/") => None,
        (Scheme::Smtp | Scheme::Tcp, _) => {
            return Err(wrong(at, "nothing follows the port here; a path is for http://"));
        }
        (Scheme::Http | Scheme::Https, path) => {
            if let Some(fragment) = path.find('#') {
                return Err(wrong(at + fragment, "what follows `#` is not sent to servers: leave it out"));
            }
            if let Some(blank) = path.find(|letter: char| !letter.is_ascii_graphic()) {
                return Err(wrong(at + blank, "this cannot stand in a path: write it as % and two hexadecimal digits"));
            }
            Some(if path.starts_with('/') { Bytes::from(path) } else { Bytes::from(format!("/{path}").as_str()) })
        }
    };
    // This host needs no name; a block then names none either.
    let host = Some(host).filter(|host| !host.eq_ignore_ascii_case("localhost"));
    let host = host.map(|host| Placed { value: Bytes::from(host), place: Place::default() });
    let timeout: Option<Seconds> = None;
    Ok(Target { scheme, target: StallTarget { port: number, host, timeout, path } })
}

fn usual_port(scheme: Scheme) -> Option<Port> {
    match scheme {
        Scheme::Http => Port::new(80),
        Scheme::Https => Port::new(443),
        Scheme::Smtp => Port::new(25),
        Scheme::Tcp => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match read(text) {
            Ok(Target { scheme, target: StallTarget { port, host, path, timeout: _ } }) => {
                let or = |bytes: Option<Bytes>| bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
                format!("{scheme:?} {} {} {}", or(host.map(|host| host.value)), port.number(), or(path))
            }
            Err(sentence) => sentence,
        }
    }

    #[test]
    fn targets_are_read() {
        for (text, expected) in [
            ("http://example.org/a?b=c", "Http example.org 80 /a?b=c"),
            ("HTTPS://LocalHost", "Https - 443 -"),
            ("https://[::1]:8443/", "Https ::1 8443 -"),
            ("http://10.0.0.1:8080?x", "Http 10.0.0.1 8080 /?x"),
            ("smtp://mail", "Smtp mail 25 -"),
            ("smtp://mail:587/", "Smtp mail 587 -"),
            ("db:5432", "Tcp db 5432 -"),
            ("tcp://db:5432", "Tcp db 5432 -"),
            ("[::1]:22", "Tcp ::1 22 -"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expected) in [
            ("ftp://a", "column 1: `ftp` cannot be spoken"),
            ("a", "column 2: a port is missing"),
            ("a:b", "column 3: `b` is no port"),
            ("a:+1", "column 3: `+1` is no port"),
            ("http://a:70000/", "column 10: `70000` is no port"),
            ("http://:80/", "column 8: a host is missing"),
            ("http://", "column 8: a host is missing"),
            ("http://u:p@a/", "column 11: a user is not sent"),
            ("::1:80", "column 1: an IPv6 address stands in brackets"),
            ("http://[::1/", "column 8: the bracket"),
            ("http://[a]/", "column 9: `a` is no IPv6 address"),
            ("http://[::1]80/", "column 13: after the bracket"),
            ("http://a/é", "column 10: this cannot stand in a path"),
            ("http://a/#b", "column 10: what follows `#`"),
            ("a:25/x", "column 5: nothing follows the port"),
        ] {
            assert!(shown(text).starts_with(&format!("{text}: {expected}")), "{}", shown(text));
        }
    }
}
